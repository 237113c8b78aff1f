"""In-place activated batch norm in plain PyTorch."""

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .group_statistics import group_statistics, update_running
from .memory_format import format_like

ACTIVATIONS = ('leaky_relu', 'elu', 'identity')
BACKENDS = ('torch', 'inplace_abn')


@MODELS.register_module()
class InPlaceABN(_BatchNorm):
    """Batch norm and an invertible activation that keep one tensor for backward (arXiv 1712.02616).

    ``y = act(x_hat * (|weight| + eps) + bias)``, where ``x_hat`` is the input normalised by the
    batch's statistics (training) or the running ones (evaluation). Only ``y`` is kept, which the
    next convolution keeps anyway: backward recovers ``x_hat`` by inverting the activation and the
    affine step. The scale's absolute value and ``eps`` make that possible; they are what
    distinguishes the state dict from that of ``nn.BatchNorm2d``, whose keys are the same.

    It is an activation too, so that a ``norm_cfg`` of this type goes with ``act_cfg=None``. As its
    output is what backward starts from, nothing may overwrite that in place.

    Where the scale comes close to ``eps``, ``x_hat`` is recovered with an error of about
    ``|bias| / scale`` roundings, as in the compiled package; it only enters the weight's gradient.

    Args:
        num_features: Number of channels C.
        eps: Added to the variance and to the scale.
        momentum: Weight of the batch's statistics in the running ones; None averages all batches.
        affine: Whether there are a weight and a bias to learn; without, the scale is 1.
        activation: 'leaky_relu', 'elu' or 'identity'.
        activation_param: Slope of the leaky ReLU (> 0) or alpha of the ELU (> 0).
        sync: Take the statistics over all processes of the default group in training. The
            processes may have batches of different sizes. Without a group it changes nothing.
        backend: 'torch', or 'inplace_abn' for the compiled package of that name, which overwrites
            its input.

    Raises:
        ValueError: If an argument is out of its range.
        ImportError: If ``backend='inplace_abn'`` and the package is missing.

    Examples:
        >>> import torch
        >>> from tresnet_mm.models.layers import InPlaceABN
        >>> layer = InPlaceABN(8, activation_param=0.001)
        >>> layer(torch.randn(2, 8, 4, 4)).shape
        torch.Size([2, 8, 4, 4])
        >>> sorted(layer.state_dict())  # those of nn.BatchNorm2d
        ['bias', 'num_batches_tracked', 'running_mean', 'running_var', 'weight']

        As the norm layer of any mm model, in place of batch norm and ReLU:

        >>> from mmcv.cnn import ConvModule
        >>> ConvModule(3, 8, 3, norm_cfg=dict(type='InPlaceABN'), act_cfg=None).bn.activation
        'leaky_relu'
    """

    running_mean: Tensor  # in the base class they may be None
    running_var: Tensor
    num_batches_tracked: Tensor

    _abbr_ = 'bn'  # the name mmcv's ConvModule gives the layer

    def __init__(self,
                 num_features: int,
                 eps: float = 1e-5,
                 momentum: float | None = 0.1,
                 affine: bool = True,
                 activation: str = 'leaky_relu',
                 activation_param: float = 0.01,
                 sync: bool = False,
                 backend: str = 'torch') -> None:
        super().__init__(num_features, eps, momentum, affine)
        if activation not in ACTIVATIONS:
            raise ValueError(f'activation must be one of {ACTIVATIONS}, got {activation!r}')
        if activation != 'identity' and not activation_param > 0:
            raise ValueError('activation_param must be above 0, so that the activation can be '
                             f'inverted, got {activation_param}')
        if backend not in BACKENDS:
            raise ValueError(f'backend must be one of {BACKENDS}, got {backend!r}')
        if backend == 'inplace_abn':
            _import_inplace_abn()
        self.activation = activation
        self.activation_param = activation_param
        self.sync = sync
        self.backend = backend

    def forward(self, x: Tensor) -> Tensor:
        """Normalise and activate ``x`` of shape (N, C, ...).

        Raises:
            ValueError: If ``x`` has no values, another number of channels, or in training only
                one value a channel.
        """
        self._check_input_dim(x)
        momentum = self._count_batch() if self.training else 0.0
        arguments = (x, self.weight, self.bias, self.running_mean, self.running_var, self.training,
                     momentum, self.eps, self.activation, self.activation_param)
        if self.backend == 'inplace_abn':
            return self._forward_compiled(arguments)
        if self.training or torch.is_grad_enabled():
            return _InPlaceABN.apply(*arguments, self._group())
        return _normalise_activate(x, self.running_mean, self.running_var,
                                   _scale(self.weight, self.eps), self.bias, *arguments[-3:])

    def extra_repr(self) -> str:
        return (f'{self.num_features}, eps={self.eps}, momentum={self.momentum}, '
                f'affine={self.affine}, activation={self.activation!r}, '
                f'activation_param={self.activation_param}, sync={self.sync}, '
                f'backend={self.backend!r}')

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2 or input.shape[1] != self.num_features:
            raise ValueError(f'InPlaceABN of {self.num_features} channels got an input of shape '
                             f'{tuple(input.shape)}')
        if input.numel() == 0:
            raise ValueError(f'InPlaceABN got an empty input of shape {tuple(input.shape)}')
        if self.training and self._group() is None and input.numel() == self.num_features:
            raise ValueError('InPlaceABN needs more than one value a channel in training, got an '
                             f'input of shape {tuple(input.shape)}: use a larger batch or image, '
                             'or freeze the statistics by norm_eval=True')

    def _group(self) -> dist.ProcessGroup | None:
        synchronises = (self.sync and dist.is_available() and dist.is_initialized()
                        and dist.get_world_size() > 1)
        return dist.group.WORLD if synchronises else None

    def _count_batch(self) -> float | Tensor:
        """Count a training batch and return the weight of its statistics in the running ones.

        A weight that comes from the count stays a tensor: reading it would wait for the device.
        """
        self.num_batches_tracked.add_(1)
        if self.momentum is not None:
            return self.momentum
        return self.num_batches_tracked.to(self.running_mean.dtype).reciprocal()

    def _forward_compiled(self, arguments: tuple) -> Tensor:
        functions = _import_inplace_abn()
        group = self._group()
        if group is not None:
            y = functions.inplace_abn_sync(*arguments, group)
        else:
            y = functions.inplace_abn(*arguments)
        if y.requires_grad:
            # Its backward takes only gradients that are dense in the layout of the output.
            layout = y.detach()
            y.register_hook(lambda grad: format_like(grad, layout))
        return y


def norm_form(module: nn.Module) -> str:
    """Which norm layer the parameters of ``module`` are for, 'InPlaceABN' or 'BN'.

    Both have the same keys and mean different things by ``weight``.
    """
    return 'InPlaceABN' if any(isinstance(m, InPlaceABN) for m in module.modules()) else 'BN'


def _import_inplace_abn() -> Any:
    try:
        from inplace_abn import functions
    except ImportError as error:
        raise ImportError("backend='inplace_abn' needs the compiled package: "
                          'pip install --no-build-isolation inplace-abn==1.1.0') from error
    return functions


def _activate_(z: Tensor, activation: str, param: float) -> Tensor:
    if activation == 'leaky_relu':
        return F.leaky_relu_(z, param)
    if activation == 'elu':
        return F.elu_(z, param)
    return z


def _invert(y: Tensor, activation: str, param: float) -> Tensor:
    """Recover the activation's input from its output."""
    if activation == 'leaky_relu':
        return F.leaky_relu(y, 1 / param)
    if activation == 'elu':
        # An output that rounding has put on the asymptote -param has no finite input.
        ratio = (y / param).clamp(min=torch.finfo(y.dtype).eps - 1)
        return torch.where(y > 0, y, torch.log1p(ratio))
    return y


def _activation_backward(grad: Tensor, y: Tensor, activation: str, param: float) -> Tensor:
    """Gradient for the activation's input, from the one for its output ``y``."""
    if activation == 'leaky_relu':
        return torch.ops.aten.leaky_relu_backward(grad, y, param, True)
    if activation == 'elu':
        return torch.ops.aten.elu_backward(grad, param, 1, 1, True, y)
    return grad


def _scale(weight: Tensor | None, eps: float) -> Tensor | None:
    return None if weight is None else weight.abs() + eps


def _normalise_activate(x: Tensor, mean: Tensor, var: Tensor, scale: Tensor | None,
                        bias: Tensor | None, eps: float, activation: str, param: float) -> Tensor:
    z = F.batch_norm(x, mean, var, scale, bias, False, 0.0, eps)
    return _activate_(z, activation, param)


class _InPlaceABN(torch.autograd.Function):
    """The layer's two directions on PyTorch's own batch-norm kernels.

    Forward updates the running statistics. Backward hands the kernel the recovered
    ``z = x_hat * scale + bias`` as if that were the layer's input: what normalises it is then the
    mean ``bias`` and the standard deviation ``scale``.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None,
                running_mean: Tensor, running_var: Tensor, training: bool,
                momentum: float | Tensor, eps: float, activation: str, param: float,
                group: dist.ProcessGroup | None) -> Tensor:
        scale = _scale(weight, eps)
        ctx.settings = training, eps, activation, param, group
        ctx.count = x.numel() // x.shape[1]
        if not training:
            invstd = torch.rsqrt(running_var + eps)
            y = _normalise_activate(
                x, running_mean, running_var, scale, bias, eps, activation, param)
        elif group is None and not isinstance(momentum, Tensor):
            z, _, invstd = torch.native_batch_norm(
                x, scale, bias, running_mean, running_var, True, momentum, eps)
            y = _activate_(z, activation, param)
        else:
            wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
            var, mean = torch.var_mean(wide, [0, *range(2, x.dim())], correction=0)
            mean, var, ctx.count = group_statistics(mean, var, ctx.count, group)
            update_running(running_mean, running_var, mean, var, ctx.count, momentum)
            invstd = torch.rsqrt(var + eps)
            y = _normalise_activate(x, mean, var, scale, bias, eps, activation, param)
        ctx.save_for_backward(y, weight, scale, bias, invstd)
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        y, weight, scale, bias, invstd = ctx.saved_tensors
        training, eps, activation, param, group = ctx.settings
        need_x, need_weight, need_bias = ctx.needs_input_grad[:3]
        scale = torch.ones_like(invstd) if scale is None else scale
        mean = torch.zeros_like(invstd) if bias is None else bias
        # The kernel wants both in one memory format; the output's is the one to go on with.
        z = _invert(y, activation, param)
        grad = _activation_backward(format_like(grad, y), y, activation, param)
        # The kernel's own factor is weight / std = weight / scale; ours is scale * invstd.
        weight_of_kernel = scale * scale * invstd
        per_process = not training or group is not None
        need_sums = need_weight or need_bias or (training and group is not None)
        grad_x, grad_scale, grad_bias = torch.ops.aten.native_batch_norm_backward(
            grad, z, weight_of_kernel, None, None, mean, 1 / scale, True, eps,
            [need_x and not per_process, need_sums, need_sums])
        if need_x and not training:
            grad_x = grad * _per_channel(scale * invstd, grad)
        elif need_x and group is not None:
            grad_x = _grad_of_group(
                grad, z, scale, mean, invstd, grad_scale, grad_bias, ctx.count, group)
        # The scale is |weight| + eps. At 0 either sign lets the weight grow away from it.
        grad_weight = torch.where(weight < 0, -grad_scale, grad_scale) if need_weight else None
        return grad_x, grad_weight, grad_bias if need_bias else None, *[None] * 8


def _per_channel(values: Tensor, like: Tensor) -> Tensor:
    """Reshape (C,) for broadcasting over ``like`` (N, C, ...), in its dtype."""
    return values.to(like.dtype).view(1, -1, *[1] * (like.dim() - 2))


def _grad_of_group(grad: Tensor, z: Tensor, scale: Tensor, bias: Tensor, invstd: Tensor,
                   grad_scale: Tensor, grad_bias: Tensor, count: int | Tensor,
                   group: dist.ProcessGroup) -> Tensor:
    """Gradient for the input where the statistics are those of ``count`` values of the group.

    With the sums over the group ``s = sum(grad * x_hat)`` and ``b = sum(grad)`` it is
    ``scale * invstd * (grad - b / count - x_hat * s / count)``.
    """
    sums = torch.stack([grad_scale, grad_bias])
    dist.all_reduce(sums, group=group)
    s, b = sums / count
    x_hat = (z - _per_channel(bias, z)) / _per_channel(scale, z)
    centred = grad - _per_channel(b, z) - x_hat * _per_channel(s, z)
    return centred * _per_channel(scale * invstd, z)
