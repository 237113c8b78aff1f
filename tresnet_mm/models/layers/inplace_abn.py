"""In-place activated batch norm in plain PyTorch."""

from typing import Any

import torch
import torch.distributed as dist
from mmengine.registry import MODELS
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..._compat import is_compiling
from .abn_function import ABNFunction, normalise_activate, scale_of, triton_abn
from .memory_format import format_like

ACTIVATIONS = ('leaky_relu', 'elu', 'identity')
BACKENDS = ('torch', 'triton', 'inplace_abn')


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
        backend: 'torch'; 'triton' for kernels that go over the features 8 times a step instead of
            15, on a GPU in float32, float16 or bfloat16 (while compiling, tracing and exporting it
            is as 'torch'); or 'inplace_abn' for the compiled package of that name, which overwrites
            its input.

    Raises:
        ValueError: If an argument is out of its range.
        ImportError: If ``backend`` needs a package, triton or inplace_abn, that is missing.

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
        elif backend == 'triton':
            triton_abn()
        self.activation = activation
        self.activation_param = activation_param
        self.sync = sync
        self.backend = backend

    def forward(self, x: Tensor) -> Tensor:
        """Normalise and activate ``x`` of shape (N, C, ...).

        Raises:
            ValueError: If ``x`` has no values, another number of channels, or in training only
                one value a channel.
            RuntimeError: If ``backend='triton'`` and ``x`` is not on a GPU.
            TypeError: If ``backend='triton'`` and ``x`` is of another dtype than it takes.
        """
        self._check_input_dim(x)
        momentum = self._count_batch() if self.training else 0.0
        arguments = (x, self.weight, self.bias, self.running_mean, self.running_var, self.training,
                     momentum, self.eps, self.activation, self.activation_param)
        if self.backend == 'inplace_abn':
            return self._forward_compiled(arguments)
        # A compiler makes kernels of its own, and an exported graph has none of this package's.
        traced = is_compiling() or torch.jit.is_tracing()
        backend = 'torch' if traced else self.backend
        if self.training or torch.is_grad_enabled():
            return ABNFunction.apply(*arguments, backend, self._group())
        return normalise_activate(x, self.running_mean, self.running_var,
                                  scale_of(self.weight, self.eps), self.bias, *arguments[-3:],
                                  backend)

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
