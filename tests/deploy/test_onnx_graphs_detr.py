"""Files of DINO and Deformable DETR against mmdet's own predictions."""

import copy
from types import SimpleNamespace

import pytest
import torch
from mmdet.models.dense_heads import DeformableDETRHead
from mmengine.config import ConfigDict
from torch import nn

from tests.deploy.exported_file import (
    BACKBONE,
    BATCHES,
    ExportedFile,
    assert_detections,
    build,
    padded,
    predict,
)
from tresnet_mm.deploy.build_graph import build_graph
from tresnet_mm.deploy.detr_graph import DetrGraph, padding

ATTENTION = dict(embed_dims=256, num_levels=4, num_heads=4, dropout=0.0)
FFN = dict(embed_dims=256, feedforward_channels=32, ffn_drop=0.0)
DECODER = dict(
    num_layers=2, return_intermediate=True, post_norm_cfg=None, layer_cfg=dict(
        self_attn_cfg=dict(embed_dims=256, num_heads=4, dropout=0.0), cross_attn_cfg=ATTENTION,
        ffn_cfg=FFN))
KINDS = dict(
    DINO=dict(type='DINO', as_two_stage=True, with_box_refine=True, dn_cfg=dict(
        label_noise_scale=0.5, box_noise_scale=1.0, group_cfg=dict(num_groups=1, dynamic=False)),
        bbox_head=dict(type='DINOHead')),
    Deformable=dict(type='DeformableDETR', bbox_head=dict(type='DeformableDETRHead')),
    Refined=dict(type='DeformableDETR', as_two_stage=True, with_box_refine=True,
                 bbox_head=dict(type='DeformableDETRHead')))


def config(name: str) -> dict:
    """The config of a tiny model of a kind."""
    kind = copy.deepcopy(KINDS[name])  # mmdet writes into it
    return dict(
        kind, backbone=dict(BACKBONE, out_indices=(1, 2, 3)), num_queries=20, num_feature_levels=4,
        neck=dict(type='ChannelMapper', in_channels=[16, 128, 256], kernel_size=1,
                  out_channels=256, act_cfg=None, norm_cfg=dict(type='GN', num_groups=32),
                  num_outs=4),
        encoder=dict(num_layers=1, layer_cfg=dict(self_attn_cfg=ATTENTION, ffn_cfg=FFN)),
        decoder=DECODER,
        positional_encoding=dict(num_feats=128, normalize=True, offset=-0.5),
        bbox_head=dict(kind['bbox_head'], num_classes=5, sync_cls_avg_factor=True,
                       loss_cls=dict(type='FocalLoss', use_sigmoid=True)),
        test_cfg=ConfigDict(max_per_img=30))


def randomise(model: nn.Module) -> nn.Module:
    """Give a model random weights, by which its scores are not all alike."""
    model.init_weights()
    for module in (*model.bbox_head.modules(), *model.encoder.modules(), *model.decoder.modules()):
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=module.in_features ** -0.5)
            nn.init.zeros_(module.bias)
    return model


@pytest.mark.parametrize('name', KINDS)
def test_a_detr_gives_the_boxes_of_mmdet(name, tmp_path):
    model = randomise(build(config(name)))
    exported = ExportedFile(model, tmp_path)
    for sizes in BATCHES:
        images = padded(sizes)
        assert_detections(exported(images, sizes), predict(model, images, sizes))


def test_a_joint_model_on_dino(tmp_path):
    model = build(dict(
        type='MultiTaskDetector', detector=config('DINO'), label_scores='boxes',
        image_head=dict(type='MultiLabelLinearHead', num_classes=5)))
    randomise(model.detector)
    images = padded(BATCHES[2])
    found = ExportedFile(model, tmp_path)(images, BATCHES[2])
    expected = predict(model, images, BATCHES[2])
    assert_detections(found, expected)
    wanted = torch.stack([sample.pred_scores for sample in expected])
    torch.testing.assert_close(found['label_scores'], wanted, atol=1e-3, rtol=0)


def test_padding_is_where_a_mask_of_the_pixels_says():
    sizes = torch.tensor([[352, 200], [97, 353], [1, 384]])
    masks = torch.ones(3, 352, 384)
    for mask, (height, width) in zip(masks, sizes, strict=True):
        mask[:height, :width] = 0
    for shape in ((44, 48), (22, 24), (11, 12), (6, 6), (3, 3)):
        wanted = nn.functional.interpolate(masks[None], size=shape).bool()[0]
        assert torch.equal(padding(sizes, (352, 384), shape), wanted)


def test_other_detrs_are_refused():
    model = build(config('DINO'))
    model.__class__ = type('DDQDETR', (type(model),), {})
    with pytest.raises(TypeError, match='DINO and Deformable DETR can be exported, not DDQDETR'):
        build_graph(model)


def test_a_head_that_makes_more_of_its_outputs_is_refused():
    model = build(config('Deformable'))
    model.bbox_head.__class__ = type('OwnHead', (DeformableDETRHead, ), dict(
        predict_by_feat=lambda self, *args: None))
    with pytest.raises(ValueError, match='OwnHead has a post-processing of its own'):
        build_graph(model)


@pytest.mark.parametrize('use_sigmoid', [True, False])
def test_the_best_queries_are_mmdets(use_sigmoid):
    """By sigmoid a query may be two classes, by softmax the last class is none."""
    logits, boxes = torch.randn(2, 7, 4) * 3, torch.rand(2, 7, 4) / 4 + 0.25
    head = SimpleNamespace(loss_cls=SimpleNamespace(use_sigmoid=use_sigmoid), num_classes=4,
                           test_cfg=dict(max_per_img=5))
    graph = SimpleNamespace(model=SimpleNamespace(bbox_head=head), limit=5)
    scores, index, labels = DetrGraph._best(graph, logits)
    for i in range(2):
        wanted = DeformableDETRHead._predict_by_feat_single(
            head, logits[i], boxes[i], dict(img_shape=(1, 1)), rescale=False)
        assert torch.equal(scores[i], wanted.scores) and torch.equal(labels[i], wanted.labels)
        chosen = boxes[i, index[i]]
        assert torch.allclose(chosen[:, :2], (wanted.bboxes[:, :2] + wanted.bboxes[:, 2:]) / 2)
