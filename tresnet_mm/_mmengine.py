"""Every change that importing this package makes to mmengine, each with its reason.

All of them are made once, on import. None changes what mmengine does for models and files that
have nothing to do with this package, except that no file is read by running code in it, and that
files are written whole or not at all.
"""

import functools
import sys
import types
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import mmengine.config.config
import mmengine.config.utils
import mmengine.hub.hub
import mmengine.model.utils
import yaml
from mmengine._strategy import FSDPStrategy
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.fileio import LocalBackend, register_backend, register_handler
from mmengine.fileio.handlers import YamlHandler
from mmengine.infer.infer import BaseInferencer
from mmengine.registry import HOOKS
from mmengine.runner.checkpoint import CheckpointLoader
from mmengine.utils import get_installed_path
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel

from .checkpoint import SCHEMES, load_from_tresnet_mm
from .engine import SafeCheckpointHook
from .file_backends import PatientHTTPBackend, S3Backend
from .models.layers import InPlaceABN
from .whole_file import write_bytes, write_text

# mmengine takes ``_base_ = 'tresnet_mm::...'`` only of the packages that this table names. Left
# out: "tresnet_mm is not a valid package" for a config that inherits from one of ours.
MODULE2PACKAGE.setdefault('tresnet_mm', 'tresnet_mm')

_get_package_and_cfg_path = mmengine.config.utils._get_package_and_cfg_path


@functools.wraps(_get_package_and_cfg_path)
def _package_and_config(cfg_path: str) -> tuple[str, str]:
    package, _, name = cfg_path.partition('::')
    if package == 'tresnet_mm' and name and '/' not in name and '::' not in name:
        return package, name if name.endswith('.py') else f'{name}.py'
    return _get_package_and_cfg_path(cfg_path)


# mmengine wants a folder between ``::`` and a config's name, and the configs here lie in none.
# Left out: ``tresnet_mm::fcos_tresnet_m.py``, in ``_base_`` and in mmengine.hub, is refused.
for _module in (mmengine.config.utils, mmengine.config.config, mmengine.hub.hub):
    _module._get_package_and_cfg_path = _package_and_config

@functools.wraps(get_installed_path)
def _installed_path(package: str) -> str:
    return str(Path(__file__).parent) if package == 'tresnet_mm' else get_installed_path(package)


# mmengine 0.10 looks for a package beside its metadata, where an editable install has none. Left
# out: ``tresnet_mm::...`` is found of an installed wheel alone.
for _module in (mmengine.config.config, mmengine.hub.hub):
    _module.get_installed_path = _installed_path

# `mmengine.hub.get_model` asks the package for this module and this function. Importing the package
# registers everything, so that nothing is left for it to do. Left out: get_model fails.
_utils = types.ModuleType('tresnet_mm.utils', "What mmengine's hub asks a package for.")
_utils.register_all_modules = lambda init_default_scope=True: None  # type: ignore[attr-defined]
sys.modules.setdefault('tresnet_mm.utils', _utils)

# Checkpoints are read by this package from wherever mmengine takes them: published TResNets are
# converted, and all others are read as data. Left out: ``init_cfg`` and ``load_from`` would load
# nothing of a published file and only warn, and a file from a stranger could run code: mmengine
# reads with `getattr` allowed, and where a file asks for more, without any check.
CheckpointLoader.register_scheme(SCHEMES, load_from_tresnet_mm, force=True)

_init_model = BaseInferencer._init_model


@functools.wraps(_init_model)
def _init_model_of_config(self: BaseInferencer, cfg: Any, weights: str | None,
                          device: str = 'cpu') -> nn.Module:
    if not cfg:
        raise ValueError(
            f'weights={weights!r} without a model: the config inside a checkpoint is a program, '
            'and is not run; give model=CONFIG, too (training keeps the config in its work dir)')
    return _init_model(self, cfg, weights, device)


# An inferencer that is given weights alone runs the Python text that the file brings as its config,
# which also names what is called with which arguments. Left out: a checkpoint from a stranger
# could run code. (What ``resume`` would run is taken out where checkpoints are read.)
BaseInferencer._init_model = _init_model_of_config

_models_of_metafile = BaseInferencer._get_models_from_metafile


@functools.wraps(_models_of_metafile)
def _models_with_weights(dir: str) -> Iterator[dict[str, Any]]:  # mmengine's name for it
    for model in _models_of_metafile(dir):
        yield {'Weights': None, **model}


# An inferencer finds a model by its name in the metafile and asks for its weights, also where it
# was given some. No weights of the models here are published. Left out: KeyError 'Weights' for
# ``DetInferencer('fcos_tresnet_m', weights=FILE, scope='tresnet_mm')``.
BaseInferencer._get_models_from_metafile = staticmethod(_models_with_weights)


class _SafeLoader(yaml.SafeLoader):
    """Plain values, and the tuples that ``Config.dump`` writes."""


_SafeLoader.add_constructor('tag:yaml.org,2002:python/tuple',
                            lambda loader, node: tuple(loader.construct_sequence(node, deep=True)))


# YAML whose tags build no objects; mmengine's handler takes PyYAML's full loader. Left out: a YAML
# config from a stranger could call any function by a tag such as ``!!python/object/apply``.
@register_handler(['yaml', 'yml'])
class _SafeYamlHandler(YamlHandler):

    def load_from_fileobj(self, file: IO[str], **kwargs: Any) -> Any:
        return super().load_from_fileobj(file, **{'Loader': _SafeLoader, **kwargs})


class _WholeFileBackend(LocalBackend):
    """mmengine's local files, written whole or not at all."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        write_bytes(filepath, obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        write_text(filepath, obj, encoding)


# Left out: a run that is killed while it saves leaves half a checkpoint under a whole one's name.
register_backend('local', _WholeFileBackend, force=True, prefixes='')

# Left out: a server that says nothing stalls a data loader for ever.
register_backend('http', PatientHTTPBackend, force=True, prefixes=['http', 'https'])

# mmengine gives addresses of S3 to a client that few have. Left out: "install petrel_client".
register_backend('s3', S3Backend, force=True,
                 prefixes=None if find_spec('petrel_client') else 's3')

# Every config asks for ``CheckpointHook``, mmdet's own as well. Left out: see `SafeCheckpointHook`.
HOOKS.register_module('CheckpointHook', force=True, module=SafeCheckpointHook)

_convert_sync_batchnorm = mmengine.model.utils.convert_sync_batchnorm


@functools.wraps(_convert_sync_batchnorm)
def _synchronise(module: nn.Module, implementation: str = 'torch') -> nn.Module:
    if isinstance(module, InPlaceABN):
        module.sync = True
        return module
    return _convert_sync_batchnorm(module, implementation)


# ``sync_bn='torch'`` in a config replaces every `_BatchNorm`, which would drop the activation of an
# `InPlaceABN` and take its ``weight`` for the scale. The function has no extension point, but it
# recurses through its module's global, so that one assignment reaches every caller, those that
# imported the name earlier included. Left out: a network that trains without its activations.
mmengine.model.utils.convert_sync_batchnorm = _synchronise


def _load_optim_state_dict(self: FSDPStrategy, state_dict: dict) -> None:
    self.optim_wrapper.load_state_dict(FullyShardedDataParallel.optim_state_dict_to_load(
        self.model, self.optim_wrapper.optimizer, state_dict))


# mmengine passes the arguments in the order of torch 2.0. Left out: a run with sharded parameters
# cannot be resumed.
FSDPStrategy.load_optim_state_dict = _load_optim_state_dict
