"""Checkpoint files: their bytes, the pickle inside, and the keys and values of a state dict."""
from __future__ import annotations

import contextlib
import functools
import io
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import torch
from hypothesis import strategies as st
from safetensors.torch import save

from tests.checkpoint import hostile
from tests.checkpoint.conftest import linear_head, make_backbone, official_keys, timm_keys
from tests.fuzz.kinds import Kind, documented
from tests.fuzz.mutations import damaged
from tresnet_mm.checkpoint import convert, load_pretrained, read_file
from tresnet_mm.checkpoint.plain_types import plain_names

SMALL = dict(depths=(1, 1, 1, 1), width=0.05)


@functools.cache
def network() -> torch.nn.Module:
    return make_backbone(arch=SMALL)


@functools.cache
def published(form: str) -> dict[str, torch.Tensor]:
    """A whole published state dict."""
    net = network()
    rename = dict(official=official_keys, timm=timm_keys)[form]
    return rename(net.state_dict()) | linear_head(net.out_channels[-1])


@functools.cache
def file_of(suffix: str) -> bytes:
    """A sound file: zip, legacy or safetensors."""
    state_dict = {'backbone.' + key: value for key, value in network().state_dict().items()}
    if suffix == '.safetensors':
        return save(state_dict, {'meta': '{"tresnet_mm": {"norm": "BN"}}'})
    buffer = io.BytesIO()
    torch.save({'meta': {'epoch': 1}, 'state_dict': state_dict}, buffer,
               _use_new_zipfile_serialization=suffix == '.pth')
    return buffer.getvalue()


def use(suffix: str, content: bytes) -> bool:
    """Read a file and load it, as ``init_cfg`` does."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f'file{suffix}'
        path.write_bytes(content)
        whole = documented(lambda: read_file(path), str(path))
        if whole:
            documented(lambda: load_pretrained(make_backbone(arch=SMALL), str(path)), str(path),
                       ValueError, type_of_mismatch())
        return whole


def type_of_mismatch() -> type[Exception]:
    from tresnet_mm.checkpoint import CheckpointMismatch
    return CheckpointMismatch


@st.composite
def files(draw: st.DrawFn) -> tuple[str, bytes]:
    suffix = draw(st.sampled_from(['.pth', '.pt', '.safetensors']))
    return suffix, draw(damaged(file_of(suffix)))


# Pickles put together from pieces that mean something to the machine.

NAMES = [hostile.name(*full.rsplit('.', 1)) for full in plain_names()] + [
    hostile.name(*pair) for pair in (
        ('builtins', 'exec'), ('builtins', 'eval'), ('os', 'system'), ('posix', 'system'),
        ('torch', 'load'), ('torch.nn', 'Module'), ('operator', 'attrgetter'),
        ('torch._utils', '_rebuild_tensor_v2'), ('torch', 'FloatStorage'))]
VALUES = [b'N', b'\x88', b'K\x05', b']', b'}', b')', b'\x8f', b'(', b'I1\n', b'G' + bytes(8),
          b'C\x02ab', *(hostile.text(word) for word in (
              'exec', '__init__', '__builtins__', '__globals__', '__setstate__', '__class__',
              '_metadata', 'min', 'latin1', 'f8', 'storage', 'cpu', '0', 'builtins',
              "open('ran', 'w')"))]
OPERATIONS = [b'R', b'\x81', b'b', b't', b'\x85', b'\x86', b'\x87', b's', b'u', b'a', b'e', b'0',
              b'1', b'2', b'Q', b'\x93', b'q\x00', b'h\x00', b'\x94', b'l', b'd', b'\x90', b'\x91']
PIECES = st.lists(st.sampled_from(NAMES + VALUES + OPERATIONS * 3), max_size=40).map(b''.join)


@functools.cache
def empty_archive() -> bytes:
    buffer = io.BytesIO()
    torch.save({'w': torch.ones(2)}, buffer)
    return buffer.getvalue()


def check_pickle(operations: bytes) -> bool:
    """Whether a pickle of these operations is read; it never leaves anything but values."""
    with zipfile.ZipFile(io.BytesIO(empty_archive())) as old:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, 'w') as new:
            for info in old.infolist():
                pickled = info.filename.endswith('data.pkl')
                new.writestr(info.filename, hostile.pickled(operations) if pickled
                             else old.read(info))
    usable = use('.pth', buffer.getvalue())
    assert not Path('ran').exists(), 'code ran'
    return usable


# State dicts that are nearly right.

CHANGES = {
    'drop': lambda value: None, 'integer': lambda value: value.to(torch.int8),
    'half': lambda value: value.half(), 'complex': lambda value: value.to(torch.complex64),
    'sparse': lambda value: value.to_sparse() if value.ndim else value, 'flat': torch.ravel,
    'sum': torch.sum, 'more': lambda value: torch.cat([value, value]) if value.ndim else value,
    'empty': lambda value: value[:0] if value.ndim else value, 'none': lambda value: [1],
    'nan': lambda value: torch.full(value.shape, float('nan')), 'negative': lambda value: -value,
    'meta': lambda value: value.to('meta')}
RENAMED = st.sampled_from([
    'module.', 'model.', 'x.', 'backbone.', 'body.', 'head.', 'layer5.0.', 'layer1.999.',
    'layer1.0.conv1.0.', 'conv1.conv.'])


@st.composite
def state_dicts(draw: st.DrawFn) -> tuple[str, list[tuple[str, str]], list[str]]:
    """A form, changes of values by key, and wrappers."""
    form = draw(st.sampled_from(['official', 'timm']))
    keys = st.sampled_from(sorted(published(form)))
    how = st.one_of(st.sampled_from(sorted(CHANGES)), RENAMED)
    wrappers = st.sampled_from(['model', 'state_dict', 'ema', 'other'])
    return (form, draw(st.lists(st.tuples(keys, how), max_size=3)),
            draw(st.lists(wrappers, max_size=3)))


def check_state_dict(case: tuple[str, list[tuple[str, str]], list[str]]) -> bool:
    """Whether a changed state dict is converted."""
    form, changes, wrappers = case
    content: dict[str, Any] = dict(published(form))
    for key, how in changes:
        if key not in content:
            continue
        value = content.pop(key)
        if how in CHANGES:
            with contextlib.suppress(RuntimeError):  # not every change goes on top of another
                value = CHANGES[how](value) if isinstance(value, torch.Tensor) else value
            content.update({key: value} if value is not None else {})
        else:
            content[how + key] = value
    for wrapper in wrappers:
        content = {wrapper: content, 'epoch': 3}
    try:
        converted = convert(content, norm='BN')
    except (TypeError, ValueError):
        return False
    assert all(value.isfinite().all() for value in converted.state_dict.values()
               if not value.is_meta)
    return True


KINDS = {'checkpoint': Kind(files(), lambda case: use(*case)),
         'pickle': Kind(PIECES, check_pickle),
         'state_dict': Kind(state_dicts(), check_state_dict)}
