"""How images are prepared: what a file says of it, and what the file does itself, against mmcv."""

import cv2
import numpy as np
import onnxruntime
import pytest
import torch
from mmengine.registry import MODELS, TRANSFORMS, DefaultScope
from torch import Tensor

from tresnet_mm._compat import ONNX_OPSET
from tresnet_mm.deploy import onnx_export, onnx_metadata
from tresnet_mm.deploy.export_graph import ExportGraph
from tresnet_mm.deploy.onnx_runner import _is_preprocessing, prepare_pixels
from tresnet_mm.inference.model_source import read_model
from tresnet_mm.models.input_format import image_preprocessor

PILLOW = dict(backend='pillow')
UNIT = dict(mean=[0.] * 3, std=[255.] * 3, bgr_to_rgb=True)
CAFFE = dict(mean=[103., 116., 123.], std=[1., 2., 4.], pad_size_divisor=32, pad_value=7)
#: name: (steps of the pipeline, arguments of the data preprocessor, its ``mode``)
PREPARED = {
    'as it is': ([], UNIT, 'none'),
    'squashed by Pillow': ([dict(type='Resize', scale=(96, 64), **PILLOW)], UNIT, 'squash'),
    'squashed by PyTorch': ([dict(type='AntialiasResize', scale=(96, 64))], UNIT, 'squash'),
    'squashed by OpenCV, BGR': ([dict(type='Resize', scale=(96, 64))], CAFFE, 'squash'),
    'mmdet': ([dict(type='Resize', scale=(133, 80), keep_ratio=True)],
              dict(UNIT, pad_size_divisor=32), 'letterbox'),
    'RTMDet': ([dict(type='Resize', scale=(64, 96), keep_ratio=True),
                dict(type='Pad', size=(96, 96), pad_val=dict(img=(10, 60, 114)))], UNIT,
               'letterbox'),
    'ImageNet': ([dict(type='ResizeShortSide', side=71), dict(type='CenterCrop', crop_size=64)],
                 UNIT, 'short-side'),
    'grey mean': ([dict(type='Resize', scale=(64, 64))], dict(mean=[127.], std=[50.]), 'squash'),
    'not normalised': ([dict(type='CenterCrop', crop_size=(40, 30))], dict(bgr_to_rgb=True),
                       'none'),
}
SIZES = ((70, 203), (201, 77), (64, 64))


def built(name: str) -> tuple[list, torch.nn.Module]:
    steps, preprocessor, _ = PREPARED[name]
    with DefaultScope.overwrite_default_scope('mmdet'):
        transforms = [TRANSFORMS.build(step) for step in (
            dict(type='LoadImageChecked'), *steps, dict(type='PackMultiLabelInputs'))]
        return transforms, MODELS.build(dict(type='ImgDataPreprocessor', **preprocessor))


def photo(height: int, width: int) -> np.ndarray:
    """Smooth noise in RGB."""
    coarse = np.random.randint(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height))


def by_pipeline(transforms: list, preprocessor: torch.nn.Module, pixels: np.ndarray
                ) -> tuple[np.ndarray, tuple[int, int], tuple[float, float]]:
    """The model's input (3, h, w), the size without padding, and the factors of the resizing."""
    record = dict(img=pixels[..., ::-1].copy(), img_shape=pixels.shape[:2],
                  ori_shape=pixels.shape[:2], img_path='a.png')
    for step in transforms[1:-1]:
        record = step(record)
    scale = record.get('scale_factor', (1., 1.))
    tensor = torch.from_numpy(record['img'].copy()).permute(2, 0, 1)
    images = preprocessor(dict(inputs=[tensor]))['inputs']
    return images[0].numpy(), record['img_shape'], scale


@pytest.mark.parametrize('name', PREPARED)
def test_what_a_file_says_makes_the_input_of_the_pipeline(name):
    transforms, preprocessor = built(name)
    said = onnx_metadata.describe_preprocessing(transforms, preprocessor)
    assert said['mode'] == PREPARED[name][2] and _is_preprocessing(said)
    for size in SIZES:
        pixels = photo(*size)
        expected, sides, scale = by_pipeline(transforms, preprocessor, pixels)
        found, resized = prepare_pixels(pixels, said)
        assert found.shape[1:] == sides
        levels = 1.01 / 255 if name == 'squashed by PyTorch' else 0  # Pillow's, to a level
        np.testing.assert_allclose(found, expected[:, :sides[0], :sides[1]], atol=levels, rtol=0)
        np.testing.assert_allclose(np.divide(resized, size)[::-1], scale)
        assert all(-(-a // said['pad_divisor']) * said['pad_divisor'] == b
                   for a, b in zip(sides, expected.shape[1:], strict=True))
        outside = expected.copy()
        outside[:, :sides[0], :sides[1]] = said['pad_value']
        assert (outside == said['pad_value']).all()


class Seen(ExportGraph):
    """Gives what it is given, and boxes of the whole image."""

    outputs = ('boxes', 'scores', 'labels', 'image_ids', 'seen')
    output_axes = {'boxes': {0: 'detections'},
                   'seen': {0: 'batch', 2: 'height', 3: 'width'}}

    def forward(self, images: Tensor, sizes: Tensor) -> tuple[Tensor, ...]:
        boxes = sizes.flip(1).repeat(1, 2).float()
        one = torch.ones_like(sizes[:, 0])
        return boxes, one.float(), one, one, images * 1


@pytest.mark.parametrize('name', PREPARED)
def test_a_file_prepares_its_images_itself(name, tmp_path, monkeypatch):
    transforms, preprocessor = built(name)
    said = onnx_metadata.describe_preprocessing(transforms, preprocessor)
    monkeypatch.setattr(onnx_export, 'build_graph', lambda model: Seen())
    path = tmp_path / 'a.onnx'

    def export() -> None:
        onnx_export.export_onnx(torch.nn.Identity(), path, (64, 64), fold=False,
                                preprocessing=said, with_preprocessing=True)
    if said['resample'] == 'pillow' and said['mode'] != 'none' and ONNX_OPSET < 18:
        with pytest.raises(ValueError, match='torch>=2.4'):
            export()
        return
    export()
    session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
    assert [node.name for node in session.get_inputs()] == ['pixels']
    for size in SIZES:
        batch = np.stack([photo(*size), photo(*size)])
        boxes, *_, seen = session.run(None, dict(pixels=batch))
        for number, pixels in enumerate(batch):
            expected, sides, scale = by_pipeline(transforms, preprocessor, pixels)
            assert seen[number].shape == expected.shape
            levels = np.abs(seen[number] - expected) * np.reshape(said['std'], (3, 1, 1))
            assert levels.max() <= 1.01 and levels.mean() < 0.2  # by rounding
            whole = [sides[1] / scale[0], sides[0] / scale[1]] * 2
            np.testing.assert_allclose(boxes[number], whole, rtol=1e-6)


@pytest.mark.parametrize('step, words', [
    (dict(type='Resize', scale=(64, 64), interpolation='bicubic'), 'bicubic'),
    (dict(type='Resize', scale_factor=0.5), 'Resize of the test pipeline'),
    (dict(type='RandomFlip', prob=1.0), 'RandomFlip'),
    (dict(type='Pad', pad_to_square=True), 'Pad of the test pipeline'),
])
def test_what_cannot_be_said_is_refused(step, words):
    with DefaultScope.overwrite_default_scope('mmdet'):
        transforms = [TRANSFORMS.build(step) for step in (dict(type='LoadImageChecked'), step)]
        preprocessor = MODELS.build(dict(type='ImgDataPreprocessor'))
    with pytest.raises(ValueError, match=words):
        onnx_metadata.describe_preprocessing(transforms, preprocessor)
    with pytest.raises(ValueError, match='starts with'):
        onnx_metadata.describe_preprocessing(transforms[1:], preprocessor)


def test_steps_in_another_order_are_refused():
    with DefaultScope.overwrite_default_scope('mmdet'):
        transforms = [TRANSFORMS.build(step) for step in (
            dict(type='LoadImageChecked'), dict(type='CenterCrop', crop_size=64),
            dict(type='Resize', scale=(64, 64)))]
        preprocessor = MODELS.build(dict(type='ImgDataPreprocessor'))
    with pytest.raises(ValueError, match='Resize comes where'):
        onnx_metadata.describe_preprocessing(transforms, preprocessor)


@pytest.mark.parametrize('config', [
    'multilabel_tresnet_m_224', 'imagenet_tresnet_m', 'cifar10_tresnet_m', 'fcos_tresnet_m',
    'rtmdet_tresnet_m', 'dino_tresnet_m', 'mask_rcnn_tresnet_m', 'fcos_tresnet_tiny_shapes',
    'multilabel_tresnet_tiny_shapes', 'multitask_fcos_tresnet_tiny_shapes'])
def test_every_config_can_say_how_its_images_are_prepared(config):
    cfg = read_model(config)
    model = cfg.model.get('detector', cfg.model)
    preprocessor = (model.get('data_preprocessor') or cfg.get('data_preprocessor')
                    or image_preprocessor())
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        transforms = [TRANSFORMS.build(step) for step in cfg.test_pipeline]
        said = onnx_metadata.describe_preprocessing(transforms, MODELS.build(preprocessor))
    assert said['channels'] == 'rgb' and said['std'] == [255.] * 3
