"""Files of classifiers, one-stage detectors and joint models against PyTorch, with padding."""

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.structures import BaseDataElement
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
    spread_logits,
)
from tresnet_mm.deploy.detector_graph import DetectorGraph

TEST_CFG = dict(nms_pre=60, min_bbox_size=0, score_thr=0.4, max_per_img=20,
                nms=dict(type='nms', iou_threshold=0.5))
POINTS = dict(type='MlvlPointGenerator', offset=0, strides=[8, 16, 32])
HEADS = {
    'FCOS': dict(type='FCOSHead', regress_ranges=((-1, 64), (64, 128), (128, 1e8)),
                 norm_on_bbox=True, centerness_on_reg=True, strides=[8, 16, 32],
                 norm_cfg=dict(type='GN', num_groups=4)),
    'RTMDet': dict(type='RTMDetSepBNHead', anchor_generator=POINTS, share_conv=True,
                   with_objectness=False, exp_on_reg=True, pred_kernel_size=1,
                   bbox_coder=dict(type='DistancePointBBoxCoder'),
                   norm_cfg=dict(type='BN'), act_cfg=dict(type='ReLU')),
}
IMAGE_HEADS = dict(scene=dict(type='SingleLabelHead', num_classes=3),
                   weather=dict(type='MLDecoderHead', num_classes=4, embed_dims=32),
                   things=dict(type='MultiLabelDenseHead', num_classes=3, features='neck'))


def detector(name: str) -> dict:
    """The config of a tiny one-stage detector."""
    return dict(
        type=name, backbone=BACKBONE, neck=fpn(3),
        bbox_head=dict(HEADS[name], num_classes=5, in_channels=16, feat_channels=16,
                       stacked_convs=1),
        data_preprocessor=dict(type='DetDataPreprocessor', pad_size_divisor=32),
        test_cfg=ConfigDict(TEST_CFG))


def spread_image_head(head: nn.Module) -> None:
    """Make a head's scores differ by more than what the files are held to."""
    for module in head.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            nn.init.normal_(module.weight, std=0.5)


@pytest.mark.parametrize('head', [
    dict(type='MultiLabelLinearHead', num_classes=7),
    dict(type='MLDecoderHead', num_classes=7, num_groups=3, embed_dims=32),
    dict(type='SingleLabelHead', num_classes=5),
])
def test_a_classifier_leaves_padding_out(head, tmp_path):
    model = build(dict(type='MultiLabelClassifier', backbone=BACKBONE, head=head))
    spread_image_head(model.head)
    exported = ExportedFile(model, tmp_path)
    for sizes in BATCHES:
        images = padded(sizes)
        given = [BaseDataElement(metainfo=dict(img_shape=size)) for size in sizes]
        with torch.no_grad():
            expected = [s.pred_scores for s in model(images, given, mode='predict')]
            whole = [s.pred_scores for s in model(images, None, mode='predict')]
        found = exported(images, sizes)['scores']
        torch.testing.assert_close(found, torch.stack(expected), atol=1e-4, rtol=0)
        if len(sizes) == 3:  # with cells of padding alone, which would show
            assert (found - torch.stack(whole)).abs().max() > 1e-3


@pytest.mark.parametrize('name', HEADS)
@pytest.mark.parametrize('fold', [True, False])
def test_a_one_stage_detector_gives_the_boxes_of_mmdet(name, fold, tmp_path):
    model = spread_logits(build(detector(name)))
    exported = ExportedFile(model, tmp_path, fold=fold)
    for sizes in BATCHES:
        images = padded(sizes)
        assert_detections(exported(images, sizes), predict(model, images, sizes))


def test_a_head_with_a_class_for_the_background():
    """Its scores are a softmax; in PyTorch, of which the file is a trace."""
    cfg = detector('FCOS')
    cfg['bbox_head']['loss_cls'] = dict(type='CrossEntropyLoss', use_sigmoid=False)
    cfg['test_cfg']['score_thr'] = 0.1
    model = spread_logits(build(cfg))
    sizes = BATCHES[2]
    images = padded(sizes)
    with torch.no_grad():
        found = DetectorGraph(model)(images, torch.tensor(sizes))
    assert_detections(dict(zip(('boxes', 'scores', 'labels', 'image_ids'), found, strict=True)),
                      predict(model, images, sizes))


LINEAR = dict(type='MultiLabelLinearHead', num_classes=5)
DENSE = dict(type='MultiLabelDenseHead', num_classes=5, features='neck')


@pytest.mark.parametrize(('head', 'label_scores'), [
    (LINEAR, 'head'), (LINEAR, 'boxes'), (LINEAR, 'mean'), (DENSE, 'head'), (DENSE, 'mean')])
def test_a_joint_model_gives_boxes_and_labels(head, label_scores, tmp_path):
    model = joint(head, label_scores=label_scores)
    exported = ExportedFile(model, tmp_path)
    for sizes in BATCHES:
        images = padded(sizes)
        found, expected = exported(images, sizes), predict(model, images, sizes)
        assert list(found) == ['boxes', 'scores', 'labels', 'image_ids', 'label_scores',
                               'label_scores.scene', 'label_scores.weather',
                               'label_scores.things']
        assert_detections(found, expected)
        assert_labels(found['label_scores'], expected)
        for name in IMAGE_HEADS:
            assert_labels(found[f'label_scores.{name}'], [s.get(name) for s in expected])


def joint(head: dict = LINEAR, **kwargs: str) -> nn.Module:
    """A joint model with heads of all kinds; the one of the boxes' classes is calibrated."""
    model = build(dict(
        type='MultiTaskDetector', detector=detector('FCOS'), image_heads=IMAGE_HEADS,
        image_head=head, **kwargs))
    spread_logits(model.detector)
    for head in (model.image_head, *model.image_heads.values()):
        spread_image_head(head)
    model.image_head.calibration.scale = torch.full((5,), 0.5)
    model.image_head.calibration.bias = torch.linspace(-1, 1, 5)
    return model


def assert_labels(found: torch.Tensor, expected: list) -> None:
    wanted = torch.stack([sample.pred_scores for sample in expected])
    torch.testing.assert_close(found, wanted, atol=1e-3, rtol=0)
    assert wanted.std() > 1e-2


def test_a_joint_file_runs_the_backbone_once(tmp_path):
    model = joint()
    plain, both = (ExportedFile(m, tmp_path / name) for name, m in (
        ('boxes', model.detector), ('both', model)))
    of_heads = 3 * 3  # three convolutions of the dense head, on each of the neck's maps
    assert both.nodes.count('Conv') == plain.nodes.count('Conv') + of_heads


def test_scores_of_boxes_are_zero_where_there_are_none(tmp_path):
    model = joint(label_scores='boxes')
    model.detector.bbox_head.test_cfg.score_thr = 1.0
    model.image_head.calibration.scale = model.image_head.calibration.bias = None
    found = ExportedFile(model, tmp_path)(padded(BATCHES[1]), BATCHES[1])
    assert len(found['boxes']) == 0
    torch.testing.assert_close(found['label_scores'], torch.zeros(2, 5), atol=1e-9, rtol=0)


def test_a_joint_model_named_by_its_heads_alone(tmp_path):
    model = build(dict(type='MultiTaskDetector', detector=detector('FCOS'),
                       image_heads=dict(scene=IMAGE_HEADS['scene'])))
    found = ExportedFile(spread_logits(model), tmp_path)
    assert found.graph.outputs[4:] == ('label_scores.scene',)
    assert found.graph.output_axes['label_scores.scene'] == {0: 'batch'}


def test_detectors_that_predict_in_a_way_of_their_own_are_refused():
    model = build(detector('FCOS'))
    DetectorGraph(model)
    model.bbox_head.loss_cls.custom_cls_channels = True
    with pytest.raises(ValueError, match='FCOSHead with FocalLoss cannot be exported: the loss'):
        DetectorGraph(model)
    model.bbox_head.__class__ = type('OwnHead', (type(model.bbox_head), ), dict(
        predict_by_feat=lambda self, *args: None))
    with pytest.raises(ValueError, match='OwnHead has a post-processing of its own.*GFL heads can'):
        DetectorGraph(model)
    model.__class__ = type('OwnFCOS', (type(model), ), dict(predict=lambda self, *args: None))
    with pytest.raises(ValueError, match='OwnFCOS predicts in a way of its own'):
        DetectorGraph(model)
