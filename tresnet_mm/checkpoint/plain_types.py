"""The names that a checkpoint's pickle may hold, and what each stands for.

The list is what `torch.save` writes for tensors and plain Python values, and what mmengine's runner
adds to it: NumPy's arrays and numbers, and the history of logged values. Every constructor here
checks its arguments and makes data; none calls, imports or looks up anything that a file names.
Storages and tensors, which depend on the file they are in, are in `stored_tensors`.
"""

import argparse
import re
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

from .formats import set_metadata
from .plain_pickle import Maker, plain_key

_FACTORIES = {'builtins.list': list, 'builtins.dict': dict, 'builtins.int': int,
              'builtins.float': float, 'builtins.set': set}
_STATISTICS = ('min', 'max', 'current', 'mean')
_DTYPE = re.compile(r'[<=|]?([biufc]\d{1,2}|\?)')
_TORCH_DTYPES = ('float64', 'float32', 'float16', 'bfloat16', 'complex128', 'complex64', 'int64',
                 'int32', 'int16', 'int8', 'uint8', 'bool', 'uint16', 'uint32', 'uint64',
                 'float8_e4m3fn', 'float8_e5m2')


def plain_names() -> dict[str, Any]:
    """The table for `PlainPickle`: dotted name -> `Maker` or value."""
    makers: dict[str, Callable[..., Any] | None] = {
        'argparse.Namespace': argparse.Namespace,
        'builtins.bytearray': _bytearray,
        'builtins.bytes': lambda: b'',
        'builtins.complex': _complex,
        'builtins.dict': None,
        'builtins.float': None,
        'builtins.frozenset': lambda items=(): frozenset(_items(items)),
        'builtins.getattr': _statistic,
        'builtins.int': None,
        'builtins.list': None,
        'builtins.set': lambda items=(): set(_items(items)),
        'builtins.slice': _slice,
        '_codecs.encode': _encode,
        'collections.Counter': lambda items=None: Counter(_plain_dict(items or {})),
        'collections.OrderedDict': _ordered_dict,
        'collections.defaultdict': _defaultdict,
        'mmengine.logging.history_buffer.HistoryBuffer': lambda: HistoryBuffer(),
        'numpy.dtype': _dtype,
        'numpy.ndarray': None,
        'torch.Size': _size,
        'torch.device': _device,
    }
    for core in ('core', '_core'):  # NumPy 2 has renamed it
        makers[f'numpy.{core}.multiarray._reconstruct'] = _reconstruct
        makers[f'numpy.{core}.multiarray.scalar'] = _scalar
    names: dict[str, Any] = {name: Maker(name, make) for name, make in makers.items()}
    names.update((f'torch.{name}', getattr(torch, name)) for name in _TORCH_DTYPES
                 if hasattr(torch, name))
    return names


#: Type -> what gives an object its pickled state. Filled below.
STATES: dict[type, Callable[[Any, Any], None]] = {}


def _sets_state(kind: type) -> Callable:
    def register(function: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
        STATES[kind] = function
        return function
    return register


@_sets_state(argparse.Namespace)
def _set_options(namespace: argparse.Namespace, state: Any) -> None:
    """A training script's options: a plain record."""
    for key, value in _plain_dict(state).items():
        if not isinstance(key, str) or key.startswith('__'):
            raise ValueError(f'{key!r} is no name of an option')
        vars(namespace)[key] = value


@_sets_state(OrderedDict)
def _set_metadata(state_dict: OrderedDict, state: Any) -> None:
    """The versions of its modules, which PyTorch keeps beside a state dict's items."""
    metadata = _plain_dict(state).get('_metadata')
    if isinstance(metadata, dict):
        set_metadata(state_dict, {
            name: entry for name, entry in metadata.items() if isinstance(name, str)
            and isinstance(entry, dict) and isinstance(entry.get('version', 1), int)})


@_sets_state(HistoryBuffer)
def _set_history(buffer: HistoryBuffer, state: Any) -> None:
    """The values that were logged; the ways to average them stay mmengine's own."""
    state = _plain_dict(state)
    for key in ('_log_history', '_count_history'):
        if not isinstance(state.get(key), np.ndarray):
            raise ValueError(f'a history of logged values has no array {key}')
        setattr(buffer, key, state[key])
    if not isinstance(state.get('max_length'), int):
        raise ValueError('a history of logged values has no max_length')
    buffer.max_length = state['max_length']


@_sets_state(np.ndarray)
def _set_array(array: np.ndarray, state: Any) -> None:
    _, shape, dtype, fortran, data = state
    data = data.encode('latin1') if isinstance(data, str) else data  # as Python 2 had bytes
    if (not isinstance(dtype, np.dtype) or not isinstance(data, bytes) or not _counts(shape)
            or len(data) != dtype.itemsize * _product(shape)):
        raise ValueError("a NumPy array's shape, type and data do not fit")
    array.__setstate__((1, shape, dtype, bool(fortran), data))  # type: ignore[arg-type]


def _check_dtype(dtype: np.dtype, state: Any) -> None:
    """The type is whole already; the state tells only the byte order."""
    if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ('<', '|', '='):
        raise ValueError(f"a NumPy type's state {state!r} is not that of a little-endian number")


#: Every type of number has a class of its own.
STATES.update((type(np.dtype(code)), _check_dtype) for code in '?' + np.typecodes['AllInteger']
              + np.typecodes['AllFloat'])


def _bytearray(text: str | bytes = '', encoding: str = 'latin-1') -> bytearray:
    return bytearray(text if isinstance(text, bytes) else _encode(text, encoding))


def _complex(real: float, imag: float = 0.0) -> complex:
    return complex(float(real), float(imag))


def _statistic(owner: Any, name: Any) -> Maker:
    """How mmengine pickles a history's methods: by `getattr`, of one class and four names."""
    if owner == Maker('mmengine.logging.history_buffer.HistoryBuffer', getattr(
            owner, 'make', None)) and name in _STATISTICS:
        return Maker(f'{owner.name}.{name}')
    raise ValueError('it asks for an attribute other than the four statistics of HistoryBuffer')


def _slice(*args: int | None) -> slice:
    if not all(arg is None or isinstance(arg, int) for arg in args):
        raise ValueError('a slice of other than whole numbers')
    return slice(*args)


def _encode(text: str, encoding: str = 'latin1') -> bytes:
    """How bytes are pickled in protocol 2."""
    if encoding not in ('latin1', 'latin-1') or not isinstance(text, str):
        raise ValueError(f'bytes in the encoding {encoding!r}')
    return text.encode('latin1')


def _ordered_dict(pairs: Any = ()) -> OrderedDict:
    return OrderedDict((plain_key(key), value) for key, value in pairs)


def _defaultdict(factory: Any = None) -> defaultdict:
    if factory is None:
        return defaultdict()
    if not isinstance(factory, Maker) or factory.name not in _FACTORIES:
        raise ValueError('a defaultdict of other than plain values')
    return defaultdict(_FACTORIES[factory.name])


def _dtype(name: Any, align: Any = False, copy: Any = True) -> np.dtype:
    if not isinstance(name, str) or not _DTYPE.fullmatch(name):
        raise ValueError(f'a NumPy array of type {name!r}, which is no number')
    return np.dtype(name)


def _reconstruct(kind: Any, shape: Any, code: Any) -> np.ndarray:
    return np.empty(0)  # its state follows


def _scalar(dtype: Any, data: Any) -> np.generic:
    if not isinstance(dtype, np.dtype) or not isinstance(data, bytes) or (
            len(data) != dtype.itemsize):
        raise ValueError("a NumPy number's type and data do not fit")
    return np.frombuffer(data, dtype)[0]


def _size(sides: Any = ()) -> torch.Size:
    if not _counts(tuple(sides)):
        raise ValueError(f'a size {sides!r} is not of whole numbers')
    return torch.Size(sides)


def _device(kind: Any, index: Any = None) -> torch.device:
    if not isinstance(kind, str) or not isinstance(index, (int, type(None))):
        raise ValueError('a device has a name and a number')
    return torch.device(kind) if index is None else torch.device(kind, index)


def _items(items: Any) -> list[Any]:
    if not isinstance(items, (list, tuple, set)):
        raise ValueError(f'a set of the items of a {type(items).__name__}')
    return [plain_key(item) for item in items]


def _plain_dict(value: Any) -> Mapping[Any, Any]:
    if not isinstance(value, dict):
        raise ValueError(f'a state is a {type(value).__name__}, not a dict')
    return value


def _counts(values: Any) -> bool:
    """Whether it is a tuple of whole numbers from 0 on."""
    return isinstance(values, tuple) and all(type(v) is int and v >= 0 for v in values)


def _product(values: tuple[int, ...]) -> int:
    product = 1
    for value in values:
        product *= value
    return product
