"""Exported files against the PyTorch models they were made from."""

import copy
import sys

import numpy as np
import onnx
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import BaseDataElement
from torch import nn

from tresnet_mm.deploy import OnnxModel, export_onnx, with_onnx_model
from tresnet_mm.deploy.detector_graph import DetectorGraph
from tresnet_mm.deploy.onnx_export import build_graph
from tresnet_mm.deploy.onnx_model import _dataset_meta, _session

BACKBONE = dict(type='TResNet', arch=dict(depths=(1, 1, 1, 1), width=0.125))
CHANNELS = [8, 16, 128, 256]
ANCHORS = dict(type='AnchorGenerator', strides=[8, 16, 32])
HEADS = {
    'FCOS': dict(type='FCOSHead', regress_ranges=((-1, 64), (64, 128), (128, 1e8)),
                 norm_on_bbox=True, centerness_on_reg=True, strides=[8, 16, 32],
                 norm_cfg=dict(type='GN', num_groups=4)),
    'RetinaNet': dict(
        type='RetinaHead', anchor_generator=dict(
            ANCHORS, octave_base_scale=4, scales_per_octave=3, ratios=[0.5, 1.0, 2.0])),
    'ATSS': dict(type='ATSSHead', norm_cfg=dict(type='GN', num_groups=4), anchor_generator=dict(
        ANCHORS, octave_base_scale=8, scales_per_octave=1, ratios=[1.0])),
    'GFL': dict(type='GFLHead', norm_cfg=dict(type='GN', num_groups=4), anchor_generator=dict(
        ANCHORS, octave_base_scale=8, scales_per_octave=1, ratios=[1.0])),
}
CODERS = dict(RetinaNet='DeltaXYWHBBoxCoder', ATSS='DeltaXYWHBBoxCoder')


def detector(name: str) -> nn.Module:
    """A tiny detector with random weights, every class and place above its threshold at times."""
    init_default_scope('mmdet')
    head = dict(HEADS[name], num_classes=5, in_channels=16, feat_channels=16, stacked_convs=1)
    if name in CODERS:
        head['bbox_coder'] = dict(type=CODERS[name], target_means=[0.] * 4, target_stds=[.1] * 4)
    model = MODELS.build(ConfigDict(
        type=name, backbone=BACKBONE, bbox_head=head,
        neck=dict(type='FPN', in_channels=CHANNELS, out_channels=16, start_level=1, num_outs=3),
        data_preprocessor=dict(type='DetDataPreprocessor', pad_size_divisor=32),
        train_cfg=dict(assigner=dict(type='ATSSAssigner', topk=9)) if name != 'FCOS' else None,
        test_cfg=dict(nms_pre=60, min_bbox_size=0, score_thr=0.4, max_per_img=20,
                      nms=dict(type='nms', iou_threshold=0.5))))
    for module in model.bbox_head.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, std=0.15)
            nn.init.zeros_(module.bias) if module.bias is not None else None
    model.eval()
    with torch.no_grad():  # logits of variance 1: saturated scores would tie
        logits = model.bbox_head(model.extract_feat(torch.randn(2, 3, 64, 96)))[0]
        for layer in ('conv_cls', 'retina_cls', 'atss_cls', 'gfl_cls'):
            if hasattr(model.bbox_head, layer):
                spread = torch.cat([x.flatten() for x in logits]).std()
                getattr(model.bbox_head, layer).weight.div_(spread)
    return model


def samples(sizes: list[tuple[int, int]]) -> list:
    from mmdet.structures import DetDataSample
    return [DetDataSample(metainfo=dict(
        img_shape=size, ori_shape=(size[0] * 2, size[1] * 2), scale_factor=(0.5, 0.5)))
        for size in sizes]


@pytest.mark.parametrize('name', HEADS)
def test_a_detector_gives_the_boxes_of_mmdet(name, tmp_path):
    model = detector(name)
    path = str(tmp_path / 'detector.onnx')
    export_onnx(model, path, (64, 64))
    exported = OnnxModel(path)
    # Other batch and image sizes than the traced one, and sides that 4 does not divide.
    for sizes, padded in (([(64, 96), (60, 90)], (64, 96)), ([(101, 70)], (101, 70))):
        x = torch.randn(len(sizes), 3, *padded)
        with torch.no_grad():
            expected = model.predict(x, samples(sizes), rescale=True)
        found = exported(x, samples(sizes))
        for a, b in zip(expected, found, strict=True):
            a, b = a.pred_instances, b.pred_instances
            assert 0 < len(a) == len(b)
            torch.testing.assert_close(a.scores, b.scores, atol=1e-4, rtol=0)
            torch.testing.assert_close(a.bboxes, b.bboxes, atol=2e-2, rtol=1e-4)
            assert torch.equal(a.labels, b.labels)


def test_an_image_without_detections_and_the_wrapper_in_pytorch(tmp_path):
    model = detector('FCOS')
    model.bbox_head.test_cfg.score_thr = 1.0
    path = str(tmp_path / 'detector.onnx')
    graph = export_onnx(model, path, (64, 64))
    x = torch.randn(2, 3, 64, 64)
    found = OnnxModel(path)(x, samples([(64, 64)] * 2))
    assert [len(sample.pred_instances) for sample in found] == [0, 0]
    with torch.no_grad():
        assert [len(t) for t in graph(x, torch.tensor([[64, 64]] * 2))] == [0] * 4


@pytest.mark.parametrize('head', [
    dict(type='MultiLabelLinearHead', num_classes=7),
    dict(type='MLDecoderHead', num_classes=7, num_groups=3, embed_dims=32),
])
@pytest.mark.parametrize('fold', [True, False])
def test_a_classifier_gives_the_same_scores(head, fold, tmp_path):
    model = MODELS.build(dict(type='MultiLabelClassifier', backbone=BACKBONE, head=head)).eval()
    path = str(tmp_path / 'classifier.onnx')
    export_onnx(model, path, (64, 64), fold=fold, classes='abcdefg')
    exported = OnnxModel(path)
    for shape in ((3, 3, 64, 96), (1, 3, 75, 66)):
        x = torch.rand(shape)
        with torch.no_grad():
            expected = model(x, [BaseDataElement() for _ in x], mode='predict')
        for a, b in zip(expected, exported(x), strict=True):
            torch.testing.assert_close(a.pred_scores, b.pred_scores, atol=1e-5, rtol=0)
    props = {p.key: p.value for p in onnx.load(path).metadata_props}
    assert props['task'] == 'multilabel' and '"g"' in props['classes']
    with pytest.raises(ValueError, match="'tensor' and 'predict'"):
        exported(torch.rand(1, 3, 64, 64), mode='loss')


def test_an_export_that_fails_leaves_the_file_there_was(tmp_path, monkeypatch):
    model = MODELS.build(dict(type='MultiLabelClassifier', backbone=BACKBONE,
                              head=dict(type='MultiLabelLinearHead', num_classes=7)))
    path = tmp_path / 'classifier.onnx'
    path.write_text('the last one')

    def fail(proto):
        raise RuntimeError('damaged')

    monkeypatch.setattr(onnx.checker, 'check_model', fail)
    with pytest.raises(RuntimeError, match='damaged'):
        export_onnx(model, path, (64, 64))
    assert path.read_text() == 'the last one' and list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_exported_is_refused():
    with pytest.raises(TypeError, match='not Linear'):
        build_graph(nn.Linear(1, 1))
    model = detector('FCOS')
    for change, message in ((dict(nms=ConfigDict(type='soft_nms')), "'soft_nms'"),
                            (dict(nms_pre=-1), 'nms_pre')):
        changed = copy.deepcopy(model)
        changed.bbox_head.test_cfg.update(change)
        with pytest.raises(ValueError, match=message):
            DetectorGraph(changed)


def test_files_that_are_missing_or_foreign_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match='absent.onnx'):
        OnnxModel(str(tmp_path / 'absent.onnx'))
    node = onnx.helper.make_node('Relu', ['x'], ['y'])
    value = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1]) for n in 'xy']
    graph = onnx.helper.make_graph([node], 'g', value[:1], value[1:])
    path = str(tmp_path / 'foreign.onnx')
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', 18)],
                                     ir_version=10), path)
    with pytest.raises(ValueError, match=r"outputs \['y'\]"):
        OnnxModel(path)


def test_a_config_for_the_file_keeps_data_and_metrics():
    cfg = Config(dict(
        model=dict(type='MultiLabelClassifier'), load_from='a.pth', test_evaluator=dict(type='M'),
        custom_hooks=[dict(type='EMAHook'), dict(type='SyncBuffersHook')]))
    changed = with_onnx_model(cfg, 'b.onnx')
    assert changed.model.file == 'b.onnx' and changed.load_from is None
    assert np.allclose(changed.model.data_preprocessor.std, 255)
    assert [hook.type for hook in changed.custom_hooks] == ['SyncBuffersHook']
    assert changed.test_evaluator == cfg.test_evaluator and cfg.load_from == 'a.pth'


def test_the_file_takes_the_place_of_the_model_inside_of_test_time_augmentation():
    own = dict(type='DetDataPreprocessor', pad_size_divisor=32)
    cfg = Config(dict(model=dict(type='MultiTaskTTAModel', tta_cfg=dict(max_per_img=9), module=dict(
        type='MultiTaskDetector', detector=dict(type='FCOS', data_preprocessor=own)))))
    changed = with_onnx_model(cfg, 'b.onnx').model
    assert changed.type == 'MultiTaskTTAModel' and changed.tta_cfg.max_per_img == 9
    assert changed.module == dict(type='OnnxModel', file='b.onnx', data_preprocessor=own)


@pytest.mark.parametrize('said', [
    dict(image_heads='{"weather": {"kind": "multilabel"}}'), dict(image_heads='[1]'),
    dict(image_heads='{'), dict(thresholds='[0.5]')])
def test_metadata_that_do_not_fit_the_file_are_refused(said, tmp_path):
    model = MODELS.build(dict(type='MultiLabelClassifier', backbone=BACKBONE,
                              head=dict(type='MultiLabelLinearHead', num_classes=7)))
    path = str(tmp_path / 'a.onnx')
    export_onnx(model, path, (64, 64))
    proto = onnx.load(path)
    onnx.helper.set_model_props(proto, said)
    onnx.save(proto, path)
    with pytest.raises(ValueError, match=f'a.onnx: the {next(iter(said))} in its metadata'):
        OnnxModel(path)


def test_a_single_label_classifier_predicts_its_label(tmp_path):
    model = MODELS.build(dict(
        type='MultiLabelClassifier', backbone=dict(BACKBONE, out_indices=(3,)),
        head=dict(type='SingleLabelHead', num_classes=5))).eval()
    nn.init.normal_(model.head.fc.weight)
    images = torch.rand(3, 3, 64, 64)
    export_onnx(model, tmp_path / 'one.onnx', (64, 64))
    expected = model(images, mode='predict')
    for sample, wanted in zip(OnnxModel(str(tmp_path / 'one.onnx'))(images), expected, strict=True):
        torch.testing.assert_close(sample.pred_scores, wanted.pred_scores, rtol=0, atol=1e-5)
        assert float(sample.pred_scores.sum()) == pytest.approx(1)
        assert sample.pred_label.tolist() == wanted.pred_label.tolist()


def test_the_modes_of_an_exported_model(tmp_path):
    init_default_scope('mmdet')
    model = MODELS.build(dict(type='MultiLabelClassifier', backbone=BACKBONE, head=dict(
        type='MultiLabelLinearHead', num_classes=3))).eval()
    export_onnx(model, tmp_path / 'a.onnx', (64, 64))
    exported, x = OnnxModel(str(tmp_path / 'a.onnx')), torch.rand(2, 3, 64, 64)
    scores, = exported(x, mode='tensor')
    assert torch.equal(scores, torch.stack([s.pred_scores for s in exported(x)]))
    with pytest.raises(ValueError, match='with_preprocessing=True needs preprocessing'):
        export_onnx(model, tmp_path / 'b.onnx', (64, 64), with_preprocessing=True)
    assert [path.name for path in tmp_path.iterdir()] == ['a.onnx']
    with pytest.raises(ValueError, match="knows the modes 'tensor' and 'predict', not 'loss'"):
        exported(x, mode='loss')


def test_a_file_that_onnxruntime_cannot_run(tmp_path, monkeypatch):
    path = tmp_path / 'text.onnx'
    path.write_text('no model')
    with pytest.raises(ValueError, match='text.onnx is damaged or no ONNX file'):
        _session(str(path), 1)
    with pytest.raises(FileNotFoundError, match='ONNX file absent.onnx does not exist'):
        _session('absent.onnx', 1)
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    with pytest.raises(ImportError, match='needs onnxruntime: pip install onnxruntime'):
        _session(str(path), 1)


@pytest.mark.parametrize('classes, meta', [
    ('["a"]', dict(classes=['a'])), ('[]', None), ('{', None), ('{"a": 1}', None)])
def test_class_names_that_cannot_be_read_are_left_out(classes, meta):
    assert _dataset_meta(dict(classes=classes), {}) == meta
