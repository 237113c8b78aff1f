"""Static quantisation of exported ONNX files to 8 bits, by onnxruntime."""
from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from ..whole_file import whole_file
from .graph_parts import LAYERS, PARTS, GraphParts

#: Parts that lose accuracy in 8 bits, or win no time: docs/deployment_speed.md has the figures.
FLOAT_PARTS = ('last', 'decoding')
#: What may be quantised: the layers, and the arithmetic that would else leave 8 bits between them.
OPERATIONS = (*LAYERS, 'Add', 'Mul', 'Relu', 'LeakyRelu', 'Sigmoid', 'AveragePool',
              'GlobalAveragePool', 'ReduceMean', 'MaxPool', 'Pad', 'Resize', 'Concat',
              'InstanceNormalization', 'Div', 'Sub', 'Exp', 'Clip')


@dataclass(frozen=True)
class QuantizeReport:
    """What `quantize_onnx` did.

    Attributes:
        quantized: Names of the layers in 8 bits.
        kept: Names of the layers in float.
        images: Calibrated on so many.
    """

    quantized: tuple[str, ...]
    kept: tuple[str, ...]
    images: int

    def __str__(self) -> str:
        return (f'{len(self.quantized)} layers in 8 bits, {len(self.kept)} in float, calibrated on '
                f'{self.images} images')


def quantize_onnx(file: str | Path, out: str | Path, feeds: Iterable[Mapping[str, np.ndarray]],
                  float_parts: Sequence[str] = FLOAT_PARTS, reduce_range: bool = False
                  ) -> QuantizeReport:
    """Write a copy of an exported file whose layers compute in 8 bits.

    Weights are signed, with a scale for each output channel; activations unsigned, with one scale
    for each tensor, by the least and greatest value that the images give. The file (operators
    ``QuantizeLinear`` and ``DequantizeLinear``) has the inputs, outputs and metadata of the float
    one, and is run as that one is.

    Args:
        file: What `export_onnx` wrote.
        out: The file to write.
        feeds: Inputs of the file by name, a batch of any size each, of images as the model will
            see; some dozens suffice. Names that the file does not take are left out.
        float_parts: Which of `PARTS` stay in float.
        reduce_range: Weights in 7 bits, for processors without VNNI instructions, where sums of
            8-bit products may overflow.

    Raises:
        ImportError: If onnx or onnxruntime is missing.
        FileNotFoundError: If the file does not exist.
        ValueError: If it is damaged or quantised already; there are no feeds; one lacks an input
            or does not fit it; or a part has another name.
    """
    onnx = _import_onnx()
    unknown = [part for part in float_parts if part not in PARTS]
    if unknown:
        raise ValueError(f'float_parts: {unknown[0]!r} is none of {", ".join(PARTS)}')
    if not Path(file).is_file():
        raise FileNotFoundError(f'ONNX file {file} does not exist')
    reader = _Reader(feeds)
    with tempfile.TemporaryDirectory() as folder, whole_file(out) as part, _quiet():
        prepared = str(Path(folder) / 'prepared.onnx')
        said, inputs = _prepare(onnx, str(file), prepared)
        reader.inputs = inputs
        model = onnx.load(prepared)
        parts = GraphParts(model.graph)
        kept = parts.names(float_parts)
        _quantize(prepared, str(part), reader, kept, reduce_range, file)
        model = onnx.load(str(part))
        del model.metadata_props[:]
        said['quantization'] = json.dumps(dict(
            float_parts=list(float_parts), calibration_images=reader.images))
        onnx.helper.set_model_props(model, said)
        onnx.checker.check_model(model)
        onnx.save(model, str(part))
    return QuantizeReport(tuple(sorted(parts.layers - kept)), tuple(sorted(parts.layers & kept)),
                          reader.images)


class _Reader:
    """What onnxruntime's calibration takes feeds from, one after the other."""

    def __init__(self, feeds: Iterable[Mapping[str, np.ndarray]]) -> None:
        self.feeds = iter(feeds)
        self.inputs: Sequence[str] = ()
        self.images = 0

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next feed; None where there are no more."""
        feed = next(self.feeds, None)
        if feed is None:
            return None
        missing = [name for name in self.inputs if name not in feed]
        if missing:
            raise ValueError(f'feeds: one has {", ".join(feed) or "nothing"}, not the input '
                             f'{missing[0]!r} of the file')
        self.images += len(feed[self.inputs[0]])
        return {name: feed[name] for name in self.inputs}


def _prepare(onnx: Any, file: str, prepared: str) -> tuple[dict[str, str], list[str]]:
    """Write the file with constants folded and shapes inferred; its metadata and inputs."""
    from onnxruntime.quantization.shape_inference import quant_pre_process
    try:
        model = onnx.load(file)
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf's and the checker's, which share no base
        raise ValueError(f'{file} is damaged or no ONNX file: {error}') from error
    if any(node.op_type == 'DequantizeLinear' for node in model.graph.node):
        raise ValueError(f'{file} is quantised already: give the file that it was made of')
    # Symbolic inference stops at the number of detections, and needs sympy.
    quant_pre_process(file, prepared, skip_symbolic_shape=True)
    said = {entry.key: entry.value for entry in model.metadata_props}
    return said, [value.name for value in model.graph.input]


def _quantize(prepared: str, out: str, reader: _Reader, kept: set[str], reduce_range: bool,
              file: str | Path) -> None:
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    first = reader.get_next()
    if first is None:
        raise ValueError('feeds: there is no image to calibrate on')
    ...
    quantize_static(
        prepared, out, reader, quant_format=QuantFormat.QDQ, op_types_to_quantize=list(OPERATIONS),
        per_channel=True, reduce_range=reduce_range, activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8, nodes_to_exclude=sorted(kept))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without onnxruntime's advice, which was followed."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _import_onnx() -> Any:
    try:
        import onnx
        import onnxruntime.quantization  # noqa: F401  # which needs onnx
    except ImportError as error:
        raise ImportError('quantising needs onnx and onnxruntime: pip install onnx onnxruntime'
                          ) from error
    return onnx
