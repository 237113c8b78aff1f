"""Evaluation of TResNet models."""

from ..thresholds import load_thresholds, save_thresholds
from .coco_metric import CheckedCocoMetric, CheckedFasterCocoMetric
from .dump_multilabel_scores import DumpMultiLabelScores
from .multilabel_metric import (
    MultiLabelMetric,
    average_precision,
    multilabel_scores,
    precision_recall_f1,
)
from .single_label_metric import SingleLabelMetric, single_label_scores
from .thresholds import best_f1_thresholds

__all__ = [
    'CheckedCocoMetric',
    'CheckedFasterCocoMetric',
    'DumpMultiLabelScores',
    'MultiLabelMetric',
    'SingleLabelMetric',
    'average_precision',
    'best_f1_thresholds',
    'load_thresholds',
    'multilabel_scores',
    'precision_recall_f1',
    'save_thresholds',
    'single_label_scores',
]
