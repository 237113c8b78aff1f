"""What the pages' blocks are given: a small data set, checkpoints of untrained models, images."""

from __future__ import annotations

import shutil
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import save_checkpoint

from tests.own_data import make_own_data
from tresnet_mm.config_files import find_config
from tresnet_mm.datasets.shapes import ShapesSpec, make_shapes
from tresnet_mm.evaluation import save_thresholds

IMAGES = 'images in '


def give(thing: str, folder: Path) -> None:
    """Put what a block names into the folder that it runs in.

    Raises:
        ValueError: If there is no such thing.
    """
    if thing.startswith(IMAGES):
        images = folder / thing.removeprefix(IMAGES)
        if not images.is_dir():
            shapes(folder)
            shutil.copytree(folder / 'data/shapes/val', images)
    elif thing in GIVEN:
        GIVEN[thing](folder)
    else:
        raise ValueError(f'there is no {thing!r} to be given: {", ".join(GIVEN)}, {IMAGES}FOLDER')


def shapes(folder: Path) -> None:
    """``data/shapes``: 32 + 8 images."""
    make_shapes(folder / 'data/shapes', ShapesSpec(num_train=32, num_val=8))


def detector(folder: Path) -> None:
    """``detector.pth`` of ``fcos_tresnet_tiny_shapes``, and its data."""
    _model(folder / 'detector.pth', 'fcos_tresnet_tiny_shapes', folder)


def classifier(folder: Path) -> None:
    """``classifier.pth`` of ``multilabel_tresnet_tiny_shapes``, and its data."""
    _model(folder / 'classifier.pth', 'multilabel_tresnet_tiny_shapes', folder)


def thresholds(folder: Path) -> None:
    """``thresholds.json`` for the six shapes."""
    names = Config.fromfile(find_config('fcos_tresnet_tiny_shapes')).metainfo.classes
    save_thresholds(folder / 'thresholds.json', [0.5] * len(names), names)


def own_data(folder: Path) -> None:
    """``photos``: images of shapes, and PASCAL VOC's XML files beside them."""
    make_own_data(folder / 'photos', max_objects=3)


def _model(file: Path, config: str, folder: Path) -> None:
    shapes(folder)
    cfg = Config.fromfile(find_config(config))
    classes = Config.fromfile(find_config('fcos_tresnet_tiny_shapes')).metainfo.classes
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(cfg.model)
    model.init_weights()
    save_checkpoint(dict(
        state_dict=model.state_dict(), meta=dict(dataset_meta=dict(classes=classes))), str(file))


GIVEN = {'shapes': shapes, 'own data': own_data, 'detector': detector, 'classifier': classifier,
         'thresholds.json': thresholds}
