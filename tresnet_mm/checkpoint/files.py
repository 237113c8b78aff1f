"""Checkpoint files read without running any code in them: .pth, .safetensors, URLs."""

import argparse
import json
import os
import pickle
import re
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from mmengine.dist import barrier, get_rank
from mmengine.runner.checkpoint import get_torch_safe_globals

from .conversion import TAG

_GLOBAL = re.compile(r'GLOBAL (\S+)')  # the class or function that a pickle asks for
MapLocation = str | torch.device | dict | Callable | None


def read_file(path: str | Path, map_location: MapLocation = 'cpu') -> dict[str, Any]:
    """Read a checkpoint file by its ending, ``.safetensors`` or anything that torch wrote.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, or no checkpoint, or could be read only by running code.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'checkpoint {path} does not exist'
                                + (' (it is a folder)' if path.is_dir() else ''))
    if path.suffix == '.safetensors':
        return _read_safetensors(path, map_location)
    return _read_torch(path, map_location)


def read_url(url: str, map_location: MapLocation = 'cpu') -> dict[str, Any]:
    """Download into PyTorch's hub cache, once for all processes of a machine, and read it.

    Raises:
        OSError: If the download fails; the message names the URL.
        ValueError: As of `read_file`.
    """
    path = cache_dir() / Path(urlparse(url).path).name
    local_rank = int(os.environ.get('LOCAL_RANK', get_rank()))
    if local_rank == 0 and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(path), progress=os.isatty(2))
        except OSError as error:
            raise OSError(f'cannot download the checkpoint {url}: {error}') from error
    barrier()
    return read_file(path, map_location)


def cache_dir() -> Path:
    """Where downloads go and where files put by hand are found: PyTorch's hub cache."""
    return Path(torch.hub.get_dir()) / 'checkpoints'


def write_file(path: str | Path, state_dict: dict[str, torch.Tensor],
               meta: dict[str, Any]) -> None:
    """Write a checkpoint that mmengine loads: ``.safetensors``, or ``.pth`` by torch.

    Args:
        path: Target; its folder is made.
        state_dict: Parameters.
        meta: What mmengine keeps under 'meta', of plain Python values.
    """
    path = Path(path).expanduser()
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == '.safetensors':
        from safetensors.torch import save_file
        tensors = {key: value.contiguous() for key, value in state_dict.items()}
        save_file(tensors, path, metadata={'format': 'pt', 'meta': json.dumps(meta)})
    else:
        torch.save(dict(meta=meta, state_dict=state_dict), path)


def _read_torch(path: Path, map_location: MapLocation) -> dict[str, Any]:
    # argparse.Namespace: a plain record that many training scripts store their options in.
    allowed = [*get_torch_safe_globals(), argparse.Namespace]
    try:
        with torch.serialization.safe_globals(allowed):
            return torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        match = _GLOBAL.search(str(error))
        if match is None and not _is_pickle(path):
            raise ValueError(f'checkpoint {path} is damaged or no checkpoint') from error
        raise ValueError(
            f'checkpoint {path} runs {match[1] if match else "code"} when it is read, which is '
            'refused. Save its weights alone, or, if you trust the file, allow what it needs by '
            'torch.serialization.add_safe_globals before loading') from error
    except (RuntimeError, EOFError, LookupError, ValueError, TypeError, AttributeError) as error:
        # What torch's readers raise for cut or foreign files; KeyError for text, for example.
        raise ValueError(f'checkpoint {path} is damaged or no checkpoint: '
                         f'{str(error).splitlines()[0] if str(error) else "it ends early"}'
                         ) from error


def _is_pickle(path: Path) -> bool:
    """Whether the file starts as the zip archives and pickles do that torch has written."""
    with path.open('rb') as file:
        start = file.read(2)
    return start == b'PK' or start[:1] == pickle.PROTO


def _read_safetensors(path: Path, map_location: MapLocation) -> dict[str, Any]:
    from safetensors import SafetensorError, safe_open
    try:
        with safe_open(path, framework='pt', device='cpu') as file:
            meta = json.loads((file.metadata() or {}).get('meta', '{}'))
            state_dict = OrderedDict((key, file.get_tensor(key)) for key in file.keys())  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f'checkpoint {path} is damaged or no safetensors file: {error}') from error
    if isinstance(map_location, (str, torch.device)):
        state_dict = OrderedDict((k, v.to(map_location)) for k, v in state_dict.items())
    if TAG in meta:  # a file of `write_file`: the state dict's own metadata is not in it
        tag = dict(norm=meta[TAG]['norm'])
        state_dict._metadata = OrderedDict({'': {TAG: tag}, 'backbone': {TAG: dict(tag)}})
    return dict(state_dict=state_dict, meta=meta)
