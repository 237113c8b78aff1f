"""Export of models to ONNX."""

import copy
import json
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from .._compat import ONNX_OPSET, TRACING_EXPORTER
from ..models import MultiLabelClassifier, MultiTaskDetector
from ..models.heads import SingleLabelHead
from .build_graph import build_graph
from .export_graph import INPUT_AXES, ExportGraph
from .fuse import fuse


def export_onnx(model: nn.Module, path: str | Path, size: tuple[int, int] = (224, 224),
                fold: bool = True,
                classes: Sequence[str] = ()) -> ExportGraph:
    """Write a model to an ONNX file with dynamic batch and image size.

    The graph's images are what the model's data preprocessor returns. See `ExportGraph` for its
    inputs, `ClassifierGraph`, `DetectionGraph` and `JointGraph` for its outputs; the file's
    metadata names the task and the classes, and has the thresholds of a classifier's head. What
    calibrates its scores is in the graph.

    Args:
        model: A classifier, a detector of mmdet, or a joint model; see `build_graph`.
        path: File to write.
        size: Height and width of the example that is traced; multiples of 32.
        fold: Fold the norm layers first (`fuse`).
        classes: Class names for the metadata.

    Returns:
        The wrapped PyTorch model that was exported: the same function of the same tensors.

    Raises:
        ImportError: If onnx is missing.
        TypeError: If it is of a kind that cannot be exported.
        ValueError: If a part or an option of it cannot.
    """
    try:
        import onnx
    except ImportError as error:
        raise ImportError('exporting to ONNX needs onnx: pip install onnx') from error
    model = fuse(model) if fold else copy.deepcopy(model).eval()
    graph = build_graph(model.cpu().float())
    example = torch.rand(2, 3, *size), torch.tensor([size, size])
    part = Path(f'{path}.part')  # so that a file of the name is always a whole one
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter('ignore')  # the tracer on shapes, and its own deprecation
            # The tracing exporter: detections have a data-dependent number, and NMS is a node of
            # its own, neither of which torch.export takes without rewriting mmdet's heads.
            torch.onnx.export(
                graph, example, str(part), opset_version=ONNX_OPSET, **TRACING_EXPORTER,
                input_names=list(graph.inputs), output_names=list(graph.outputs),
                dynamic_axes={**INPUT_AXES, **graph.output_axes})
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
    if isinstance(model, MultiTaskDetector):
        return 'joint'
    if not isinstance(model, MultiLabelClassifier):
        return 'detection'
    return 'single-label' if isinstance(model.head, SingleLabelHead) else 'multilabel'
