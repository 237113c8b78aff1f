"""A convolution for inference that activates, and adds a shortcut, by itself."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .._compat import in_cpu_autocast, is_compiling
from ..models.layers.fast_conv import winograd_fits, winograd_pays
from ..models.layers.memory_format import format_like
from ..models.layers.winograd import convolve, lift_weight

#: Activations of `FusedConv2d`, by their names in oneDNN.
ACTIVATIONS = ('none', 'relu', 'leaky_relu')


class FusedConv2d(nn.Conv2d):
    """``act(conv(x))`` or ``relu(conv(x) + residual)`` for inference.

    On the CPU in float32 it runs by Winograd's algorithm, over weights evaluated once, where
    `FastConv2d` would; else as a single oneDNN primitive over weights that are laid out for the
    processor once for an input size: the same that ``torch.compile`` with frozen weights does,
    without a compiler. Everywhere else (GPU, other dtypes, under autocast, while exporting,
    compiling, or where a gradient is due) it runs as PyTorch's own operations; all give the same
    result up to rounding. The state dict is that of ``nn.Conv2d`` with a bias.

    Args:
        conv: The convolution to take geometry, weight and bias from.
        weight: Weight instead of that of ``conv``, e.g. with a norm layer folded into it.
        bias: Bias (out_channels,) instead of that of ``conv``.
        activation: One of `ACTIVATIONS`.
        slope: Negative slope of the leaky ReLU.

    Raises:
        ValueError: If the activation is unknown.
    """

    def __init__(self, conv: nn.Conv2d, weight: Tensor | None = None, bias: Tensor | None = None,
                 activation: str = 'none', slope: float = 0.0) -> None:
        if activation not in ACTIVATIONS:
            raise ValueError(f'activation must be one of {ACTIVATIONS}, got {activation!r}')
        weight = conv.weight if weight is None else weight
        like: Any = conv  # whose attributes are typed more widely than the arguments
        super().__init__(
            like.in_channels, like.out_channels, like.kernel_size, like.stride, like.padding,
            like.dilation, like.groups, bias=True, padding_mode=like.padding_mode, device='meta')
        if bias is None:
            bias = weight.new_zeros(weight.shape[0]) if conv.bias is None else conv.bias
        self.weight = nn.Parameter(weight.detach().clone(), requires_grad=False)
        self.bias = nn.Parameter(bias.detach().clone(), requires_grad=False)
        self.activation = activation
        self.slope = slope
        self._packed: tuple | None = None
        self._lifted: tuple | None = None

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """Convolve, then activate; with a ``residual``, add it and apply ReLU.

        Args:
            x: (N, in_channels, H, W).
            residual: (N, out_channels, H', W'); it may be overwritten. Only for convolutions
                without an activation.
        """
        if self._onednn_runs(x):
            if not (winograd_fits(self, x) and winograd_pays(self.weight)):
                return self._onednn(x, residual)
            y = format_like(convolve(x, self._lifted_weight(), len(self.weight), self.bias), x)
        else:
            y = super().forward(x)
        if residual is not None:
            return F.relu_(y + residual)
        if self.activation == 'relu':
            return F.relu_(y)
        if self.activation == 'leaky_relu':
            return F.leaky_relu_(y, self.slope)
        return y

    def extra_repr(self) -> str:
        return f'{super().extra_repr()}, activation={self.activation!r}, slope={self.slope}'

    def __getstate__(self) -> dict:
        # The packed layout cannot be copied; both are made again where they are needed.
        return {**self.__dict__, '_packed': None, '_lifted': None}

    def _onednn_runs(self, x: Tensor) -> bool:
        if is_compiling() or torch.jit.is_tracing():
            return False
        if torch.is_grad_enabled() and (x.requires_grad or self.weight.requires_grad):
            return False
        return (x.device.type == 'cpu' and x.dtype == self.weight.dtype == torch.float32
                and self.padding_mode == 'zeros' and not isinstance(self.padding, str)
                and x.numel() > 0 and torch.backends.mkldnn.is_available()
                and bool(torch.backends.mkldnn.enabled) and not in_cpu_autocast())

    def _onednn(self, x: Tensor, residual: Tensor | None) -> Tensor:
        geometry = self.padding, self.stride, self.dilation, self.groups
        weight = self._packed_weight(x, geometry)
        if residual is not None:
            return torch.ops.mkldnn._convolution_pointwise_.binary(
                format_like(residual, x), x, weight, self.bias, *geometry, 'add', 1.0, 'relu', [],
                '')
        scalars = [self.slope] if self.activation == 'leaky_relu' else []
        return torch.ops.mkldnn._convolution_pointwise(
            x, weight, self.bias, *geometry, self.activation, scalars, '')

    def _packed_weight(self, x: Tensor, geometry: tuple) -> Tensor:
        """The weight in the layout that oneDNN prefers for ``x``, packed again if that changed.

        The layout fits one input size: with that of another, oneDNN may fall back to a reference
        kernel that takes tens of milliseconds. Packing costs what a convolution over plain weights
        pays at every call, so that changing sizes (the levels of a pyramid) lose nothing.
        """
        state = self.weight.data_ptr(), self.weight._version, x.shape
        if self._packed is None or self._packed[0] != state:
            packed = torch.ops.mkldnn._reorder_convolution_weight(
                self.weight.detach(), *geometry, list(x.shape))
            self._packed = state, packed
        return self._packed[1]

    def _lifted_weight(self) -> list[Tensor]:
        """The weight as Winograd's algorithm takes it, made again if it changed."""
        state = self.weight.data_ptr(), self.weight._version
        if self._lifted is None or self._lifted[0] != state:
            self._lifted = state, list(lift_weight(self.weight.detach()))
        return self._lifted[1]
