"""FCOS end to end with either backbone, in mixed precision."""
from __future__ import annotations

from .. import models
from .backbone_speed import with_smaller_batches
from .parts import Row
from .settings import Settings


def training(settings: Settings) -> list[Row]:
    """Loss and backward, targets and assignment included."""
    return _detectors('train', settings)


def inference(settings: Settings) -> list[Row]:
    """Boxes from images, non-maximum suppression included."""
    return _detectors('infer', settings)


def _detectors(mode: str, settings: Settings) -> list[Row]:
    return with_smaller_batches(settings.detector_batch, settings, lambda batch: models.detectors(
        settings.arguments(**{mode: True}, batch_size=batch, image_size=settings.detector_size)))
