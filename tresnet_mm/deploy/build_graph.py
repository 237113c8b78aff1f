"""The graph of a model, whatever its kind."""

from torch import nn

from ..models import MultiLabelClassifier, MultiTaskDetector
from .classifier_graph import ClassifierGraph
from .export_graph import DetectionGraph, ExportGraph
from .joint_graph import JointGraph

EXPORTABLE = ('classifiers, joint models, one-stage and two-stage detectors, DINO and '
              'Deformable DETR can be exported')


def build_graph(model: nn.Module) -> ExportGraph:
    """Wrap a model for export, in evaluation mode.

    Raises:
        TypeError: If it is of a kind that cannot be exported.
        ValueError: If it is of such a kind, but a part or an option of it cannot.
    """
    if isinstance(model, MultiLabelClassifier):
        return ClassifierGraph(model).eval()
    if isinstance(model, MultiTaskDetector):
        return JointGraph(model, _of_detector(model.detector)).eval()
    return _of_detector(model).eval()


def _of_detector(model: nn.Module) -> DetectionGraph:
    # Not at the top: importing mmdet.models takes seconds, which only detectors should cost.
    from mmdet.models.detectors import (
        DINO,
        DeformableDETR,
        SingleStageDetector,
        TwoStageDetector,
    )

    from .detector_graph import DetectorGraph
    from .detr_graph import DetrGraph
    from .two_stage_graph import TwoStageGraph
    if isinstance(model, SingleStageDetector):
        return DetectorGraph(model)
    if isinstance(model, TwoStageDetector):
        return TwoStageGraph(model)
    if type(model) in (DINO, DeformableDETR):
        return DetrGraph(model)
    raise TypeError(f'{EXPORTABLE}, not {type(model).__name__}')
