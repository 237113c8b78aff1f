"""Own data to a data set, its split, a report and a config that trains."""

from .folds import folds
from .split import hold_out, missing_classes, own_parts, split

__all__ = ['folds', 'hold_out', 'missing_classes', 'own_parts', 'split']
