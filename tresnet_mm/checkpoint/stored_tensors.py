"""Tensors as the pickle of a file of `torch.save` names them: by storage, place, size and stride.

A tensor that reaches beyond its storage, or storages longer than the file, are refused.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .plain_pickle import Maker, PlainPickle
from .plain_types import STATES, plain_names

MapLocation = str | torch.device | dict | Callable | None

_STORAGES = {
    'DoubleStorage': 'float64', 'FloatStorage': 'float32', 'HalfStorage': 'float16',
    'BFloat16Storage': 'bfloat16', 'LongStorage': 'int64', 'IntStorage': 'int32',
    'ShortStorage': 'int16', 'CharStorage': 'int8', 'ByteStorage': 'uint8', 'BoolStorage': 'bool',
    'ComplexDoubleStorage': 'complex128', 'ComplexFloatStorage': 'complex64',
    'UntypedStorage': 'uint8'}
_TENSOR_CLASSES = ('torch.Tensor', 'torch.nn.Parameter', 'torch.nn.parameter.Parameter')


class Storage(NamedTuple):
    """A storage as a pickle names it: its bytes, the type of its elements, where it was."""

    data: torch.UntypedStorage
    dtype: torch.dtype
    location: Any


class StoredTensors:
    """What both forms of a file share: the tensors, and the memory that they may take.

    Args:
        size: Bytes of the file.
        map_location: As of `read_torch_file`.
    """

    def __init__(self, size: int, map_location: MapLocation) -> None:
        self.size = size
        self.unread = size
        self.map_location = map_location
        self.storages: dict[str, torch.UntypedStorage] = {}
        self.tensors: dict[int, tuple[Tensor, Storage]] = {}  # by id
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

    def _persistent(self, key: Any) -> Storage:
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

    def _move(self, storage: Storage) -> torch.UntypedStorage:
        """The storage where ``map_location`` wants it."""
        target = self.map_location
        if callable(target) and not isinstance(target, torch.device):
            return target(storage.data, storage.location) or storage.data
        if isinstance(target, dict):
            target = target.get(storage.location, storage.location)
        elif target is None:
            target = storage.location if is_there(storage.location) else 'cpu'
        if torch.device(target).type == 'cpu':
            return storage.data
        return torch.empty(0, dtype=torch.uint8).set_(storage.data).to(target).untyped_storage()

    def _tensor(self, storage: Any, offset: Any, size: Any, stride: Any,
                requires_grad: Any = False, hooks: Any = None, metadata: Any = None,
                dtype: torch.dtype | None = None) -> Tensor:
        if not isinstance(storage, Storage) or metadata:
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


def is_there(location: Any) -> bool:
    """Whether tensors can be put on a device of this name."""
    try:
        return torch.empty(0, device=location).device.type != 'meta'
    except (RuntimeError, AssertionError, TypeError):  # by the device's kind
        return False
