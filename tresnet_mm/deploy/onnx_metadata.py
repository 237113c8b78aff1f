"""What an exported file says of itself, so that it can be run without its config.

The metadata of an ONNX file are texts by name:

- ``task``: 'multilabel', 'single-label', 'detection' or 'joint';
- ``classes``: JSON list of the names of the boxes' classes, or of a classifier's; empty where
  nothing names them;
- ``thresholds``: JSON list of probabilities, one a class, above which an image has its label;
  absent where there are none;
- ``image_heads``: of a joint model, a JSON object by the head's name, each with ``kind``
  ('multilabel' or 'single-label'), ``classes`` and ``thresholds`` (a list or null);
- ``mask_threshold``: of a model of masks, the probability at which a pixel is the object's;
- ``preprocessing``: JSON object, see `describe_preprocessing`; absent where nobody said;
- ``version``: of tresnet_mm when it wrote the file.
"""
from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import mmcv.transforms
from mmcv.transforms import LoadImageFromFile
from mmengine.model import ImgDataPreprocessor
from torch import Tensor, nn

from ..datasets.antialias_resize import AntialiasResize
from ..datasets.resize_short_side import ResizeShortSide
from ..models import MultiLabelClassifier, MultiTaskDetector
from ..models.heads import SingleLabelHead

#: Class names of each named image head, where there is none.
NO_CLASSES: Mapping[str, Sequence[str]] = MappingProxyType({})
_RESAMPLERS = dict(pillow='pillow', cv2='opencv')


def file_metadata(model: nn.Module, classes: Sequence[str] = (),
                  image_classes: Mapping[str, Sequence[str]] = NO_CLASSES,
                  preprocessing: Mapping[str, Any] | None = None,
                  version: str = '') -> dict[str, str]:
    """What the file of a model says, as this module lists it.

    Args:
        model: What is exported.
        classes: Names of the boxes' classes, or of a classifier's.
        image_classes: Names of the classes of each of a joint model's named image heads.
        preprocessing: What `describe_preprocessing` returned; None leaves it out.
        version: Of tresnet_mm; '' leaves it out.
    """
    said = dict(task=task_of(model), classes=json.dumps(list(classes)))
    if version:
        said['version'] = version
    thresholds = _thresholds(getattr(model, 'head', None)) if labels_images(model) else None
    if thresholds is not None:
        said['thresholds'] = json.dumps(thresholds)
    if isinstance(model, MultiTaskDetector):
        said['image_heads'] = json.dumps({
            name: dict(kind=_kind(head), classes=list(image_classes.get(name, ())),
                       thresholds=_thresholds(head)) for name, head in model.image_heads.items()})
    mask_threshold = _mask_threshold(model)
    if mask_threshold is not None:
        said['mask_threshold'] = json.dumps(mask_threshold)
    if preprocessing is not None:
        said['preprocessing'] = json.dumps(preprocessing)
    return said


def task_of(model: nn.Module) -> str:
    """The ``task`` of a model's file."""
    if isinstance(model, MultiTaskDetector):
        return 'joint'
    return _kind(model.head) if isinstance(model, MultiLabelClassifier) else 'detection'


def labels_images(model: nn.Module) -> bool:
    """Whether a model labels whole images."""
    return isinstance(model, (MultiLabelClassifier, MultiTaskDetector))


def describe_preprocessing(transforms: Sequence[Any], preprocessor: ImgDataPreprocessor
                           ) -> dict[str, Any]:
    """How a model's input is made of an image file, as plain data.

    Args:
        transforms: The test pipeline, built.
        preprocessor: The model's data preprocessor.

    Returns:
        In the order in which it is done:

        - ``mode``: 'squash' resizes to ``size``; 'letterbox' keeps the ratio,
            the longer side at most the longer of ``size``, the shorter at most the shorter;
            'short-side' keeps the ratio, the shorter side that of ``size``, the longer rounded
            down; 'none' resizes nothing;
        - ``size``: [height, width]; absent where nothing is resized;
        - ``resample``: 'pillow' (bilinear, anti-aliased) or 'opencv' (bilinear);
        - ``crop``: [height, width] that the middle of the image is cut to, where there is;
        - ``canvas``: [height, width] that the image is padded to at right and bottom
            with ``canvas_value``, levels by channel, and which counts as image; where there is;
        - ``channels``: 'rgb' or 'bgr', the order of all lists by channel;
        - ``mean`` and ``std``, in levels of 0 to 255: ``(pixels - mean) / std``;
        - ``pad_divisor``: sides are padded to multiples of it, at right and bottom,
            with ``pad_value`` after the normalisation.

    Raises:
        ValueError: If a step of the pipeline, or the data preprocessor, does something else.
    """
    said: dict[str, Any] = dict(mode='none', resample='opencv')
    loader, *steps = transforms
    if not isinstance(loader, LoadImageFromFile) or loader.color_type != 'color':
        raise ValueError(f'the test pipeline starts with {loader}, not with the loading of a '
                         'colour image')
    if not isinstance(preprocessor, ImgDataPreprocessor):
        raise ValueError(f'{type(preprocessor).__name__} is no data preprocessor of images')
    channels = 'rgb' if preprocessor._channel_conversion else 'bgr'
    done = 0  # resizing, cropping and padding come in this order alone
    for step in steps:
        name = type(step).__name__
        if 'Pack' in name or name.endswith('Annotations'):
            continue
        rank, found = _describe_step(step, channels)
        if rank <= done:
            raise ValueError(f'{name} comes where the test pipeline has it, which the metadata of '
                             'a file cannot say')
        done = rank
        said.update(found)
    mean, std = [0.0] * 3, [1.0] * 3
    if preprocessor._enable_normalize:
        mean, std = ((x.flatten().tolist() * 3)[:3] for x in (preprocessor.mean, preprocessor.std))
    return dict(said, channels=channels, mean=mean, std=std,
                pad_divisor=int(preprocessor.pad_size_divisor),
                pad_value=float(preprocessor.pad_value))


def _describe_step(step: Any, channels: str) -> tuple[int, dict[str, Any]]:
    """What a step does, and its place among the steps that do such things."""
    name = type(step).__name__
    if isinstance(step, ResizeShortSide):
        return 1, dict(mode='short-side', size=[step.side] * 2,
                       resample=_resampler(step.backend, 'bilinear'))
    ours = isinstance(step, AntialiasResize)  # Pillow's filter, to a level of 255
    if (ours or isinstance(step, mmcv.transforms.Resize) and name == 'Resize') and step.scale:
        return 1, dict(mode='letterbox' if step.keep_ratio else 'squash',
                       size=[int(side) for side in reversed(step.scale)],
                       resample=_resampler('pillow' if ours else step.backend, step.interpolation))
    if isinstance(step, mmcv.transforms.CenterCrop) and not step.auto_pad:
        return 2, dict(crop=[int(side) for side in reversed(step.crop_size)])
    if isinstance(step, mmcv.transforms.Pad) and step.size and step.padding_mode == 'constant':
        value = step.pad_val.get('img', 0)
        levels = list(value) if isinstance(value, (list, tuple)) else [value] * 3
        return 3, dict(canvas=[int(side) for side in reversed(step.size)],
                       canvas_value=levels[::-1] if channels == 'rgb' else levels)
    raise ValueError(f'{name} of the test pipeline is nothing that the metadata of a file can say')


def _resampler(backend: str, interpolation: str) -> str:
    if interpolation != 'bilinear' or backend not in _RESAMPLERS:
        raise ValueError(f'the test pipeline resizes by {backend} {interpolation}: the metadata of '
                         'a file can say bilinear alone, of pillow or cv2')
    return _RESAMPLERS[backend]


def _kind(head: nn.Module) -> str:
    return 'single-label' if isinstance(head, SingleLabelHead) else 'multilabel'


def _thresholds(head: Any) -> list[float] | None:
    values: Tensor | None = getattr(head, 'thresholds', None)
    return None if values is None else [round(value, 7) for value in values.tolist()]


def _mask_threshold(model: Any) -> float | None:
    """The probability at which a pixel is the object's, of a detector of masks."""
    host: Any = getattr(getattr(model, 'detector', model), 'roi_head', None)
    if not getattr(host, 'with_mask', False):
        return None
    return float((host.test_cfg or {}).get('mask_thr_binary', 0.5))
