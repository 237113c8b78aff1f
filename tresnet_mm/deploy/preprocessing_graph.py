"""A model's function of tensors with the preparation of its images inside."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .._compat import ONNX_OPSET
from .export_graph import ExportGraph

#: The operator set in which ``Resize`` has ``antialias``.
_ANTIALIAS_OPSET = 18


class PreprocessingGraph(ExportGraph):
    """From pixels to what a graph says of them: resizing, normalisation and padding included.

    All images of a batch are of one size, so each is prepared as it is alone. What the test
    pipeline resizes by Pillow is resized anti-aliased here; results are rounded to levels, as the
    pipeline's are.

    Args:
        graph: The function of preprocessed images, such as `DetectorGraph`.
        preprocessing: What `describe_preprocessing` says of them.

    Raises:
        ValueError: If images are resized by Pillow and the operator set of this version of torch
            has no anti-aliased resizing.
    """

    inputs = ('pixels',)
    mean: Tensor
    std: Tensor
    canvas_value: Tensor

    def __init__(self, graph: ExportGraph, preprocessing: Mapping[str, Any]) -> None:
        super().__init__()
        self.antialias = preprocessing['resample'] == 'pillow' and preprocessing['mode'] != 'none'
        if self.antialias and ONNX_OPSET < _ANTIALIAS_OPSET:
            raise ValueError('the test pipeline resizes by Pillow, anti-aliased, which a file can '
                             f'do from operator set {_ANTIALIAS_OPSET} on: that takes torch>=2.4')
        self.graph = graph
        self.preprocessing = dict(preprocessing)
        self.outputs = graph.outputs
        self.output_axes = graph.output_axes
        for name in ('mean', 'std', 'canvas_value'):
            value = torch.tensor(preprocessing.get(name, [0.0] * 3), dtype=torch.float32)
            self.register_buffer(name, value.view(1, 3, 1, 1), persistent=False)

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Prepare the images and run the graph.

        Args:
            pixels: Images uint8 (N, H, W, 3) in RGB, of one size.

        Returns:
            What the graph returns, with ``boxes`` in pixels of the images that were given.
        """
        given = _size(pixels, 1)
        x = pixels.permute(0, 3, 1, 2).float()
        if self.preprocessing['channels'] == 'bgr':
            x = x.flip(1)
        resized = self._resized_size(given)
        if self.preprocessing['mode'] != 'none':
            x = _Resize.apply(x, resized, self.antialias).round().clamp(0, 255)
        x = self._on_canvas(self._crop(x))
        size = _size(x, 2)
        below = torch.remainder(-size, self.preprocessing['pad_divisor'])
        x = _pad((x - self.mean) / self.std, below, self.preprocessing['pad_value'])
        outputs = self.graph(x, size.expand(x.shape[0], 2))
        outputs = (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)
        if 'boxes' not in self.outputs:
            return outputs
        scale = (resized.double() / given.double()).flip(0).repeat(2).to(x)  # w h w h
        return tuple(value / scale if name == 'boxes' else value
                     for name, value in zip(self.outputs, outputs, strict=True))

    def _resized_size(self, size: Tensor) -> Tensor:
        """Height and width after resizing, by the rules of mmcv's ``rescale_size``."""
        mode: str = self.preprocessing['mode']
        wanted: Any = self.preprocessing.get('size')
        if mode == 'squash':
            return torch.tensor(wanted)
        if mode == 'short-side':
            return torch.div(size * wanted[0], size.min(), rounding_mode='floor')
        if mode == 'letterbox':
            size = size.double()  # as Python's numbers are
            factor = torch.minimum(max(wanted) / size.max(), min(wanted) / size.min())
            return (size * factor + 0.5).long()
        return size

    def _crop(self, x: Tensor) -> Tensor:
        if 'crop' not in self.preprocessing:
            return x
        height, width = self.preprocessing['crop']
        # mmcv's round(): halves to even
        top, left = (((_size(x, 2) - torch.tensor([height, width])).double() / 2).round()
                     .clamp(min=0).long())
        return x[:, :, top:top + height, left:left + width]

    def _on_canvas(self, x: Tensor) -> Tensor:
        if 'canvas' not in self.preprocessing:
            return x
        below = (torch.tensor(self.preprocessing['canvas']) - _size(x, 2)).clamp(min=0)
        return _pad(x - self.canvas_value, below, 0.0) + self.canvas_value


class _Resize(torch.autograd.Function):
    """ONNX's linear ``Resize`` to a size that is a tensor (height, width)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, size: Tensor, antialias: bool) -> Tensor:
        """Resize (N, C, H, W)."""
        return F.interpolate(x, size.tolist(), mode='bilinear', antialias=antialias)

    @staticmethod
    def symbolic(g: Any, x: Any, size: Any, antialias: bool) -> Any:
        """Write the node into the graph."""
        shape = g.op('Shape', x)
        outer = g.op('Slice', shape, *(g.op('Constant', value_t=torch.tensor([i])) for i in (0, 2)))
        absent = g.op('Constant', value_t=torch.tensor([], dtype=torch.float32))
        options = dict(antialias_i=1, exclude_outside_i=1) if antialias else {}
        return g.op('Resize', x, absent, absent, g.op('Concat', outer, size, axis_i=0),
                    mode_s='linear', coordinate_transformation_mode_s='half_pixel', **options)


def _size(x: Tensor, axis: int) -> Tensor:
    """Height and width of images as a tensor (2,), traced along."""
    return torch.stack([torch.as_tensor(x.shape[axis]), torch.as_tensor(x.shape[axis + 1])])


def _pad(x: Tensor, below: Any, value: float) -> Tensor:
    """Pad images (N, C, H, W) at bottom and right by a tensor (2,)."""
    return F.pad(x, (0, below[1], 0, below[0]), value=value)
