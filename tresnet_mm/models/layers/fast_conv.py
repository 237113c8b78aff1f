"""A convolution layer that takes the fastest algorithm for each of its passes on a CPU."""

from collections.abc import Callable
from typing import Any

import torch
from mmengine.registry import MODELS
from torch import Tensor, nn

from ..._compat import in_cpu_autocast, is_compiling
from .memory_format import channels_come_last, format_like
from .winograd import convolve, coverage, lift_weight, num_tiles, weight_gradient

#: Gradient of a convolution's weight, from its input, its output's gradient, and the weight.
WeightGradient = Callable[[Tensor, Tensor, Tensor], Tensor]

#: Whether Winograd's algorithm is used at all. With vectors of 512 bits oneDNN's own convolutions
#: are twice as fast as with 256, which evaluating the tiles is not: measured there, training is 0.5
#: to 0.9 as fast as through oneDNN, inference 0.4 to 0.96, at any number of channels and tiles.
WINOGRAD = torch.backends.cpu.get_cpu_capability() != 'AVX512'

# All measured on AVX2 cores against oneDNN. Winograd's algorithm pays where the products that it
# saves outweigh evaluating the tiles (channels), the filters (tiles) and ragged borders (coverage).
MIN_CHANNELS = 96
MIN_CHANNELS_WEIGHT = 48
MIN_TILES = 32
MIN_COVERAGE = 0.5


@MODELS.register_module()
class FastConv2d(nn.Conv2d):
    """``nn.Conv2d`` that is faster on a CPU in float32, above all in training.

    There, at stride 1, 3x3 convolutions run by Winograd's algorithm (see `winograd`) where that
    pays (not on processors with AVX-512), and the weight's gradient of 1x1 convolutions in
    ``torch.channels_last`` is one matrix product. Everything else (other geometries and dtypes,
    GPUs, under autocast, while compiling, tracing or exporting) is PyTorch's own. Results are the
    same up to rounding, what is kept for backward is the same, arguments and state dict are those
    of ``nn.Conv2d``. Gradients of gradients need ``nn.Conv2d``. For other mm models:
    ``conv_cfg=dict(type='FastConv2d')``.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``x`` (N, in_channels, H, W)."""
        if not (winograd_fits(self, x) or pointwise_fits(self, x)):
            return super().forward(x)
        y = _FastConv2d.apply(x, self.weight, self.padding)
        return y if self.bias is None else y + self.bias[:, None, None]

    def weight_gradient(self, x: Tensor) -> WeightGradient | None:
        """Tell how the weight's gradient is best computed where another layer does the convolving.

        Args:
            x: The convolution's input (N, in_channels, H, W).

        Returns:
            A function like `pointwise_weight_gradient`, or None for PyTorch's own way.
        """
        return pointwise_weight_gradient if pointwise_fits(self, x) else None


def winograd_fits(conv: nn.Conv2d, x: Tensor) -> bool:
    """Whether Winograd's algorithm can compute ``conv(x)`` and pays at least in training."""
    return (WINOGRAD and _eligible(conv, x)
            and conv.kernel_size == (3, 3) and conv.padding == (1, 1)
            and min(conv.weight.shape[:2]) >= MIN_CHANNELS_WEIGHT
            and num_tiles(x.shape) >= MIN_TILES and coverage(x.shape) >= MIN_COVERAGE)


def pointwise_fits(conv: nn.Conv2d, x: Tensor) -> bool:
    """Whether the weight's gradient of ``conv(x)`` is to be a matrix product."""
    return (_eligible(conv, x) and conv.kernel_size == (1, 1) and conv.padding == (0, 0)
            and channels_come_last(x) and torch.is_grad_enabled())


def winograd_pays(weight: Tensor) -> bool:
    """Whether it pays for output and input's gradient too, where it fits."""
    return min(weight.shape[:2]) >= MIN_CHANNELS and weight.shape[2:] == (3, 3)


def pointwise_weight_gradient(x: Tensor, grad: Tensor, weight: Tensor) -> Tensor:
    """Weight's gradient of a 1x1 convolution of stride 1, as a matrix product.

    Args:
        x: Input (N, C, H, W) of the convolution, in channels_last.
        grad: Gradient (N, O, H, W) of its output.
        weight: Its weight (O, C, 1, 1).

    Returns:
        (O, C, 1, 1) with the strides of ``weight``, which data-parallel training insists on.
    """
    gradient = torch.empty_like(weight)
    rows = grad.permute(0, 2, 3, 1).reshape(-1, grad.shape[1])
    torch.mm(rows.t(), x.permute(0, 2, 3, 1).flatten(0, 2), out=gradient.flatten(1))
    return gradient


def _eligible(conv: nn.Conv2d, x: Tensor) -> bool:
    if is_compiling() or torch.jit.is_tracing() or in_cpu_autocast():
        return False
    return (conv.stride == conv.dilation == (1, 1) and conv.groups == 1
            and conv.padding_mode == 'zeros' and x.dim() == 4 and x.device.type == 'cpu'
            and x.dtype == conv.weight.dtype == torch.float32 and x.numel() > 0)


class _FastConv2d(torch.autograd.Function):

    @staticmethod
    def forward(x: Tensor, weight: Tensor, padding: tuple[int, int]) -> Tensor:
        if winograd_pays(weight):
            return format_like(convolve(x, lift_weight(weight), len(weight)), x)
        return torch.conv2d(x, weight, padding=padding)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        x, weight, ctx.padding = inputs
        ctx.save_for_backward(x, weight)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        grad_x = grad_weight = None
        if ctx.needs_input_grad[0]:
            if winograd_pays(weight):
                lifted = lift_weight(weight, transposed=True)
                grad_x = format_like(convolve(grad, lifted, x.shape[1]), x)
            else:
                grad_x = torch.ops.aten.convolution_backward(
                    grad, x, weight, None, [1, 1], ctx.padding, [1, 1], False, [0, 0], 1,
                    [True, False, False])[0]
        if ctx.needs_input_grad[1]:
            if weight.shape[2:] == (1, 1):
                grad_weight = pointwise_weight_gradient(x, grad, weight)
            else:
                grad_weight = weight_gradient(x, grad)
        return grad_x, grad_weight, None
