"""Random images with random annotations, in the form that each mm library's models take."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import mmdet.evaluation
import torch
from mmengine.config import Config

from tresnet_mm._compat import faster_coco_metric
from tresnet_mm.config_tree import parts, type_name

BATCH = 2
#: Side of the images, and the side for models that split their smallest feature map further than
#: that allows, by their folder.
IMAGE = 128
LARGER_IMAGE = {'ddod': 320, 'dino': 320}


def import_library(library: str) -> None:
    """Import all that an mm library registers.

    Of mmrotate's releases 1.x only OneDL's runs on Python 3.10. It needs torchvision, which the
    environment of the official line has, and a name from OneDL's mmdet, which that one has not.
    """
    if library == 'mmrotate':
        vars(mmdet.evaluation).setdefault('FasterCocoMetric', faster_coco_metric())
    importlib.import_module(f'{library}.utils').register_all_modules(init_default_scope=False)


def mmdet_inputs(cfg: Config, size: int) -> dict[str, Any]:
    """Images with boxes, masks and a segmentation map, of 80 classes."""
    from mmdet.testing import demo_mm_inputs
    return demo_mm_inputs(
        BATCH, [[3, size, size]] * BATCH, num_classes=80, with_mask=True, with_semantic=True)


def mmrotate_inputs(cfg: Config, size: int) -> dict[str, Any]:
    """Images with boxes of the training pipeline's box type, of the model's number of classes."""
    from mmrotate.testing import demo_mm_inputs
    if 'crop_size' in cfg.model:
        cfg.model.crop_size = (size, size)  # otherwise the boxes move as for that size
    inputs = demo_mm_inputs(BATCH, [[3, size, size]] * BATCH, use_box_type=True)
    for sample in inputs['data_samples']:
        for instances in (sample.gt_instances, sample.ignored_instances):
            for box_type in _box_types(cfg):
                instances.bboxes = instances.bboxes.convert_to(box_type)
        # demo_mm_inputs takes no single class
        sample.gt_instances.labels = torch.randint(_classes(cfg), (len(sample.gt_instances),))
    return inputs


def mmseg_inputs(cfg: Config, size: int) -> dict[str, Any]:
    """Images with a segmentation map, of the model's number of classes."""
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample
    for _, node in parts(cfg.model.get('data_preprocessor')):
        if 'size' in node:
            node['size'] = (size, size)  # otherwise training pads to 512 x 1024
    samples = []
    for _ in range(BATCH):
        sample = SegDataSample(metainfo=dict(
            img_shape=(size, size), ori_shape=(size, size), pad_shape=(size, size), flip=False))
        sample.gt_sem_seg = PixelData(data=torch.randint(_classes(cfg), (1, size, size)))
        samples.append(sample)
    return dict(inputs=_images(size), data_samples=samples)


def mmpretrain_inputs(cfg: Config, size: int) -> dict[str, Any]:
    """Images with a class, or with two where the head is a multi-label one, or views of images."""
    from mmpretrain.structures import DataSample
    if type_name(cfg.model.get('type')) not in ('ImageClassifier', 'ImageToImageRetriever'):
        views = sum(cfg.model.get('head', {}).get('loss', {}).get('num_crops', [2]))
        return dict(inputs=[torch.stack(_images(size)) for _ in range(views)],
                    data_samples=[DataSample() for _ in range(BATCH)])
    several = any('MultiLabel' in type_name(node.get('type')) or 'CSRA' in type_name(
        node.get('type')) for _, node in parts(cfg.model))
    labels = [[0, 1] if several else i for i in range(BATCH)]
    return dict(inputs=_images(size),
                data_samples=[DataSample().set_gt_label(label) for label in labels])


#: What makes the inputs, by library.
INPUTS: dict[str, Callable[[Config, int], dict[str, Any]]] = {
    'mmdet': mmdet_inputs,
    'mmpretrain': mmpretrain_inputs,
    'mmrotate': mmrotate_inputs,
    'mmseg': mmseg_inputs,
}


def _images(size: int) -> list[torch.Tensor]:
    return [torch.randint(256, (3, size, size), dtype=torch.uint8) for _ in range(BATCH)]


def _classes(cfg: Config) -> int:
    """The smallest number of classes of the model's heads."""
    return min(node['num_classes'] for _, node in parts(cfg.model)
               if isinstance(node.get('num_classes'), int))


def _box_types(cfg: Config) -> list[str]:
    """The types that the training pipeline gives its boxes, one after the other."""
    named = [node.get('box_type') or node.get('box_type_mapping', {}).get('gt_bboxes')
             for _, node in parts(cfg.train_dataloader)]
    return [box_type for box_type in named if box_type]
