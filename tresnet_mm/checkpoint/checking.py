"""A state dict held against the names and shapes of the network that it is for."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from .formats import COUNTER


class CheckpointMismatch(ValueError):
    """A checkpoint that is not for the model which it was to be loaded into."""


def find_problems(state_dict: Mapping[str, Tensor],
                  expected: Mapping[str, tuple[int, ...]]) -> list[str]:
    """What keeps a state dict from being loaded whole, in words; batch counters may lack.

    Args:
        state_dict: Names and values.
        expected: Names and shapes of the network's own state dict.
    """
    problems = [f'missing {key}' for key in expected
                if key not in state_dict and not key.endswith(COUNTER)]
    problems += [f'unmapped {key}' for key in state_dict if key not in expected]
    for key, shape in expected.items():
        if key in state_dict and (fault := _fault(key, state_dict[key], tuple(shape))):
            problems.append(f'{key} {fault}')
    return problems


def add_counters(state_dict: dict[str, Tensor], expected: Iterable[str]) -> None:
    """Add the batch counters that old files lack."""
    for key in expected:
        if key.endswith(COUNTER):
            state_dict.setdefault(key, torch.tensor(0))


def shorten(problems: list[str], limit: int = 10) -> str:
    """Join the first ``limit`` problems and count the others."""
    more = f'; and {len(problems) - limit} more' if len(problems) > limit else ''
    return '; '.join(problems[:limit]) + more


def _fault(key: str, value: Tensor, shape: tuple[int, ...]) -> str:
    """What is wrong with one value; empty if it is sound."""
    if value.layout != torch.strided:
        return 'is a sparse tensor'
    if tuple(value.shape) != shape:
        return f'is {tuple(value.shape)} instead of {shape}'
    if value.is_meta:  # only the shape is there
        return ''
    if not value.is_floating_point() and not key.endswith(COUNTER):  # it would be rounded
        return f'is of type {str(value.dtype).removeprefix("torch.")}, not floating point'
    if not value.isfinite().all():
        return 'holds NaN or infinite values'
    if key.endswith('running_var') and (value < 0).any():
        return 'holds a negative variance'
    return ''
