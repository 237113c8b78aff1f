"""``.safetensors`` files, with what a checkpoint's ``meta`` holds in their metadata."""

import json
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from .formats import TAG, set_metadata
from .stored_tensors import MapLocation


def read_safetensors(path: Path, map_location: MapLocation = 'cpu') -> dict[str, Any]:
    """Read ``meta`` and ``state_dict``.

    Raises:
        Exception: Of any kind, if the file is damaged or none of this form: for the caller to word.
    """
    with safe_open(path, framework='pt', device='cpu') as file:
        meta = json.loads((file.metadata() or {}).get('meta', '{}'))
        state_dict = OrderedDict((key, file.get_tensor(key)) for key in file.keys())  # noqa: SIM118
    if not isinstance(meta, dict):
        raise ValueError(f"its metadata 'meta' is a {type(meta).__name__}, not a dict")
    if isinstance(map_location, (str, torch.device)):
        state_dict = OrderedDict((k, v.to(map_location)) for k, v in state_dict.items())
    tag = meta.get(TAG)
    if tag is not None:  # a file of `write_safetensors`: the state dict's own metadata is not in it
        if not isinstance(tag, dict) or not isinstance(tag.get('norm'), str):
            raise ValueError(f"its metadata does not say under {TAG!r} which 'norm' it is for")
        norm = dict(norm=tag['norm'])
        set_metadata(state_dict, {'': {TAG: norm}, 'backbone': {TAG: dict(norm)}})
    return dict(state_dict=state_dict, meta=meta)


def write_safetensors(path: Path, state_dict: dict[str, Tensor], meta: dict[str, Any],
                      **more: str) -> None:
    """Write ``meta``, of plain Python values, ``state_dict`` and ``more`` metadata.

    Values that share their memory, as of modules that a model has twice, are written each.
    """
    seen: set[int] = set()
    tensors = {}
    for key, value in state_dict.items():
        storage = value.untyped_storage().data_ptr()
        tensors[key] = (value.detach().clone() if storage in seen else value).contiguous()
        seen.add(storage)
    save_file(tensors, path, metadata={'format': 'pt', 'meta': json.dumps(meta), **more})
    _sort_metadata(path)


def _sort_metadata(path: Path) -> None:
    """Make files of equal content equal: the library writes the metadata in a random order."""
    with path.open('r+b') as file:
        size = int.from_bytes(file.read(8), 'little')
        header = json.loads(file.read(size))
        header['__metadata__'] = dict(sorted(header['__metadata__'].items()))
        text = json.dumps(header, ensure_ascii=False, separators=(',', ':')).encode()
        if len(text) <= size:  # else it was written in another style, and stays
            file.seek(8)
            file.write(text.ljust(size))
