"""Export of models to ONNX."""

import copy
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .._compat import ONNX_OPSET, TRACING_EXPORTER
from .build_graph import build_graph
from .export_graph import INPUT_AXES, ExportGraph
from .fuse import fuse
from .onnx_metadata import NO_CLASSES, file_metadata
from .preprocessing_graph import PreprocessingGraph


def export_onnx(model: nn.Module, path: str | Path, size: tuple[int, int] = (224, 224),
                fold: bool = True, classes: Sequence[str] = (),
                image_classes: Mapping[str, Sequence[str]] = NO_CLASSES,
                preprocessing: Mapping[str, Any] | None = None, with_preprocessing: bool = False,
                version: str = '') -> ExportGraph:
    """Write a model to an ONNX file with dynamic batch and image size.

    The graph's images are what the model's data preprocessor returns, or with
    ``with_preprocessing`` pixels. See `ExportGraph` and `PreprocessingGraph` for its inputs,
    `ClassifierGraph`, `DetectionGraph` and `JointGraph` for its outputs, and `file_metadata` for
    what the file says of itself. What calibrates a model's scores is in the graph.

    Args:
        model: A classifier, a detector of mmdet, or a joint model; see `build_graph`.
        path: File to write.
        size: Height and width of the example that is traced; multiples of 32.
        fold: Fold the norm layers first (`fuse`).
        classes: Class names for the metadata.
        image_classes: Those of each named image head.
        preprocessing: What `describe_preprocessing` says of the images, for the metadata.
        with_preprocessing: Have the file prepare the images too.
        version: Of tresnet_mm, for the metadata.

    Returns:
        The wrapped PyTorch model that was exported: the same function of the same tensors.

    Raises:
        ImportError: If onnx is missing.
        TypeError: If it is of a kind that cannot be exported.
        ValueError: If a part or an option of it cannot, or what ``preprocessing`` says cannot be
            done by the file.
    """
    try:
        import onnx
    except ImportError as error:
        raise ImportError('exporting to ONNX needs onnx: pip install onnx') from error
    model = fuse(model) if fold else copy.deepcopy(model).eval()
    graph = build_graph(model.cpu().float())
    example: tuple[Tensor, ...] = torch.rand(2, 3, *size), torch.tensor([size, size])
    if with_preprocessing:
        if preprocessing is None:
            raise ValueError('with_preprocessing=True needs preprocessing')
        graph = PreprocessingGraph(graph, preprocessing).eval()
        example = (torch.randint(256, (2, *size, 3), dtype=torch.uint8), )
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
        said = file_metadata(model, classes, image_classes, preprocessing, version)
        onnx.helper.set_model_props(proto, said)
        onnx.save(proto, str(part))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return graph
