"""Every parameter of a checkpoint against every one of a model."""

from __future__ import annotations

import re
import warnings
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mmengine.model import BaseTTAModel, is_model_wrapper
from torch import Tensor, nn


@dataclass
class WeightsReport:
    """How a state dict fits a model.

    Attributes:
        missing: Parameters of the model that the state dict lacks: they keep their start.
        misshapen: Those that are there in another shape, as 'name: (3, 64), the model has (2, 64)'.
        unexpected: Entries that the model has no place for.
        refused: What the model says where it refuses the state dict by itself.
    """

    missing: list[str] = field(default_factory=list)
    misshapen: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    refused: str = ''

    @property
    def incomplete(self) -> str:
        """Why the model would not be the checkpoint's, in a line; empty if it would."""
        reasons = [self.refused] if self.refused else []
        if self.misshapen:
            reasons.append(f'{len(self.misshapen)} parameters of another shape '
                           f'({"; ".join(self.misshapen[:2])})')
        if self.missing:
            reasons.append(f'nothing for {len(self.missing)} parameters ({_modules(self.missing)})')
        return ', and '.join(reasons)

    @property
    def left_out(self) -> str:
        """What does not come from the checkpoint, or has no place, in a line; empty if nothing."""
        texts = [('another shape', [name.partition(':')[0] for name in self.misshapen]),
                 ('not in the checkpoint', self.missing),
                 ('not in the model', self.unexpected)]
        return '; '.join(f'{reason}: {len(names)} parameters ({_modules(names)})'
                         for reason, names in texts if names)


def compare_weights(model: nn.Module, state_dict: Mapping[str, Tensor]) -> WeightsReport:
    """Load a state dict into a model as mmengine does, and report instead of warning.

    What the model's modules do while they load (renaming keys of older versions, converting
    published ones) is done here too, so the report is of what a run would load.

    Args:
        model: The model; one on the meta device suffices, another gets the weights.
        state_dict: Not changed.
    """
    report = WeightsReport()
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    given, errors = OrderedDict(state_dict), []
    metadata = getattr(state_dict, '_metadata', None) or {}

    def load(module: nn.Module, own: dict[str, Tensor], prefix: str = '') -> None:
        if is_model_wrapper(module) or isinstance(module, BaseTTAModel):
            module = module.module
        module._load_from_state_dict(own, prefix, metadata.get(prefix[:-1], {}), True,
                                     report.missing, report.unexpected, errors)
        for name, child in module._modules.items():
            if child is not None:
                inner = f'{prefix}{name}.'
                load(child, {k: v for k, v in own.items() if k.startswith(inner)}, inner)

    if metadata:
        given._metadata = metadata
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', '.*meta parameter')  # nothing is copied there: meant
        try:
            load(model, given)
        except ValueError as error:  # a backbone or an image head that is not this model's
            report.refused = str(error)
    report.missing[:] = [name for name in report.missing if 'num_batches_tracked' not in name]
    for text in errors:
        name = next((name for name in shapes if f' {name}:' in text), None)
        if name is None or name not in state_dict:
            report.misshapen.append(text)
        else:
            report.misshapen.append(f'{name}: {tuple(state_dict[name].shape)}, the model has '
                                    f'{shapes[name]}')
    return report


def weights_of(checkpoint: Mapping[str, Any]) -> Mapping[str, Tensor]:
    """The state dict of a checkpoint, as mmengine's runner hands it to the model."""
    state_dict = checkpoint.get('state_dict', checkpoint)
    renamed = OrderedDict((re.sub(r'^module\.', '', key), value)
                          for key, value in state_dict.items())
    if hasattr(state_dict, '_metadata'):
        renamed._metadata = state_dict._metadata
    return renamed


def _modules(names: Iterable[str], most: int = 4) -> str:
    """The modules that parameters belong to, as closely as fits."""
    for depth in (2, 1):
        found = sorted({'.'.join(name.split('.')[:depth]) for name in names})
        if len(found) <= most:
            break
    return ', '.join(found[:most]) + (', ...' if len(found) > most else '')
