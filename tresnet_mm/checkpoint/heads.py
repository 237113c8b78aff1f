"""The image-level heads of the published files, told from their keys and shapes."""

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

_LINEAR = {'fc.weight', 'fc.bias'}
_BOTTLENECK = _LINEAR | {'embedding.weight', 'embedding.bias'}
_ML_DECODER = {f'{layer}.{leaf}' for leaf in ('weight', 'bias') for layer in (
    'embed', 'cross_attn.out_proj', 'norm1', 'norm2', 'norm3', 'linear1', 'linear2', 'group_fc')}
_ML_DECODER |= {'query_embed.weight', 'cross_attn.in_proj_weight', 'cross_attn.in_proj_bias'}
_KEYS = {'linear': _LINEAR, 'bottleneck': _BOTTLENECK, 'ml_decoder': _ML_DECODER}


class Head(NamedTuple):
    """What a head's state dict says about it."""

    kind: str | None
    """'linear', 'bottleneck' or 'ml_decoder'; None for any other head, or none at all."""
    num_classes: int | None = None
    num_groups: int | None = None
    """Group queries of an ML-Decoder."""

    def __str__(self) -> str:
        if self.kind is None:
            return 'a head of another kind'
        groups = f' in {self.num_groups} groups' if self.num_groups else ''
        return f'a {self.kind} head for {self.num_classes} classes{groups}'


def detect_head(state_dict: Mapping[str, Tensor]) -> Head:
    """Tell the kind of head whose state dict (without prefix) this is, complete or not."""
    if 'group_fc.weight' in state_dict or 'query_embed.weight' in state_dict:
        return Head('ml_decoder', _first_size(state_dict, 'group_fc.bias'),
                    _first_size(state_dict, 'query_embed.weight'))
    if 'fc.weight' in state_dict or 'fc.bias' in state_dict:
        kind = 'bottleneck' if 'embedding.weight' in state_dict else 'linear'
        return Head(kind, _first_size(state_dict, 'fc.weight'))
    return Head(None)


def head_problems(state_dict: Mapping[str, Tensor], head: Head) -> list[str]:
    """Keys that are missing or too many for a head of its kind, in words."""
    if not state_dict:
        return []
    expected = _KEYS.get(head.kind or '', set())
    return ([f'missing head.{key}' for key in sorted(expected - set(state_dict))]
            + [f'unmapped head.{key}' for key in sorted(set(state_dict) - expected)])


def _first_size(state_dict: Mapping[str, Tensor], key: str) -> int | None:
    return state_dict[key].shape[0] if key in state_dict and state_dict[key].ndim else None
