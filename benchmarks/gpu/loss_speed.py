"""The asymmetric losses against their plain forms, binary cross entropy and mmdet's focal loss."""
from __future__ import annotations

from .. import losses
from .parts import Row
from .settings import Settings


def multilabel(settings: Settings) -> list[Row]:
    """Forward and backward on multi-hot targets, with memory."""
    return losses.multilabel(settings.arguments())


def detection(settings: Settings) -> list[Row]:
    """The same on integer classes; mmdet's loss needs mmcv's operations for a GPU."""
    return losses.detection(settings.arguments())
