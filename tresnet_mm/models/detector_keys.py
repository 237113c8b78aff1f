"""State dicts of joint models: the detector's keys are those of a plain detector."""

from collections.abc import Collection

from torch import nn

PREFIX = 'detector.'


def drop_detector_prefix(module: nn.Module, state_dict: dict, prefix: str, metadata: dict) -> None:
    """Rename on saving: the detector's keys are those of a plain detector.

    What a module records beside its values is found under both names, for either kind of model.
    """
    for key in [k for k in state_dict if k.startswith(prefix + PREFIX)]:
        state_dict[prefix + key[len(prefix + PREFIX):]] = state_dict.pop(key)
    recorded = getattr(state_dict, '_metadata', {})
    for name in [k for k in recorded if k.startswith(prefix + PREFIX)]:
        recorded.setdefault(prefix + name[len(prefix + PREFIX):], recorded[name])


def add_detector_prefix(state_dict: dict, prefix: str, own: Collection[str]) -> None:
    """Rename on loading: a classifier's ``head`` is the image head, the rest the detector's.

    Args:
        state_dict: Changed in place.
        prefix: Of the joint model's keys.
        own: The joint model's parts that are not the detector's.
    """
    for key in [k for k in state_dict if k.startswith(prefix)]:
        name = key[len(prefix):]
        part = name.partition('.')[0]
        if part == 'head':
            state_dict[f'{prefix}image_{name}'] = state_dict.pop(key)
        elif part not in own:
            state_dict[f'{prefix}{PREFIX}{name}'] = state_dict.pop(key)
