"""Export of classifiers and one-stage detectors to ONNX."""

import copy
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from .._compat import ONNX_OPSET, TRACING_EXPORTER
from ..models import MultiLabelClassifier
from ..models.heads import SingleLabelHead
from .fuse import fuse

if TYPE_CHECKING:
    from .detector_graph import DetectorGraph


class ClassifierGraph(nn.Module):
    """A multi-label classifier as a function of tensors.

    Args:
        model: The classifier.
    """

    inputs = ('images',)
    outputs = ('scores',)

    def __init__(self, model: MultiLabelClassifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Map preprocessed images (N, 3, H, W) to probabilities (N, num_classes), calibrated."""
        return self.model.head.probabilities(self.model(images, mode='tensor'))


def build_graph(model: nn.Module) -> 'ClassifierGraph | DetectorGraph':
    """Wrap a model for export.

    Raises:
        TypeError: If it is neither a `MultiLabelClassifier` nor a ``SingleStageDetector``.
    """
    if isinstance(model, MultiLabelClassifier):
        return ClassifierGraph(model).eval()
    # Not at the top: importing mmdet.models takes seconds, which only detectors should cost.
    from .detector_graph import DetectorGraph, SingleStageDetector
    if isinstance(model, SingleStageDetector):
        return DetectorGraph(model).eval()
    raise TypeError('multi-label classifiers and one-stage detectors can be exported, not '
                    f'{type(model).__name__}')


def export_onnx(model: nn.Module, path: str | Path, size: tuple[int, int] = (224, 224),
                fold: bool = True,
                classes: Sequence[str] = ()) -> 'ClassifierGraph | DetectorGraph':
    """Write a model to an ONNX file with dynamic batch and image size.

    The graph's input is what the model's data preprocessor returns. See `ClassifierGraph` and
    `DetectorGraph` for inputs and outputs; the file's metadata names the task and the classes,
    and has the thresholds of a classifier's head. What calibrates its scores is in the graph.

    Args:
        model: A `MultiLabelClassifier` or a one-stage detector of mmdet.
        path: File to write.
        size: Height and width of the example that is traced; multiples of 32.
        fold: Fold the norm layers first (`fuse`).
        classes: Class names for the metadata.

    Returns:
        The wrapped PyTorch model that was exported: the same function of the same tensors.

    Raises:
        ImportError: If onnx is missing.
        TypeError: If it is a model of another kind.
        ValueError: If a detector's head or its ``test_cfg`` cannot be exported.
    """
    try:
        import onnx
    except ImportError as error:
        raise ImportError('exporting to ONNX needs onnx: pip install onnx') from error
    model = fuse(model) if fold else copy.deepcopy(model).eval()
    graph = build_graph(model.cpu().float())
    example = [torch.rand(2, 3, *size)]
    if len(graph.inputs) > 1:
        example.append(torch.tensor([size, size]))
    batch_of_inputs = {'images': {0: 'batch', 2: 'height', 3: 'width'}, 'sizes': {0: 'batch'}}
    axes = {name: batch_of_inputs[name] for name in graph.inputs}
    of_outputs = 'batch' if graph.outputs == ('scores',) else 'detections'
    axes.update({name: {0: of_outputs} for name in graph.outputs})
    part = Path(f'{path}.part')  # so that a file of the name is always a whole one
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter('ignore')  # the tracer on shapes, and its own deprecation
            # The tracing exporter: detections have a data-dependent number, and NMS is a node of
            # its own, neither of which torch.export takes without rewriting mmdet's heads.
            torch.onnx.export(
                graph, tuple(example), str(part), opset_version=ONNX_OPSET, **TRACING_EXPORTER,
                input_names=list(graph.inputs), output_names=list(graph.outputs),
                dynamic_axes=axes)
        proto = onnx.load(str(part))
        onnx.checker.check_model(proto)
        said = dict(task=_task(model), classes=json.dumps(list(classes)))
        if isinstance(model, MultiLabelClassifier) and model.head.thresholds is not None:
            said['thresholds'] = json.dumps(model.head.thresholds.tolist())
        onnx.helper.set_model_props(proto, said)
        onnx.save(proto, str(part))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return graph


def _task(model: nn.Module) -> str:
    if not isinstance(model, MultiLabelClassifier):
        return 'detection'
    return 'single-label' if isinstance(model.head, SingleLabelHead) else 'multilabel'
