"""Checkpoints from strangers: none of them runs code, hangs, or takes memory that it has not."""

import argparse
import gc
import io
import itertools
import pickle
import resource
import struct
import subprocess
import sys
import weakref
import zipfile
from collections import Counter, OrderedDict, defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.apis import DetInferencer
from mmengine.config import Config
from mmengine.infer import BaseInferencer
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.runner.checkpoint import CheckpointLoader
from torch import nn

from tresnet_mm import _mmengine
from tresnet_mm.checkpoint import SCHEMES, read_file, read_source
from tresnet_mm.checkpoint.plain_pickle import Maker, PlainPickle
from tresnet_mm.checkpoint.plain_types import STATES, plain_names

from . import hostile

CONTENT = {'state_dict': OrderedDict(w=torch.arange(6.).reshape(2, 3)), 'meta': {'epoch': 4}}


@pytest.fixture
def epoch_file(tmp_path) -> Path:
    """What mmengine's runner writes: weights, optimizer, logged histories."""
    path = tmp_path / 'epoch_4.pth'
    buffer = HistoryBuffer()
    for value in (3.0, 2.0, 1.0):
        buffer.update(value)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    torch.save({'meta': {'epoch': 4, 'iter': 12, 'seed': np.int64(5)},
                'state_dict': model.state_dict(), 'optimizer': optimizer.state_dict(),
                'message_hub': {'log_scalars': OrderedDict({'train/loss': buffer}),
                                'runtime_info': OrderedDict(), 'resumed_keys': {}}}, path)
    return path


@pytest.mark.parametrize('route', hostile.ROUTES)
def test_the_payloads_are_live(route, tmp_path):
    """Python's own unpickler runs each of them: what the tests below refuse is dangerous."""
    canary = tmp_path / 'ran'
    script = 'import pickle, sys; pickle.loads(sys.stdin.buffer.read())'
    subprocess.run([sys.executable, '-c', script], timeout=120, check=False, capture_output=True,
                   input=hostile.pickled(hostile.ROUTES[route](hostile.touch(canary))))
    assert canary.exists()


@pytest.mark.reliability(
    done='checkpoints that would run code when they are read',
    happens='refused; nothing runs')
@pytest.mark.parametrize('where', ['zip', 'legacy', 'pickle', 'in front of an epoch file',
                                   'in front of a legacy file'])
@pytest.mark.parametrize('route', hostile.ROUTES)
def test_no_file_runs_code(route, where, epoch_file, tmp_path):
    path, canary = tmp_path / 'evil.pth', tmp_path / 'ran'
    operations = hostile.ROUTES[route](hostile.touch(canary))
    if where == 'pickle':
        path.write_bytes(hostile.pickled(operations))
    elif 'epoch' in where:
        hostile.zip_with_pickle(path, lambda old: hostile.in_front_of(operations, old), epoch_file)
    elif 'legacy file' in where:
        hostile.legacy_with_pickle(path, lambda old: hostile.in_front_of(operations, old), CONTENT)
    elif where == 'zip':
        hostile.zip_with_pickle(path, lambda old: hostile.pickled(operations), epoch_file)
    else:
        hostile.legacy_with_pickle(path, lambda old: hostile.pickled(operations), CONTENT)
    for read in (read_file, read_source, CheckpointLoader.load_checkpoint):
        with pytest.raises(ValueError, match=str(path)):
            read(str(path))
    assert not canary.exists()


def test_what_was_doctored_is_read_without_it(epoch_file, tmp_path):
    """The refusals above are of the operations put in, not of the files around them."""
    path = tmp_path / 'harmless.pth'
    hostile.zip_with_pickle(path, lambda old: hostile.in_front_of(hostile.text('x'), old),
                            epoch_file)
    assert read_file(path)['meta']['epoch'] == 4
    hostile.legacy_with_pickle(path, lambda old: hostile.in_front_of(hostile.text('x'), old),
                               CONTENT)
    assert torch.equal(read_file(path)['state_dict']['w'], CONTENT['state_dict']['w'])


def operands() -> list:
    """One of each kind of value that a file can put on the stack."""
    names = plain_names()
    return [*names.values(), 'exec', '__init__', '__globals__', '__class__', 'min', 'latin1',
            b'x', 3, -1, 2**70, 1.5, None, True, (), ('a',), [], ['a'], [('a', 1)], {}, {'a': 1},
            {'__setstate__': 'x', '__class__': 1}, OrderedDict(), set(), argparse.Namespace(),
            HistoryBuffer(), np.zeros(2), np.dtype('f4'), (3, '<', None, None, None, -1, -1, 0)]


#: What the table's functions may give, and objects be changed to: values without behaviour of
#: their own.
PLAIN = (bytearray, bytes, complex, frozenset, set, slice, Maker, Counter, OrderedDict, defaultdict,
         argparse.Namespace, HistoryBuffer, np.dtype, np.ndarray, np.generic, torch.Size,
         torch.device)


@pytest.mark.parametrize('name', [name for name, value in plain_names().items()
                                  if isinstance(value, Maker) and value.make])
def test_every_callable_gives_plain_data_whatever_it_is_given(name):
    """Called with all pairs of values that a file can hold, none gives anything but data."""
    make = plain_names()[name].make
    for args in [(), *((a,) for a in operands()), *itertools.product(operands(), repeat=2)]:
        try:
            value = make(*args)
        except (ValueError, TypeError, AttributeError, OverflowError, RuntimeError, LookupError,
                UnicodeEncodeError):
            continue
        assert isinstance(value, PLAIN), (args, value)
        if isinstance(value, Maker):  # only a history's four statistics, which cannot be called
            assert value.make is None and value.name.rpartition('.')[2] in (
                'min', 'max', 'current', 'mean')


@pytest.mark.parametrize('kind', STATES)
def test_no_state_gives_an_object_behaviour(kind):
    """Whatever state an object is given, its methods stay those of its class."""
    classes = {HistoryBuffer: dict(vars(HistoryBuffer))}
    statistics = dict(HistoryBuffer()._statistics_methods)
    for state in operands():
        target = np.dtype('f4') if issubclass(kind, np.dtype) else (
            np.empty(0) if kind is np.ndarray else kind())
        try:
            STATES[kind](target, state)
        except (ValueError, TypeError, AttributeError, LookupError):
            continue
        for key, value in getattr(target, '__dict__', {}).items():
            assert not key.startswith('__') and (key == '_statistics_methods' or not callable(
                value))
    assert dict(vars(HistoryBuffer)) == classes[HistoryBuffer]
    assert HistoryBuffer()._statistics_methods == statistics


def test_classes_cannot_be_changed(epoch_file, tmp_path):
    """A state is given to objects, never to what a name stands for."""
    path = tmp_path / 'evil.pth'
    operations = hostile.name(*hostile.HISTORY) + b'}' + hostile.text('min') + b'Ns' + b'b'
    hostile.zip_with_pickle(path, lambda old: hostile.in_front_of(operations, old), epoch_file)
    with pytest.raises(ValueError, match='gives a state to a Maker'):
        read_file(path)
    assert HistoryBuffer.min is not None


def same(ours, theirs) -> None:
    assert type(ours) is type(theirs)
    if isinstance(ours, dict):
        assert list(ours) == list(theirs)
        for key in ours:
            same(ours[key], theirs[key])
    elif isinstance(ours, (list, tuple)):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            same(a, b)
    elif isinstance(ours, torch.Tensor):
        assert (ours.dtype, ours.shape, ours.stride(), ours.requires_grad) == (
            theirs.dtype, theirs.shape, theirs.stride(), theirs.requires_grad)
        assert torch.equal(ours.contiguous().view(torch.uint8) if ours.numel() and ours.ndim
                           else ours, theirs.contiguous().view(torch.uint8)
                           if theirs.numel() and theirs.ndim else theirs)
    elif isinstance(ours, HistoryBuffer):
        assert all(np.array_equal(a, b) for a, b in zip(ours.data, theirs.data, strict=True))
        assert ours.statistics('mean') == theirs.statistics('mean')
    elif isinstance(ours, np.ndarray):
        assert ours.dtype == theirs.dtype and np.array_equal(ours, theirs)
    else:
        assert ours == theirs


def values() -> dict:
    base = torch.arange(24.)
    state_dict = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).state_dict()
    return {
        'state_dict': state_dict,
        'kinds': [torch.ones(3, dtype=dtype) for dtype in (
            torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16,
            torch.int8, torch.uint8, torch.bool, torch.complex64)],
        'views': (base[3:9], base.reshape(4, 6).T, base[::5], base.reshape(2, 3, 4)[:, 1]),
        'expanded': torch.ones(1).expand(3), 'scalar': torch.tensor(2.5), 'none': torch.empty(0, 3),
        'parameter': nn.Parameter(torch.ones(2)),
        'numpy': [np.arange(6.).reshape(2, 3), np.asfortranarray(np.eye(3, dtype=np.float32)),
                  np.float64(1.5), np.int64(3), np.bool_(True), np.zeros((0, 2), np.int32),
                  *(np.ones(2, code) for code in ('?', 'i1', 'u1', 'i2', 'u2', 'u4', 'u8', 'f2',
                                                  'c8', 'c16'))],
        'plain': [1, -(2**80), 1.5, 'ä', b'\x00\xff', True, None, (1, (2,)), {1, 2}, frozenset('a'),
                  1 + 2j, bytearray(b'ab'), slice(1, None), torch.Size([2, 3]),
                  torch.device('cpu'), torch.float16, Counter('aab')],
        'factory': defaultdict(list, a=[1]), 'options': argparse.Namespace(lr=0.1, names=['a']),
    }


@pytest.mark.parametrize('zip_form', [True, False])
def test_all_that_torch_saves_of_plain_data_is_read_as_torch_reads_it(zip_form, tmp_path):
    path = tmp_path / 'file.pth'
    torch.save(values(), path, _use_new_zipfile_serialization=zip_form)
    ours, theirs = read_file(path), torch.load(path, weights_only=False)
    same(ours, theirs)
    assert ours['state_dict']._metadata == theirs['state_dict']._metadata
    first, transposed = ours['views'][:2]
    first.fill_(-1)  # one storage, shared as before
    assert (transposed == -1).sum() == 6


def test_epoch_files_are_read_as_torch_reads_them(epoch_file):
    same(read_file(epoch_file), torch.load(epoch_file, weights_only=False))


@pytest.mark.parametrize('map_location', [
    None, 'cpu', torch.device('cpu'), {'cpu': 'cpu'}, lambda storage, location: storage])
@pytest.mark.parametrize('zip_form', [True, False])
def test_map_location(zip_form, map_location, tmp_path):
    path = tmp_path / 'file.pth'
    torch.save(CONTENT, path, _use_new_zipfile_serialization=zip_form)
    assert torch.equal(read_file(path, map_location)['state_dict']['w'], CONTENT['state_dict']['w'])


@pytest.mark.parametrize('zip_form', [True, False])
def test_map_location_moves_every_storage_once(zip_form, tmp_path):
    """A device of its own is not needed: a copy is another storage just as well."""
    path, moved = tmp_path / 'file.pth', []
    base = torch.arange(4.)
    torch.save({'a': base, 'b': base[1:], 'p': nn.Parameter(base), 'c': torch.ones(2)}, path,
               _use_new_zipfile_serialization=zip_form)

    def copy(storage, location):
        assert location == 'cpu'
        moved.append(storage.clone())
        return moved[-1]

    loaded = read_file(path, copy)
    assert len(moved) == 2
    assert {loaded[key].untyped_storage().data_ptr() for key in 'abp'} == {moved[0].data_ptr()}
    assert torch.equal(loaded['b'], base[1:]) and torch.equal(loaded['p'], base)
    assert isinstance(loaded['p'], nn.Parameter)


def start_of(path: Path, record: str) -> int:
    """Where the bytes of a record stand in a zip archive."""
    with zipfile.ZipFile(path) as archive:
        name, = (name for name in archive.namelist() if name.endswith(record))
        header = archive.getinfo(name).header_offset
    lengths = path.read_bytes()[header + 26:header + 30]
    return header + 30 + sum(struct.unpack('<HH', lengths))


@pytest.mark.reliability(
    done='one byte of a checkpoint is changed',
    happens='refused, with the part that is damaged')
@pytest.mark.parametrize('record', ['/data/0', '/data.pkl'])
def test_a_flipped_byte_is_found(record, epoch_file):
    data = bytearray(epoch_file.read_bytes())
    data[start_of(epoch_file, record) + 2] ^= 1
    epoch_file.write_bytes(data)
    with pytest.raises(ValueError, match=f'{epoch_file} is damaged.*CRC'):
        read_file(epoch_file)


@pytest.mark.parametrize('record', ['data.pkl', 'data/0'])
def test_a_compressed_record_is_not_unpacked(record, epoch_file, tmp_path):
    """A bomb of half a GB; what is read of it takes a fraction of that."""
    path = tmp_path / 'bomb.pth'
    with zipfile.ZipFile(epoch_file) as old, zipfile.ZipFile(path, 'w') as new:
        for info in old.infolist():
            if not info.filename.endswith(record):
                new.writestr(info.filename, old.read(info))
        with new.open(zipfile.ZipInfo(f'{info.filename.split("/")[0]}/{record}'), 'w') as file:
            file._compressor, file._zinfo.compress_type = zlib_compressor(), zipfile.ZIP_DEFLATED
            for _ in range(512):
                file.write(bytes(1 << 20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match=f'{path} is damaged.*compressed'):
        read_file(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB


def zlib_compressor():
    import zlib
    return zlib.compressobj(9, zlib.DEFLATED, -15)


def tensor_pickle(count, size, stride, offset=0) -> bytes:
    """A pickle of one tensor, with claims of one's own."""
    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            return value.key if isinstance(value, Key) else None

    class Key:
        key = ('storage', torch.FloatStorage, '0', 'cpu', count)

    class Claim:
        def __reduce__(self):
            return torch._utils._rebuild_tensor_v2, (
                Key(), offset, size, stride, False, OrderedDict())

    buffer = io.BytesIO()
    Pickler(buffer, 2).dump({'state_dict': {'w': Claim()}})
    return buffer.getvalue()


@pytest.mark.parametrize('claim', [
    dict(count=6, size=(2**46,), stride=(1,)), dict(count=6, size=(2**40,), stride=(0,)),
    dict(count=6, size=(2, 3), stride=(300, 1)), dict(count=6, size=(6,), stride=(1,), offset=1),
    dict(count=6, size=(-1,), stride=(1,)), dict(count=6, size=(2,), stride=(1, 1)),
    dict(count=2**40, size=(2,), stride=(1,)), dict(count=6, size=(True,), stride=(1,)),
    dict(count=6, size=(2,), stride=(-1,)), dict(count=6, size=(2,), stride=(1,), offset=-1)])
def test_tensors_are_no_larger_than_the_file(claim, epoch_file, tmp_path):
    path = tmp_path / 'claim.pth'
    hostile.zip_with_pickle(path, lambda old: tensor_pickle(6, (2, 3), (3, 1)), epoch_file)
    assert read_file(path)['state_dict']['w'].shape == (2, 3)
    hostile.zip_with_pickle(path, lambda old: tensor_pickle(**claim), epoch_file)
    with pytest.raises(ValueError, match=f'{path} is damaged'):
        read_file(path)


@pytest.mark.parametrize('operations, words', [
    (b']' * 200_000 + b'a' * 199_999, 'more than 100 levels'),
    (b')' + b'\x85' * 200_000, 'more than 100 levels'),
    (b'}q\x00' + hostile.text('model') + b'h\x00s', 'holds itself'),
    (b'}' + b')' + b'\x85' * 200_000 + b'Ns', 'key of a dict'),
    (b'N' * 3_000_001, 'more than 3000000 operations'),
    (b'}' * 3 + b'u', ''), (b'h\x05', ''), (b'b', ''), (b'R', ''), (b'\x95' + b'\xff' * 8, ''),
    (b'}' + b'N' + b'b', 'gives a state to a dict'), (b'Q', 'persistent id|pop from empty'),
    (b'X\xff\xff\xff\xff', ''), (b'\x8a\xff', ''), (b'I' + b'9' * 5000 + b'\n', ''),
], ids=range(15))
def test_pickles_that_are_no_values(operations, words, epoch_file, tmp_path):
    path = tmp_path / 'odd.pth'
    hostile.zip_with_pickle(path, lambda old: hostile.pickled(operations), epoch_file)
    with pytest.raises(ValueError, match=f'{path} is damaged or no checkpoint: .*({words})'):
        read_file(path)


@pytest.mark.parametrize('content, words', [
    ([torch.ones(1)], 'holds a list'), (torch.ones(1), 'holds a Tensor'), (3, 'holds a int'),
    ({1: torch.ones(1)}, 'keys of it should be text, and there is 1'),
    ({'state_dict': {(1, 2): torch.ones(1)}}, "keys of 'state_dict' should be text"),
    ({'state_dict': {'w': torch.ones(3).to_sparse()}}, 'runs torch._utils._rebuild_sparse_tensor'),
    ({'state_dict': {'w': torch.ones(3, device='meta')}}, 'runs torch._utils._rebuild_meta'),
    ({'model': nn.Linear(1, 1)}, 'runs torch.nn'), ({'path': Path('a')}, 'runs pathlib'),
    ({'a': np.array([None])}, 'type and data do not fit|is no number|not that of a little'),
    ({'a': np.array(['x'])}, 'is no number'), ({'a': np.zeros(2, '>f8')}, 'little-endian'),
])
def test_content_that_is_no_checkpoint(content, words, tmp_path):
    path = tmp_path / 'odd.pth'
    torch.save(content, path)
    with pytest.raises(ValueError, match=f'checkpoint {path}.*({words})'):
        read_file(path)


def test_a_program_is_refused(tmp_path):
    path = tmp_path / 'program.pt'
    torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.ones(1, 2)), path)
    with pytest.raises(ValueError, match=f'{path} runs '):
        read_file(path)


@pytest.mark.parametrize('data', [b'\x80', b'PK\x05\x06' + bytes(18), bytes(100), b'\x1f\x8b' * 9])
def test_other_files(data, tmp_path):
    path = tmp_path / 'odd.pth'
    path.write_bytes(data)
    with pytest.raises(ValueError, match=f'{path} is damaged or no checkpoint'):
        read_file(path)


def test_random_bytes_are_not_said_to_run_code(epoch_file, tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / 'noise.pth'
    whole = epoch_file.read_bytes()
    for data in [b'\x80\x02' + rng.bytes(1000), rng.bytes(1000), whole[100:], whole[:-100]]:
        path.write_bytes(data)
        with pytest.raises(ValueError, match=f'{path} is damaged or no checkpoint'):
            read_file(path)


def test_no_scheme_is_left_to_mmengines_readers():
    """Theirs run what a file says."""
    assert set(CheckpointLoader._schemes) == set(SCHEMES)
    assert {loader.__name__ for loader in CheckpointLoader._schemes.values()} == {
        'load_from_tresnet_mm'}
    for source in ('pavi://x', 's3://bucket/x.pth', 'petrel://bucket/x.pth'):
        with pytest.raises(OSError, match=f'cannot read the checkpoint {source}'):
            read_source(source)
    for source in ('open-mmlab://none', 'mmcls://none', 'openmmlab://none'):
        with pytest.raises(ValueError, match=f'unknown checkpoint {source!r}'):
            read_source(source)


def test_yaml_builds_no_objects(tmp_path):
    canary = tmp_path / 'ran'
    path = tmp_path / 'config.yaml'
    path.write_text(f'a: !!python/object/apply:os.mkdir ["{canary}"]\n')
    with pytest.raises(Exception, match='could not determine a constructor'):
        Config.fromfile(path)
    assert not canary.exists()
    Config(dict(a=(1, 2), b=dict(c='x'))).dump(path)
    assert Config.fromfile(path).a == (1, 2)


class Toy(BaseModel):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2, 3))

    def forward(self, inputs, mode='tensor'):
        return dict(loss=self.weight.sum()) if mode == 'loss' else self.weight


def with_config(epoch_file: Path, place: str, text: str) -> str:
    """An epoch file that holds a config's text in one of the places where mmengine looks."""
    content = torch.load(epoch_file, weights_only=False)
    del content['meta']['seed']  # a NumPy number, which Python takes for no seed
    if place == 'message_hub':
        content['message_hub']['runtime_info']['cfg'] = text
    else:
        content['meta'][place] = text
    torch.save(content, epoch_file)
    return str(epoch_file)


@pytest.mark.parametrize('guarded', [False, True])
@pytest.mark.parametrize('place', ['cfg', 'message_hub'])
def test_no_inferencer_runs_the_config_in_a_checkpoint(
        place, guarded, epoch_file, tmp_path, monkeypatch):
    """mmengine's own does, which shows that the text is live."""
    canary = tmp_path / 'ran'
    text = f'{hostile.touch(canary)}\nmodel = dict(type="None")\n'
    weights = with_config(epoch_file, place, text)
    error, message = ValueError, 'epoch_4.pth.* the config inside a checkpoint is a program'
    if not guarded:
        monkeypatch.setattr(BaseInferencer, '_init_model', _mmengine._init_model)
        error, message = Exception, 'None'
    with pytest.raises(error, match=message):
        DetInferencer(weights=weights, device='cpu')
    assert canary.exists() is not guarded


@pytest.mark.parametrize('guarded', [False, True])
def test_resuming_runs_no_config_of_a_checkpoint(guarded, epoch_file, tmp_path, monkeypatch):
    """mmengine's loader hands it over, and then it runs, which shows that the text is live."""
    canary = tmp_path / 'ran'
    checkpoint = with_config(epoch_file, 'config', hostile.touch(canary))
    if not guarded:
        monkeypatch.setitem(CheckpointLoader._schemes, '', lambda path, location: read_file(path))
    runner = Runner(
        Toy(), str(tmp_path / 'work'), train_cfg=dict(by_epoch=True, max_epochs=9),
        train_dataloader=dict(dataset=[torch.ones(1)], batch_size=1, sampler=dict(
            type='DefaultSampler', shuffle=False)),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)), experiment_name='toy')
    runner.resume(checkpoint, resume_optimizer=False, resume_param_scheduler=False)
    assert (runner.epoch, canary.exists()) == (4, not guarded)


def test_one_pickle_a_reader():
    """Damage in one file leaves nothing behind for the next."""
    reader = PlainPickle({})
    with pytest.raises(IndexError):
        reader.read(b'\x80\x020.')
    assert reader.read(pickle.dumps({'a': [1, (2, 3)]}, 2)) == {'a': [1, (2, 3)]}


@pytest.mark.parametrize('zip_form', [True, False])
def test_nothing_holds_the_tensors_once_they_are_let_go(zip_form, tmp_path):
    path = tmp_path / 'file.pth'
    torch.save(CONTENT, path, _use_new_zipfile_serialization=zip_form)
    gc.disable()  # what is in a circle would stay until the collector comes
    try:
        tensor = weakref.ref(read_file(path)['state_dict']['w'])
        assert tensor() is None
    finally:
        gc.enable()


def test_the_config_of_an_old_runner_is_not_run(tmp_path):
    """mmengine's runner runs the text ``meta['config']`` of a file that it resumes."""
    canary = tmp_path / 'ran'
    text = f"open({str(canary)!r}, 'w').close()\n"
    torch.save(dict(CONTENT, meta=dict(epoch=1, iter=2, config=text)), tmp_path / 'evil.pth')
    Config.fromstring(text, '.py')
    assert canary.exists()  # the text is live
    assert CheckpointLoader.load_checkpoint(str(tmp_path / 'evil.pth'))['meta'] == dict(
        epoch=1, iter=2)
