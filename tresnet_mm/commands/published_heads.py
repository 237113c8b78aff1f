"""What a published file says of its heads: the names of their classes, and thresholds."""
from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.registry import DATASETS

from ..checkpoint import Published
from ..checkpoint.plain_config import registered
from ..checks.weights import weights_of
from ..config_tree import dataset_parts, image_head, named_heads, type_name
from ..thresholds import load_thresholds


def of_head(text: str) -> tuple[str | None, str]:
    """A named image head and a file; None where there is only the file."""
    name, _, file = text.partition('=')
    return (name, file) if name.isidentifier() else (None, text)


def require_heads(args: argparse.Namespace, cfg: Mapping[str, Any]) -> None:
    """See that the options name image heads of the model; ValueError where not."""
    heads = list(named_heads(mapping_in(cfg, 'model')))
    for option in ('classes', 'thresholds'):
        for name, file in getattr(args, option).items():
            if name is not None and name not in heads:
                raise ValueError(f'--{option} {name}={file}: the model has no named image head '
                                 f'{name!r}, but {", ".join(heads) or "none"}')


def dataset_meta_of(args: argparse.Namespace, cfg: Mapping[str, Any],
                    meta: Mapping[str, Any]) -> Mapping[str, Any]:
    """Class names and palette: of ``--classes``, the checkpoint, or the config's dataset.

    Returns:
        ``classes``, ``palette`` where there is one, and for the model's named heads
        ``image_classes``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If there are no class names, or none of a named head.
    """
    given = {name: [line.strip() for line in read_option(file, '--classes').splitlines()
                    if line.strip()] for name, file in args.classes.items()}
    found = _metas(cfg, meta)
    named = {}
    for name in named_heads(mapping_in(cfg, 'model')):
        lists = [given.get(name),
                 *(mapping_in(entry, 'image_classes').get(name) for entry in found)]
        named[name] = next((names for names in lists if isinstance(names, (list, tuple))), None)
        if named[name] is None:
            raise ValueError(f'neither {args.checkpoint} nor its config names the classes of the '
                             f'image head {name!r}: give --classes {name}=FILE')
    own: Mapping[str, Any] | None = dict(classes=given[None]) if None in given else next(
        (entry for entry in found if isinstance(entry.get('classes'), (list, tuple))
         and entry['classes']), None)
    if own is None:
        raise ValueError(
            f'neither {args.checkpoint} nor its config names the classes: give --classes')
    return dict(own, image_classes=named)


def _metas(cfg: Mapping[str, Any], meta: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What the checkpoint, the config's data sets and their classes say, keys in small letters."""
    found: list[Any] = [meta.get('dataset_meta')]
    for dataset in datasets_of(cfg):
        found.append(dataset.get('metainfo'))
        found += [getattr(kind, 'METAINFO', None) for kind in
                  registered(type_name(dataset.get('type')), (DATASETS,))]
    return [{str(name).lower(): value for name, value in entry.items()}
            for entry in found if isinstance(entry, Mapping)]


def all_thresholds(args: argparse.Namespace, cfg: Mapping[str, Any], meta: Mapping[str, Any],
                   published: Published | None, checkpoint: Mapping[str, Any]
                   ) -> tuple[list[float] | None, dict[str, list[float]]]:
    """The thresholds of the head without a name, and of the named ones that have some.

    Args:
        args: The command line.
        cfg: The config.
        meta: What `dataset_meta_of` found.
        published: What the file said before.
        checkpoint: Its content.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError, TypeError: If they do not fit the classes.
    """
    model = mapping_in(cfg, 'model')
    named = {name: _thresholds_of(args, head, name, meta['image_classes'][name], checkpoint)
             for name, head in named_heads(model).items()}
    own = _thresholds_of(args, image_head(model) or {}, None, meta['classes'], checkpoint,
                         published)
    return own, {name: values for name, values in named.items() if values is not None}


def _thresholds_of(args: argparse.Namespace, head: Mapping[str, Any], name: str | None,
                   classes: Sequence[str], checkpoint: Mapping[str, Any],
                   published: Published | None = None) -> list[float] | None:
    """A head's thresholds: of ``--thresholds``, its config, the weights, or a published file."""
    given: Any = args.thresholds.get(name)
    if given is not None and type_name(head.get('type')) == 'SingleLabelHead':
        raise ValueError(f'--thresholds {given}: a SingleLabelHead takes none, it predicts the '
                         'class of highest score')
    if given is None:
        given = head.get('thresholds')
    if given is None:
        ends = f'image_heads.{name}.' if name else 'head.'
        given = next((value.tolist() for key, value in weights_of(checkpoint).items()
                      if key.endswith(f'{ends}calibration.thresholds')), None)
    if given is None and published is not None:
        given = published.thresholds
    return None if given is None else [
        round(float(value), 7) for value in load_thresholds(given, len(classes), classes)]


def datasets_of(cfg: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The innermost data sets of a config, those that are tested on first."""
    return [dataset for loader in ('test_dataloader', 'val_dataloader', 'train_dataloader')
            for _, dataset in dataset_parts((cfg.get(loader) or {}).get('dataset'), loader)]


def mapping_in(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A dict in a dict; an empty one where there is something else."""
    value = content.get(name)
    return value if isinstance(value, Mapping) else {}


def read_option(path: str, option: str) -> str:
    """The text of a file that an option names; FileNotFoundError where there is none."""
    if not Path(path).is_file():
        raise FileNotFoundError(f'{option} {path} does not exist')
    return Path(path).read_text(encoding='utf-8')
