"""Export of classifiers and one-stage detectors to ONNX."""

import copy
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from .._compat import ONNX_OPSET, TRACING_EXPORTER
from ..models import MultiLabelClassifier
from .fuse import fuse
from .onnx_metadata import NO_CLASSES, file_metadata
from .preprocessing_graph import PreprocessingGraph

if TYPE_CHECKING:
    from .detector_graph import DetectorGraph

_INPUT_AXES = {'images': {0: 'batch', 2: 'height', 3: 'width'}, 'sizes': {0: 'batch'},
               'pixels': {0: 'batch', 1: 'height', 2: 'width'}}


class ClassifierGraph(nn.Module):
    """A multi-label classifier as a function of tensors.

    Args:
        model: The classifier.
    """

    inputs = ('images',)
    outputs = ('scores',)
    output_axes = {'scores': {0: 'batch'}}

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
                fold: bool = True, classes: Sequence[str] = (),
                image_classes: Mapping[str, Sequence[str]] = NO_CLASSES,
                preprocessing: Mapping[str, Any] | None = None, with_preprocessing: bool = False,
                version: str = '') -> 'ClassifierGraph | DetectorGraph | PreprocessingGraph':
    """Write a model to an ONNX file with dynamic batch and image size.

    The graph's input is what the model's data preprocessor returns, or with
    ``with_preprocessing`` pixels. See
    the graphs for inputs and outputs, and `file_metadata` for what the file says of itself. What
    calibrates a model's scores is in the graph.

    Args:
        model: A `MultiLabelClassifier` or a one-stage detector of mmdet.
        path: File to write.
        size: Height and width of the example that is traced; multiples of 32.
        fold: Fold the norm layers first (`fuse`).
        classes: Class names for the metadata.
        image_classes: Those of each named image head.
        preprocessing: What `describe_preprocessing` says of the images, for the metadata.
        with_preprocessing: Have the file prepare the images too (`PreprocessingGraph`).
        version: Of tresnet_mm, for the metadata.

    Returns:
        The wrapped PyTorch model that was exported: the same function of the same tensors.

    Raises:
        ImportError: If onnx is missing.
        TypeError: If it is a model of another kind.
        ValueError: If a detector's head or its ``test_cfg`` cannot be exported, or what
            ``preprocessing`` says cannot be done inside.
    """
    try:
        import onnx
    except ImportError as error:
        raise ImportError('exporting to ONNX needs onnx: pip install onnx') from error
    model = fuse(model) if fold else copy.deepcopy(model).eval()
    graph: Any = build_graph(model.cpu().float())
    if with_preprocessing:
        if preprocessing is None:
            raise ValueError('with_preprocessing=True needs preprocessing')
        graph = PreprocessingGraph(graph, preprocessing).eval()
    examples = dict(images=torch.rand(2, 3, *size), sizes=torch.tensor([size, size]),
                    pixels=torch.randint(256, (2, *size, 3), dtype=torch.uint8))
    example = [examples[name] for name in graph.inputs]
    axes = {name: _INPUT_AXES[name] for name in graph.inputs} | graph.output_axes
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
        said = file_metadata(model, classes, image_classes, preprocessing, version)
        onnx.helper.set_model_props(proto, said)
        onnx.save(proto, str(part))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return graph
