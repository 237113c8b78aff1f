"""Checkpoint files: read as data, whatever is in them, and written whole or not at all."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..whole_file import whole_file
from .formats import WRAPPERS
from .plain_pickle import ForbiddenName
from .safetensors_file import read_safetensors, write_safetensors
from .stored_tensors import MapLocation, is_there
from .torch_file import read_torch_file


def read_file(path: str | Path, map_location: MapLocation = 'cpu') -> dict[str, Any]:
    """Read a checkpoint file by its ending, ``.safetensors`` or anything that torch wrote.

    No code in the file is run: it may hold tensors, plain Python values, NumPy's arrays and what
    mmengine's runner saves beside them, and is refused if it asks for anything else.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, or no checkpoint, or could be read only by running code; if
            ``map_location`` is a device that is not there.
    """
    if isinstance(map_location, (str, torch.device)) and not is_there(map_location):
        raise ValueError(f'map_location={str(map_location)!r} is no device that can hold tensors '
                         "here; 'cpu' always is")
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'checkpoint {path} does not exist'
                                + (' (it is a folder)' if path.is_dir() else ''))
    safe = path.suffix == '.safetensors'
    try:
        content = (read_safetensors if safe else read_torch_file)(path, map_location)
    except ForbiddenName as error:
        raise ValueError(
            f'checkpoint {path} runs {error.args[0]} when it is read, which is refused: only '
            'tensors and plain values are read. If you trust it, save its weights alone by '
            "torch.save(torch.load(SOURCE, weights_only=False)['state_dict'], TARGET)") from error
    except OSError as error:
        raise ValueError(f'checkpoint {path} cannot be read: {error}') from error
    except Exception as error:  # a damaged file can make its readers raise anything
        raise ValueError(f'checkpoint {path} is damaged or no {"safetensors file" if safe else ""}'
                         f'{"" if safe else "checkpoint"}: {_in_words(error)}') from error
    _check_keys(path, content)
    return content


def write_file(path: str | Path, state_dict: dict[str, Tensor], meta: dict[str, Any]) -> None:
    """Write a checkpoint that mmengine loads: ``.safetensors``, or ``.pth`` by torch.

    Args:
        path: Target; its folder is made. It appears when the file is whole.
        state_dict: Parameters.
        meta: What mmengine keeps under 'meta', of plain Python values.
    """
    path = Path(path).expanduser()
    with whole_file(path) as part:
        if path.suffix == '.safetensors':
            write_safetensors(part, state_dict, meta)
        else:
            torch.save(dict(meta=meta, state_dict=state_dict), part)


def _check_keys(path: Path, content: Any) -> None:
    """See that it is a dict by text, and the state dict in it too, as all that load it expect."""
    if not isinstance(content, Mapping):
        raise ValueError(f'checkpoint {path} holds a {type(content).__name__}, where a dict of '
                         'tensors was expected')
    for name, part in [('it', content), *((repr(k), content.get(k)) for k in WRAPPERS)]:
        wrong = [key for key in part if not isinstance(key, str)] if isinstance(part, Mapping) \
            else []
        if wrong:
            raise ValueError(f'checkpoint {path}: the keys of {name} should be text, and there is '
                             f'{wrong[0]!r}')


def _in_words(error: Exception) -> str:
    lines = str(error).splitlines()
    text = lines[0][:200] if lines else 'it ends early or is not what it seems'
    return text if isinstance(error, ValueError) else f'{text} ({type(error).__name__})'
