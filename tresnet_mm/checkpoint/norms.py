"""Batch norm's parameters in the form of in-place ABN, and back.

Both layers have the same keys and mean different things by ``weight``: batch norm's scale is
``weight``, in-place ABN's is ``|weight| + eps``, never below ``eps``. Copying one into the other
gives a network that runs and is wrong.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

ABN_EPS = 1e-5  # of every published file and of this package's default norm_cfg
NORMS = ('InPlaceABN', 'BN')


def abn_to_bn(weight: Tensor) -> Tensor:
    """The batch norm's scale, of the ABN's weight: exact."""
    return (weight.double().abs() + ABN_EPS).float()


def bn_to_abn(scale: Tensor) -> Tensor:
    """The ABN's weight, of the batch norm's scale without its sign.

    Exact from ``eps`` = 1e-5 on. A smaller scale becomes ``eps``, the smallest that the layer has:
    its output is then off by less than 1e-5 times the normalised input. (Shrinking the
    convolution's filters instead would be exact in evaluation, and would leave nothing to train
    behind a scale of 0.)
    """
    return (scale.double().abs() - ABN_EPS).clamp_min(0).float()


def convert_norms(state_dict: Mapping[str, Tensor], source: str, target: str) -> dict[str, Tensor]:
    """Rewrite every ``X.bn.*`` of a state dict, with its convolution ``X.conv.weight``.

    A negative batch-norm scale has no ABN weight: its sign moves into the convolution, whose
    filters and running mean are negated, which is exact in training too. An ABN weight's own sign
    means nothing and is dropped.

    Args:
        state_dict: Parameters in this package's key names.
        source: The norm layer they are of, 'InPlaceABN' or 'BN'.
        target: The norm layer they are wanted for.

    Returns:
        A new dict with the same keys; tensors that need no change are shared.

    Raises:
        ValueError: If ``source`` or ``target`` is no such name.
    """
    for norm in (source, target):
        if norm not in NORMS:
            raise ValueError(f'norm must be one of {NORMS}, got {norm!r}')
    out = dict(state_dict)
    for key, weight in state_dict.items():
        if not key.endswith('.bn.weight'):
            continue
        if not weight.is_floating_point() or weight.layout != torch.strided:
            continue  # what is no number of a norm is reported by key elsewhere
        if source == 'InPlaceABN':
            out[key] = weight.abs() if target == 'InPlaceABN' else abn_to_bn(weight)
        elif target == 'InPlaceABN':
            out[key] = bn_to_abn(weight)
            _move_signs(out, key.removesuffix('bn.weight'), weight < 0)
    return out


def _move_signs(state_dict: dict[str, Tensor], layer: str, negative: Tensor) -> None:
    """Negate the filters and running means of the channels in ``negative``, a (C,) mask."""
    conv, mean = layer + 'conv.weight', layer + 'bn.running_mean'
    if not negative.any() or negative.ndim != 1 or any(
            key not in state_dict or state_dict[key].shape[:1] != negative.shape
            or state_dict[key].ndim != dims for key, dims in ((conv, 4), (mean, 1))):
        return  # the state dict is incomplete or does not fit, which is reported by key elsewhere
    sign = torch.where(negative, -1.0, 1.0)
    state_dict[conv] = state_dict[conv] * sign.to(state_dict[conv].dtype)[:, None, None, None]
    state_dict[mean] = state_dict[mean] * sign.to(state_dict[mean].dtype)
