"""Static quantisation of exported ONNX files to 8 bits, by onnxruntime."""
from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..whole_file import whole_file
from .onnx_parts import LAYERS, PARTS, OnnxParts

#: Parts that stay in float by default: docs/deployment_speed.md has what was measured.
FLOAT_PARTS = ('last', 'decoding')
#: What may be quantised: the layers, and the arithmetic for which onnxruntime has 8-bit kernels.
OPERATIONS = (*LAYERS, 'Add', 'AveragePool', 'Concat', 'GlobalAveragePool', 'LeakyRelu', 'MaxPool',
              'Mul', 'Pad', 'Relu', 'Resize', 'Sigmoid')


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

    Weights are signed, with a scale for each output channel; activations unsigned, with a scale
    for each tensor, from the least to the greatest value that the images give. The file has the
    inputs, outputs and metadata of the float one, and runs as that one does; 8 bits are written as
    the operators ``QuantizeLinear`` and ``DequantizeLinear`` around those of the float file.

    Args:
        file: What `export_onnx` wrote.
        out: The file to write.
        feeds: The file's inputs by name, a batch at a time, of images as the model will see; some
            dozens of images suffice. Other names are left out.
        float_parts: Which of `PARTS` stay in float.
        reduce_range: Weights in 7 bits, for x86 processors without VNNI instructions, where sums
            of 8-bit products may overflow.

    Raises:
        ImportError: If onnx or onnxruntime is missing.
        FileNotFoundError: If the file does not exist.
        ValueError: If it is damaged or quantised already; there are no feeds, or one does not fit
            the file; a part has another name, or no layer would be quantised.
    """
    onnx = _import_onnx()
    unknown = [part for part in float_parts if part not in PARTS]
    if unknown:
        raise ValueError(f'float_parts: {unknown[0]!r} is none of {", ".join(PARTS)}')
    proto = _load(onnx, file)
    reader = _Reader(feeds, [value.name for value in proto.graph.input])
    with tempfile.TemporaryDirectory() as folder, whole_file(out) as part:
        prepared = Path(folder) / 'prepared.onnx'
        _prepare(file, prepared)
        parts = OnnxParts(onnx.load(prepared).graph)
        kept = parts.names(float_parts)
        if parts.layers <= kept:
            raise ValueError(f'no layer is left for 8 bits in {file} with float_parts: '
                             f'{", ".join(float_parts)}')
        _quantize(prepared, part, reader, kept | parts.rest, reduce_range)
        quantized = onnx.load(part)
        said = {entry.key: entry.value for entry in proto.metadata_props}
        said['quantization'] = json.dumps(dict(
            float_parts=list(float_parts), calibration_images=reader.images))
        del quantized.metadata_props[:]
        onnx.helper.set_model_props(quantized, said)
        onnx.checker.check_model(quantized)
        onnx.save(quantized, part)
    return QuantizeReport(
        tuple(sorted(parts.layers - kept)), tuple(sorted(parts.layers & kept)), reader.images)


class _Reader:
    """Hands feeds to onnxruntime's calibration, checked and counted."""

    def __init__(self, feeds: Iterable[Mapping[str, np.ndarray]], inputs: Sequence[str]) -> None:
        self.images = 0
        self._feeds = iter(feeds)
        self._inputs = inputs

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next feed; None where there are no more."""
        feed = next(self._feeds, None)
        if feed is None:
            if not self.images:
                raise ValueError('feeds: there is no image to calibrate on')
            return None
        missing = [name for name in self._inputs if name not in feed]
        if missing:
            raise ValueError(f'feeds: the file has the input {missing[0]!r}, and one feed has only '
                             f'{sorted(feed)}')
        self.images += len(feed[self._inputs[0]])
        return {name: feed[name] for name in self._inputs}


def _load(onnx: Any, file: str | Path) -> Any:
    if not Path(file).is_file():
        raise FileNotFoundError(f'ONNX file {file} does not exist')
    try:
        proto = onnx.load(file)
        onnx.checker.check_model(proto)
    except Exception as error:  # protobuf's and the checker's, which share no base
        raise ValueError(f'{file} is damaged or no ONNX file: {error}') from error
    if any(node.op_type == 'DequantizeLinear' for node in proto.graph.node):
        raise ValueError(f'{file} is quantised already: give the file that it was made of')
    return proto


def _prepare(file: str | Path, prepared: Path) -> None:
    """Write the file with its constants folded, so that weights are weights, and with shapes."""
    from onnxruntime.quantization.shape_inference import quant_pre_process
    # Symbolic inference would stop at the number of detections.
    quant_pre_process(str(file), str(prepared), skip_symbolic_shape=True)


def _quantize(prepared: Path, out: Path, reader: _Reader, kept: set[str], reduce_range: bool
              ) -> None:
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    try:
        with _without_advice():
            quantize_static(
                str(prepared), str(out), reader, quant_format=QuantFormat.QDQ,
                op_types_to_quantize=list(OPERATIONS), per_channel=True,
                reduce_range=reduce_range, activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8, nodes_to_exclude=sorted(kept))
    except (Fail, InvalidArgument) as error:  # the session's, of a type or shape
        raise ValueError(f'feeds: one does not fit the file: {error}') from error


@contextmanager
def _without_advice() -> Iterator[None]:
    """Keep onnxruntime from recommending what was done already."""
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
        import onnxruntime.quantization  # noqa: F401  # the rest of it is imported where it is used
    except ImportError as error:
        raise ImportError('quantising needs onnx and onnxruntime: pip install onnx onnxruntime'
                          ) from error
    return onnx
