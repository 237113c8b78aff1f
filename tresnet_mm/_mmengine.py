"""Every change that importing this package makes to mmengine, each with its reason.

All of them are made once, on import. None changes what mmengine does for models and files that
have nothing to do with this package, except that no file is read by running code in it, and that
files are written whole or not at all.
"""

import functools
from pathlib import Path
from typing import IO, Any

import mmengine.model.utils
import yaml
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.fileio import LocalBackend, register_backend, register_handler
from mmengine.fileio.handlers import YamlHandler
from mmengine.registry import HOOKS
from mmengine.runner.checkpoint import CheckpointLoader
from torch import nn

from .checkpoint import SCHEMES, load_from_tresnet_mm
from .engine import SafeCheckpointHook
from .models.layers import InPlaceABN
from .whole_file import write_bytes, write_text

# mmengine takes ``_base_ = 'tresnet_mm::...'`` only of the packages that this table names. Left
# out: "tresnet_mm is not a valid package" for a config that inherits from one of ours.
MODULE2PACKAGE.setdefault('tresnet_mm', 'tresnet_mm')

# Checkpoints are read by this package from wherever mmengine takes them: published TResNets are
# converted, and all others are read as data. Left out: ``init_cfg`` and ``load_from`` would load
# nothing of a published file and only warn, and a file from a stranger could run code: mmengine
# reads with `getattr` allowed, and where a file asks for more, without any check.
CheckpointLoader.register_scheme(SCHEMES, load_from_tresnet_mm, force=True)


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
