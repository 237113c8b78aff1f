"""Which image-level heads of a model a command works on, and the saved scores of each."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

from ..config_tree import dataset_parts, image_head, named_heads, type_name

#: What help says of the option that chooses one.
HEAD_HELP = ("of a joint model: one of its image heads, 'image_head' or the name of one in "
             'image_heads')
#: A head's config by its name; that of the head without a name under None.
Heads = Mapping[str | None, Mapping[str, Any]]


def heads_of(model: Mapping[str, Any]) -> Heads:
    """The image-level heads of a model's config; there may be none."""
    own = image_head(model)
    heads: dict[str | None, Mapping[str, Any]] = {} if own is None else {None: own}
    heads.update(named_heads(model).items())
    return heads


def shown_name(name: str | None, model: Mapping[str, Any]) -> str:
    """What the command line and messages call a head."""
    return name or ('image_head' if 'detector' in model else 'head')


def find_head(model: Mapping[str, Any], wanted: str) -> str | None:
    """The name of the head that ``--head`` asks for, None for the one without a name.

    Raises:
        ValueError: If there is none; names those that there are.
    """
    names = {shown_name(name, model): name for name in heads_of(model)}
    if wanted not in names:
        raise ValueError(f'--head {wanted}: the image-level heads of the model are '
                         f'{", ".join(names) or "none"}')
    return names[wanted]


def only_head(model: Mapping[str, Any], wanted: str | None) -> str | None:
    """The name of the head that is meant: the wanted one, or the only one that there is.

    Raises:
        ValueError: If there is none, or there are several and none is wanted.
    """
    if wanted is not None:
        return find_head(model, wanted)
    names = list(heads_of(model))
    if len(names) != 1:
        found = ', '.join(shown_name(name, model) for name in names) or 'none'
        raise ValueError(f'the model has the image-level heads {found}: choose one by --head')
    return names[0]


def is_single(head: Mapping[str, Any]) -> bool:
    """Whether a head gives each image exactly one label."""
    return type_name(head.get('type')) == 'SingleLabelHead'


def labelled_kinds(cfg: Config, loader: str) -> set[str]:
    """The kinds of image labels, such as weather, that the data of a loader have."""
    data = (cfg.get(loader) or {}).get('dataset')
    return {kind for _, part in dataset_parts(data, loader)
            for kind in part.get('image_labels') or ()}
