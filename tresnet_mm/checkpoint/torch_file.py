"""Files of `torch.save` read as data, in its zip and in its older form, by any version of PyTorch.

`torch.load` is not used: with ``weights_only=False`` it runs what the pickle inside says, with
``weights_only=True`` what may be called differs from version to version, can be got around in
PyTorch before 2.6 (CVE-2025-32434), and does not exist as a list that can be changed before 2.5.
Here the pickle is read by `PlainPickle`, and what else is in the file is numbers. The zip form's
check sums are verified, which `torch.load` does not do. Reading takes no more memory for tensors
than the file is long.
"""

import math
import mmap
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from .plain_pickle import ForbiddenName, Maker, PlainPickle
from .plain_types import STATES, plain_names

MapLocation = str | torch.device | dict | Callable | None

_CHUNK = 1 << 15  # larger ones cost page faults
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_STORAGES = {
    'DoubleStorage': 'float64', 'FloatStorage': 'float32', 'HalfStorage': 'float16',
    'BFloat16Storage': 'bfloat16', 'LongStorage': 'int64', 'IntStorage': 'int32',
    'ShortStorage': 'int16', 'CharStorage': 'int8', 'ByteStorage': 'uint8', 'BoolStorage': 'bool',
    'ComplexDoubleStorage': 'complex128', 'ComplexFloatStorage': 'complex64',
    'UntypedStorage': 'uint8'}
_TENSOR_CLASSES = ('torch.Tensor', 'torch.nn.Parameter', 'torch.nn.parameter.Parameter')


class _Storage(NamedTuple):
    """A storage as a pickle names it: its bytes, the type of its elements, where it was."""

    data: torch.UntypedStorage
    dtype: torch.dtype
    location: Any


def read_torch_file(path: Path, map_location: MapLocation = 'cpu') -> Any:
    """Read a file of `torch.save`.

    Args:
        path: The file.
        map_location: Where tensors go, as in `torch.load`. None is where they were saved from, or
            the CPU where there is no such device.

    Raises:
        ForbiddenName: If it holds objects that are no plain data.
        Exception: Of any other kind, if it is damaged or no such file: for the caller to word.
    """
    with path.open('rb') as file:
        start = file.read(2)
        if start == b'PK':
            return _ZipFile(path, map_location).content()
        if start[:1] != b'\x80':
            raise ValueError('it starts as neither a zip archive nor a pickle does')
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _LegacyFile(data, path.stat().st_size, map_location).content()


class _TorchFile:
    """What both forms share: the tensors, and the memory that they may take.

    Args:
        size: Bytes of the file.
        map_location: As of `read_torch_file`.
    """

    def __init__(self, size: int, map_location: MapLocation) -> None:
        self.size = size
        self.unread = size
        self.map_location = map_location
        self.storages: dict[str, torch.UntypedStorage] = {}
        self.tensors: dict[int, tuple[Tensor, _Storage]] = {}  # by id
        self.names = plain_names()
        for name in _TENSOR_CLASSES:
            self.names[name] = Maker(name)
        makers: dict[str, Callable[..., Any]] = {
            'torch._utils._rebuild_tensor': self._tensor,
            'torch._utils._rebuild_tensor_v2': self._tensor,
            'torch._utils._rebuild_tensor_v3': self._tensor_v3,
            'torch._utils._rebuild_parameter': self._parameter,
            'torch._tensor._rebuild_from_type_v2': self._from_type}
        self.names.update((name, Maker(name, make)) for name, make in makers.items())
        for kind in _STORAGES:
            for module in ('torch', 'torch.cuda', 'torch.storage'):
                self.names[f'{module}.{kind}'] = Maker(f'{module}.{kind}')
        self.dtypes = {kind: getattr(torch, dtype) for kind, dtype in _STORAGES.items()}

    def content(self) -> Any:
        """Read the file, on the CPU, and then move its tensors."""
        try:
            value = self._read(PlainPickle(self.names, STATES, self._persistent))
            self._move_tensors()
            return value
        finally:  # the table's functions hold this object, which would hold the tensors
            self.names.clear()

    def _move_tensors(self) -> None:
        moved: dict[int, torch.UntypedStorage] = {}
        for tensor, storage in self.tensors.values():
            if id(storage.data) not in moved:
                moved[id(storage.data)] = self._move(storage)
            data = moved[id(storage.data)]
            if data is not storage.data:
                empty = torch.empty(0, dtype=tensor.dtype, device=data.device)
                tensor.data = empty.set_(
                    data, tensor.storage_offset(), tensor.size(), tensor.stride())

    def _read(self, pickle: PlainPickle) -> Any:
        raise NotImplementedError

    def _persistent(self, key: Any) -> _Storage:
        raise NotImplementedError

    def _dtype_of(self, kind: Any) -> torch.dtype:
        name = kind.name.rpartition('.')[2] if isinstance(kind, Maker) else ''
        if name not in self.dtypes:
            raise ValueError('a storage of no known type')
        return self.dtypes[name]

    def _allocate(self, nbytes: int) -> tuple[torch.UntypedStorage, memoryview]:
        """Memory on the CPU; not more in all than the file has bytes."""
        if nbytes > self.unread:
            raise ValueError('its tensors claim more bytes than the file has')
        self.unread -= nbytes
        storage = torch.UntypedStorage(nbytes)
        view = torch.empty(0, dtype=torch.uint8).set_(storage) if nbytes else torch.empty(0)
        return storage, view.numpy().data.cast('B')

    def _move(self, storage: _Storage) -> torch.UntypedStorage:
        """The storage where ``map_location`` wants it."""
        target = self.map_location
        if callable(target) and not isinstance(target, torch.device):
            return target(storage.data, storage.location) or storage.data
        if isinstance(target, dict):
            target = target.get(storage.location, storage.location)
        elif target is None:
            target = storage.location if _is_there(storage.location) else 'cpu'
        if torch.device(target).type == 'cpu':
            return storage.data
        return torch.empty(0, dtype=torch.uint8).set_(storage.data).to(target).untyped_storage()

    def _tensor(self, storage: Any, offset: Any, size: Any, stride: Any,
                requires_grad: Any = False, hooks: Any = None, metadata: Any = None,
                dtype: torch.dtype | None = None) -> Tensor:
        if not isinstance(storage, _Storage) or metadata:
            raise ValueError('a tensor of another kind than strided')
        dtype = dtype or storage.dtype
        numbers = (offset, *size, *stride)
        if len(size) != len(stride) or any(type(n) is not int or n < 0 for n in numbers):
            raise ValueError(f'a tensor of size {tuple(size)} and stride {tuple(stride)}')
        count = math.prod(size)
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        held = storage.data.nbytes() // dtype.itemsize
        if count and (last >= held or count * dtype.itemsize > self.size):
            raise ValueError(f'a tensor of size {tuple(size)} reaches beyond its storage of {held} '
                             'elements')
        tensor = torch.empty(0, dtype=dtype)
        tensor.set_(storage.data, offset if count else 0, torch.Size(size), tuple(stride))
        self.tensors[id(tensor)] = tensor, storage
        return tensor.requires_grad_(bool(requires_grad))

    def _tensor_v3(self, storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any,
                   hooks: Any, dtype: Any, metadata: Any = None) -> Tensor:
        if not isinstance(dtype, torch.dtype):
            raise ValueError('a tensor of no known type')
        return self._tensor(storage, offset, size, stride, requires_grad, hooks, metadata, dtype)

    def _parameter(self, data: Any, requires_grad: Any = True, hooks: Any = None) -> nn.Parameter:
        if id(data) not in self.tensors:
            raise ValueError('a parameter that is no tensor')
        parameter = nn.Parameter(data, bool(requires_grad))
        self.tensors[id(parameter)] = parameter, self.tensors[id(data)][1]
        return parameter

    @staticmethod
    def _from_type(function: Any, kind: Any, args: Any, state: Any) -> Tensor:
        """A tensor that somebody has put attributes on, without these."""
        if not all(isinstance(part, Maker) for part in (function, kind)) or (
                kind.name not in _TENSOR_CLASSES or function.make is None
                or not function.name.startswith('torch._utils.')):
            raise ValueError('a tensor of an unknown class')
        return function.make(*args)


class _ZipFile(_TorchFile):
    """The form since PyTorch 1.6: a zip archive of stored, not compressed, records."""

    def __init__(self, path: Path, map_location: MapLocation) -> None:
        super().__init__(path.stat().st_size, map_location)
        self.path = path

    def _read(self, pickle: PlainPickle) -> Any:
        with zipfile.ZipFile(self.path) as self.archive:
            names = self.archive.namelist()
            roots = [name[:-len('data.pkl')] for name in names if name.endswith('/data.pkl')]
            if len(roots) != 1:
                raise ValueError('a zip archive, but not of torch.save')
            self.root = roots[0]
            if self.root + 'constants.pkl' in names:
                raise ForbiddenName('a TorchScript program')
            order = self.root + 'byteorder'
            if order in names and self._record('byteorder') != b'little':
                raise ValueError('its numbers are big-endian')
            return pickle.read(self._record('data.pkl'))

    def _persistent(self, key: Any) -> _Storage:
        _, kind, name, location, count = key
        dtype = self._dtype_of(kind)
        info = self._info(f'data/{name}')
        if type(count) is not int or info.file_size < count * dtype.itemsize:
            raise ValueError(f'record data/{name} holds fewer numbers than {count}')
        if name not in self.storages:
            self.storages[name], view = self._allocate(info.file_size)
            self._fill(info, view)
        return _Storage(self.storages[name], dtype, location)

    def _info(self, name: str) -> zipfile.ZipInfo:
        info = self.archive.getinfo(self.root + name)
        if info.compress_type != zipfile.ZIP_STORED or info.file_size > self.size:
            raise ValueError(f'record {name} is compressed, which torch.save does not do')
        return info

    def _record(self, name: str) -> bytes:
        return self.archive.read(self._info(name))  # zipfile compares the check sum

    def _fill(self, info: zipfile.ZipInfo, view: memoryview) -> None:
        with self.archive.open(info) as record:
            _read_into(record, view)
            record.read(1)  # at the end of a record zipfile compares its check sum


class _LegacyFile(_TorchFile):
    """The form before PyTorch 1.6: pickles one after another, then the storages' numbers.

    Args:
        data: The file's bytes.
        size: Their number.
        map_location: As of `read_torch_file`.
    """

    def __init__(self, data: mmap.mmap, size: int, map_location: MapLocation) -> None:
        super().__init__(size, map_location)
        self.data = cast(IO[bytes], data)
        self.views: dict[str, tuple[memoryview, int]] = {}

    def _read(self, pickle: PlainPickle) -> Any:
        if pickle.read(self.data) != _LEGACY_MAGIC:
            raise ValueError('a pickle, but not of torch.save')
        pickle.read(self.data)  # version of the form
        system = pickle.read(self.data)
        if not isinstance(system, dict) or system.get('little_endian') is not True:
            raise ValueError('its numbers are big-endian')
        value = pickle.read(self.data)
        keys = pickle.read(self.data)
        if not isinstance(keys, list) or set(keys) != set(self.views):
            raise ValueError('its tensors are not the ones that follow')
        for key in keys:
            view, count = self.views[key]
            if int.from_bytes(self.data.read(8), 'little') != count:
                raise ValueError(f'storage {key} is not as long as it says')
            _read_into(self.data, view)
        return value

    def _persistent(self, key: Any) -> _Storage:
        if key[0] != 'storage':
            raise ForbiddenName('a pickled module')
        _, kind, name, location, count, view = key
        if view is not None:
            raise ValueError('it was written before PyTorch 0.4')
        dtype = self._dtype_of(kind)
        if type(count) is not int or count < 0:
            raise ValueError(f'storage {name} has no length')
        if name not in self.storages:
            self.storages[name], memory = self._allocate(count * dtype.itemsize)
            self.views[name] = memory, count
        return _Storage(self.storages[name], dtype, location)


def _read_into(file: IO[bytes], view: memoryview) -> None:
    """Fill ``view`` with the bytes that come next."""
    done = 0
    while done < len(view):
        part = file.read(min(_CHUNK, len(view) - done))
        if not part:
            raise ValueError('it ends early')
        view[done:done + len(part)] = part
        done += len(part)


def _is_there(location: Any) -> bool:
    """Whether tensors can be put on a device of this name."""
    try:
        return torch.empty(0, device=location).device.type != 'meta'
    except (RuntimeError, AssertionError, TypeError):  # by the device's kind
        return False
