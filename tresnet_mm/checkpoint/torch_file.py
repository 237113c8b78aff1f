"""Files of `torch.save` read as data, in its zip and in its older form, by any version of PyTorch.

`torch.load` is not used: with ``weights_only=False`` it runs what the pickle inside says, with
``weights_only=True`` what may be called differs from version to version, can be got around in
PyTorch before 2.6 (CVE-2025-32434), and does not exist as a list that can be changed before 2.5.
Here the pickle is read by `PlainPickle`, and what else is in the file is numbers. The zip form's
check sums are verified, which `torch.load` does not do. Reading takes no more memory for tensors
than the file is long.
"""

import mmap
import zipfile
from pathlib import Path
from typing import IO, Any, cast

from .plain_pickle import ForbiddenName, PlainPickle
from .stored_tensors import MapLocation, Storage, StoredTensors

_CHUNK = 1 << 15  # larger ones cost page faults
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C


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


class _ZipFile(StoredTensors):
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

    def _persistent(self, key: Any) -> Storage:
        _, kind, name, location, count = key
        dtype = self._dtype_of(kind)
        info = self._info(f'data/{name}')
        if type(count) is not int or info.file_size < count * dtype.itemsize:
            raise ValueError(f'record data/{name} holds fewer numbers than {count}')
        if name not in self.storages:
            self.storages[name], view = self._allocate(info.file_size)
            self._fill(info, view)
        return Storage(self.storages[name], dtype, location)

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


class _LegacyFile(StoredTensors):
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

    def _persistent(self, key: Any) -> Storage:
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
        return Storage(self.storages[name], dtype, location)


def _read_into(file: IO[bytes], view: memoryview) -> None:
    """Fill ``view`` with the bytes that come next."""
    done = 0
    while done < len(view):
        part = file.read(min(_CHUNK, len(view) - done))
        if not part:
            raise ValueError('it ends early')
        view[done:done + len(part)] = part
        done += len(part)
