"""Evaluation of TResNet models."""

from ..thresholds import load_thresholds, save_thresholds
from .coco_metric import CheckedCocoMetric, CheckedFasterCocoMetric
from .dump_class_priors import DumpClassPriors
from .dump_multilabel_scores import DumpMultiLabelScores
from .multilabel_metric import MultiLabelMetric
from .multilabel_scores import average_precision, multilabel_scores, precision_recall_f1
from .reliability import Reliability, brier_score, class_errors, reliability
from .scaling import Scaling, fit_scaling, logits_of
from .single_label_metric import SingleLabelMetric, single_label_scores
from .thresholds import best_f1_thresholds, thresholds_at_precision, thresholds_at_recall

__all__ = [
    'CheckedCocoMetric',
    'CheckedFasterCocoMetric',
    'DumpClassPriors',
    'DumpMultiLabelScores',
    'MultiLabelMetric',
    'Reliability',
    'Scaling',
    'SingleLabelMetric',
    'average_precision',
    'best_f1_thresholds',
    'brier_score',
    'class_errors',
    'fit_scaling',
    'load_thresholds',
    'logits_of',
    'multilabel_scores',
    'precision_recall_f1',
    'reliability',
    'save_thresholds',
    'single_label_scores',
    'thresholds_at_precision',
    'thresholds_at_recall',
]
