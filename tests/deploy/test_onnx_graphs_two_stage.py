"""Files of two-stage detectors against mmdet's own predictions."""

from types import SimpleNamespace

import pytest
import torch
from mmdet.models.task_modules import DeltaXYWHBBoxCoder
from mmengine.config import ConfigDict
from torch import nn

from tests.deploy.exported_file import (
    BACKBONE,
    BATCHES,
    ExportedFile,
    assert_detections,
    build,
    fpn,
    padded,
    predict,
)
from tresnet_mm.deploy.build_graph import build_graph
from tresnet_mm.deploy.two_stage_graph import _decode

CODER = dict(type='DeltaXYWHBBoxCoder', target_stds=[0.1, 0.1, 0.2, 0.2])
BOX_HEAD = dict(type='Shared2FCBBoxHead', in_channels=16, fc_out_channels=32, roi_feat_size=7,
                num_classes=5, bbox_coder=CODER)
MASK_HEAD = dict(type='FCNMaskHead', num_convs=1, in_channels=16, conv_out_channels=16,
                 num_classes=5)


def extractor(size: int) -> dict:
    return dict(type='SingleRoIExtractor', out_channels=16, featmap_strides=[4, 8, 16, 32],
                finest_scale=14, roi_layer=dict(type='RoIAlign', output_size=size))


FASTER = dict(type='StandardRoIHead', bbox_roi_extractor=extractor(7), bbox_head=BOX_HEAD)
MASK = dict(FASTER, mask_roi_extractor=extractor(14), mask_head=MASK_HEAD)
CASCADE = dict(
    type='CascadeRoIHead', num_stages=2, stage_loss_weights=[1, 1],
    bbox_roi_extractor=extractor(7), bbox_head=[
        dict(BOX_HEAD, reg_class_agnostic=True), dict(BOX_HEAD, reg_class_agnostic=False)])
CASCADE_MASK = dict(CASCADE, mask_roi_extractor=extractor(14),
                    mask_head=dict(MASK_HEAD, class_agnostic=True))
ROI_HEADS = dict(Faster=('FasterRCNN', FASTER), Mask=('MaskRCNN', MASK),
                 Cascade=('CascadeRCNN', CASCADE), CascadeMask=('CascadeRCNN', CASCADE_MASK))


def config(name: str) -> dict:
    """The config of a tiny two-stage detector."""
    kind, roi_head = ROI_HEADS[name]
    nms = dict(type='nms', iou_threshold=0.5)
    return dict(
        type=kind, backbone=BACKBONE, neck=fpn(5), roi_head=roi_head, train_cfg=None,
        rpn_head=dict(
            type='RPNHead', in_channels=16, feat_channels=16, bbox_coder=dict(
                type='DeltaXYWHBBoxCoder'),
            anchor_generator=dict(type='AnchorGenerator', scales=[4], ratios=[0.5, 1.0, 2.0],
                                  strides=[4, 8, 16, 32, 64])),
        test_cfg=ConfigDict(
            rpn=dict(nms_pre=40, max_per_img=30, min_bbox_size=0, nms=nms),
            rcnn=dict(score_thr=0.25, max_per_img=20, nms=nms, mask_thr_binary=0.5)))


def randomise(model: nn.Module) -> nn.Module:
    """Give a two-stage detector weights by which its scores are not all alike."""
    for part, std in ((model.rpn_head, 0.2), (model.roi_head, 0.3)):
        for module in part.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear, nn.ConvTranspose2d)):
                nn.init.normal_(module.weight, std=std / module.weight[0].numel() ** 0.25)
    with torch.no_grad():  # moderate features: by larger ones rounding would grow at each stage
        feats = model.extract_feat(torch.randn(2, 3, 64, 96))
        for layer, x in zip(model.neck.fpn_convs, feats, strict=False):
            layer.conv.weight.mul_(3 / x.std())
    return model


def two_stage(name: str) -> nn.Module:
    """A tiny two-stage detector with random weights."""
    return randomise(build(config(name)))


@pytest.mark.parametrize('name', ROI_HEADS)
def test_a_two_stage_detector_gives_the_boxes_and_masks_of_mmdet(name, tmp_path):
    model = two_stage(name)
    exported = ExportedFile(model, tmp_path)
    for sizes in BATCHES:
        images = padded(sizes)
        found, expected = exported(images, sizes), predict(model, images, sizes)
        assert_detections(found, expected)
        assert ('masks' in found) == ('Mask' in name)
        if 'masks' in found:
            wanted = masks(model, images, expected)
            torch.testing.assert_close(found['masks'], wanted, atol=1e-3, rtol=0)
            assert wanted.std() > 0.01


def test_images_without_a_box(tmp_path):
    model = two_stage('Mask')
    model.roi_head.test_cfg.score_thr = 1.0
    found = ExportedFile(model, tmp_path)(padded(BATCHES[1]), BATCHES[1])
    assert {len(x) for x in found.values()} == {0}
    assert found['masks'].shape[1:] == (28, 28)


def test_a_joint_model_on_a_two_stage_detector(tmp_path):
    model = build(dict(
        type='MultiTaskDetector', detector=config('Mask'), label_scores='mean',
        image_head=dict(type='MultiLabelLinearHead', num_classes=5)))
    randomise(model.detector)
    exported = ExportedFile(model, tmp_path)
    assert exported.graph.outputs == (
        'boxes', 'scores', 'labels', 'image_ids', 'masks', 'label_scores')
    images = padded(BATCHES[2])
    found, expected = exported(images, BATCHES[2]), predict(model, images, BATCHES[2])
    assert_detections(found, expected)
    wanted = torch.stack([sample.pred_scores for sample in expected])
    torch.testing.assert_close(found['label_scores'], wanted, atol=1e-3, rtol=0)


def test_what_another_head_makes_of_its_outputs_is_refused():
    for change, message in (
            (dict(bbox_roi_extractor=dict(
                type='GenericRoIExtractor', out_channels=16, featmap_strides=[4, 8],
                roi_layer=dict(type='RoIAlign', output_size=7))), 'GenericRoIExtractor'),
            (dict(bbox_roi_extractor=dict(extractor(7), roi_layer=dict(
                type='RoIAlign', output_size=7, pool_mode='max'))), 'pool_mode=max'),
            (dict(type='TridentRoIHead', num_branch=3, test_branch_idx=1), 'TridentRoIHead')):
        cfg = config('Faster')
        cfg['roi_head'] = dict(cfg['roi_head'], **change)
        with pytest.raises(ValueError, match=message):
            build_graph(build(cfg))
    model = build({k: v for k, v in dict(config('Faster'), type='FastRCNN').items()
                   if k != 'rpn_head'})
    with pytest.raises(ValueError, match='FastRCNN cannot be exported.*rpn_head'):
        build_graph(model)
    model = build(config('Faster'))
    for part, name in ((model.rpn_head, 'rpn'), (model.roi_head, 'rcnn')):
        part.test_cfg.nms.type = 'soft_nms'
        with pytest.raises(ValueError, match=f"test_cfg.{name}.nms.type must be nms .*'soft_nms'"):
            build_graph(model)
        part.test_cfg.nms.type = 'nms'
    model.roi_head.test_cfg.nms.iou_thr = 0.5
    with pytest.raises(ValueError, match='iou_thr'):
        build_graph(model)


def masks(model: nn.Module, images: torch.Tensor, expected: list) -> torch.Tensor:
    """The mask heads' probabilities in the boxes that mmdet predicts."""
    from mmdet.structures.bbox import bbox2roi
    with torch.no_grad():
        feats = model.extract_feat(images)
        rois = bbox2roi([s.pred_instances.bboxes for s in expected])
        labels = torch.cat([s.pred_instances.labels for s in expected])
        if isinstance(model.roi_head.mask_head, nn.ModuleList):
            stages = [model.roi_head._mask_forward(i, feats, rois)['mask_preds'].sigmoid()
                      for i in range(len(model.roi_head.mask_head))]
            return torch.stack(stages).mean(0)[:, 0]
        logits = model.roi_head._mask_forward(feats, rois)['mask_preds']
        return logits.sigmoid()[range(len(labels)), labels]


def test_heads_that_are_not_plain_are_refused():
    model = build(config('Faster'))
    head = model.roi_head.bbox_head
    head.with_reg = False
    with pytest.raises(ValueError, match='with CrossEntropyLoss cannot be exported; a softmax and'):
        build_graph(model)
    head.with_reg, head.loss_cls.custom_activation = True, True
    with pytest.raises(ValueError, match='with CrossEntropyLoss cannot be exported; a softmax and'):
        build_graph(model)
    model.rpn_head.__class__ = type('OwnRPN', (type(model.rpn_head), ), dict(
        predict_by_feat=lambda self, *args: None))
    with pytest.raises(ValueError, match='OwnRPN has a post-processing of its own.*of RPNHead can'):
        build_graph(model)


@pytest.mark.parametrize('clip', [True, False])
def test_boxes_end_at_the_border_if_their_coder_says_so(clip):
    coder = DeltaXYWHBBoxCoder(clip_border=clip)
    head = SimpleNamespace(reg_class_agnostic=False, num_classes=2, bbox_coder=coder)
    boxes = torch.tensor([[1., 2., 30., 38.], [10., 4., 28., 20.]])
    deltas = torch.tensor([[-0.5, -0.5, 0.2, 0.2, 0.5, 0.5, 0.2, 0.2]] * 2)
    wanted = coder.decode(boxes, deltas, max_shape=(40, 32)).view(2, 2, 4)
    assert bool((wanted < 0).any() or (wanted > 40).any()) is not clip
    found = _decode(head, boxes, deltas, torch.tensor([[40, 32]] * 2))
    torch.testing.assert_close(found, wanted)
