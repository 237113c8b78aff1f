"""From what is given for a model and its weights to a config and a file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import DATASETS

from ..checkpoint import HUB_SCHEMES, Published, fetch, read_file, read_published
from ..checkpoint.config_text import parse_config
from ..checkpoint.download import download
from ..checkpoint.published import to_json
from ..checkpoint.publishing import describe
from ..config_files import read_config
from ..config_tree import dataset_parts, type_name
from .image_sources import WEB

#: Suffixes of weights, which tell a published file from a config.
_WEIGHTS = ('.safetensors', '.onnx', '.pth', '.pt', '.bin', '.ckpt')


@dataclass(frozen=True)
class ModelSource:
    """A model that is asked for.

    Attributes:
        cfg: Its config: ``model``, and ``test_pipeline``, which is always there.
        weights: Path, URL, ``tresnet://`` or ``hf://`` name, as it was given.
        file: Where they are now: on this machine, but for those of a store such as ``s3://``.
        published: What the weights say of themselves, if they are a published file, or alone.
        dataset_meta: ``classes`` and ``palette``, where the config's test data have them.
    """

    cfg: Config
    weights: str
    file: str
    published: Published | None = None
    dataset_meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def exported(self) -> bool:
        """Whether the weights are a whole network of ``tresnet-mm export``."""
        return self.file.endswith('.onnx')

    @property
    def scope(self) -> str:
        """The registries' scope that the config's names are of."""
        return self.cfg.get('default_scope') or 'mmengine'


def find_model(model: Any, weights: str | os.PathLike | None = None) -> ModelSource:
    """Find the config and the weights of a model; nothing is built.

    Args:
        model: A config: its path, a name as `find_config` takes it, a ``Config`` or a dict; or,
            alone, a published file or a checkpoint of mmengine's runner.
        weights: Path, URL, ``tresnet://`` or ``hf://`` name of weights of this config, or the
            ``.onnx`` file that was exported with it.

    Raises:
        FileNotFoundError: There is no such config or file.
        TypeError: It is nothing of these.
        ValueError: The config cannot be read or has no model or test pipeline; there are no
            weights; or weights alone do not say which model they are of.
    """
    if weights is None and _is_weights(model):
        model, weights = None, model
    if weights is None:
        read_model(model)  # what is wrong with it comes first
        raise ValueError(f'{_shown(model)} is a config, and its model has no weights yet: give '
                         'them too, or a published file in its place')
    weights = os.fspath(weights)
    path = _local(weights)
    published = None if path is None or path.suffix == '.onnx' else read_published(path)
    if model is None and published is None:
        published = _published_of_run(weights, path)
    cfg = _config_of(published) if model is None and published is not None else read_model(model)
    return ModelSource(cfg, weights, str(path or weights), published, _dataset_meta(cfg))


def _is_weights(model: Any) -> bool:
    return isinstance(model, (str, os.PathLike)) and (
        os.fspath(model).endswith(_WEIGHTS) or '://' in os.fspath(model))


def _shown(model: Any) -> str:
    if isinstance(model, Config):
        return model.filename or 'the model'
    return str(model) if isinstance(model, (str, os.PathLike)) else 'the model'


def _local(weights: str) -> Path | None:
    """The file on this machine, downloaded if need be; None of a store such as ``s3://``."""
    if weights.startswith(HUB_SCHEMES):
        return fetch(weights)
    if weights.startswith(WEB):
        return download(weights)
    if '://' in weights:
        return None
    if not Path(weights).expanduser().is_file():
        raise FileNotFoundError(f'checkpoint {weights} does not exist')
    return Path(weights).expanduser()


def _published_of_run(weights: str, path: Path | None) -> Published:
    """What a published file would say of a checkpoint that mmengine's runner wrote.

    The runner keeps the config in it as Python text, which is read as data, and held to what a
    published file may say, since it may be a stranger's.
    """
    if path is None or path.suffix == '.onnx':
        meta: Any = None
    else:
        meta = read_file(path).get('meta')
    if not isinstance(meta, Mapping) or not isinstance(meta.get('cfg'), str):
        raise ValueError(f'{weights} does not say which model it is of, as a published file does '
                         '(of tresnet-mm publish) or a checkpoint of a run: give its config too')
    try:
        published = describe(parse_config(meta['cfg']), meta.get('dataset_meta') or {})
        to_json(published)  # which checks it
    except (ValueError, TypeError, AttributeError) as error:  # of whatever else is in its place
        raise ValueError(f'{weights}: what it says of its model cannot be taken: {error}: give its '
                         'config too') from error
    return published


def read_model(model: Any) -> Config:
    """The config of a model, with what its test data are prepared by as ``test_pipeline``.

    Args:
        model: As `find_model`, but for weights.

    Raises:
        FileNotFoundError, TypeError, ValueError: As `find_model`.
    """
    if isinstance(model, (str, os.PathLike)):
        cfg = read_config(os.fspath(model))
    elif isinstance(model, Config):
        cfg = deepcopy(model)
    elif isinstance(model, Mapping):
        cfg = Config(dict(model))
    else:
        raise TypeError('model should be the name or path of a config, a Config, or a published '
                        f'file, got {type(model).__name__}')
    if not isinstance(cfg.get('model'), Mapping):
        raise ValueError(f'{_shown(model)} has no model: it is not the config of one')
    cfg.test_pipeline = _test_pipeline(cfg, _shown(model))
    return cfg


def _config_of(published: Published) -> Config:
    return Config(dict(default_scope='mmdet', model=deepcopy(published.model),
                       test_pipeline=_from_files(deepcopy(published.test_pipeline))))


def _test_data(cfg: Config) -> Mapping[str, Any]:
    """The first innermost data set that is tested on; empty where there is none."""
    for loader in ('test_dataloader', 'val_dataloader'):
        for _, dataset in dataset_parts((cfg.get(loader) or {}).get('dataset'), loader):
            return dataset
    return {}


def _test_pipeline(cfg: Config, name: str) -> list[Any]:
    """The steps that make the model's input of an image, those that read its truth left out."""
    steps = _test_data(cfg).get('pipeline') or cfg.get('test_pipeline')
    if not steps:
        raise ValueError(f'{name} has no pipeline for testing, in test_dataloader.dataset or as '
                         'test_pipeline')
    return _from_files(steps)


def _from_files(steps: Iterable[Any]) -> list[Any]:
    """A test pipeline without what reads the truth, and with a loader.

    That of a data set which holds its pixels, as CIFAR's, has none.
    """
    kept = [step for step in steps if not type_name(step['type']).endswith('Annotations')]
    if kept and not type_name(kept[0]['type']).startswith('Load'):
        kept.insert(0, dict(type='LoadImageChecked'))
    return kept


def _dataset_meta(cfg: Config) -> Mapping[str, Any]:
    """What the class of the test data and the config's ``metainfo`` say; no annotation is read."""
    dataset = _test_data(cfg)
    if not dataset:
        return {}
    with DATASETS.switch_scope_and_registry(cfg.get('default_scope') or 'mmengine') as registry:
        built = registry.build(dict(deepcopy(dataset), lazy_init=True, pipeline=[]))
    return built.metainfo
