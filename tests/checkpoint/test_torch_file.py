"""Files of `torch.save` of kinds that are rare, and files that only claim to be such ones."""

import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import nn

from tresnet_mm.checkpoint import read_file

from . import hostile

CONTENT = {'state_dict': {'w': torch.tensor([1., 2.])}}
MAGIC, FORM = 0x1950A86A20F9469CFC6C, 1001
V3 = getattr(torch._utils, '_rebuild_tensor_v3', None)
needs_v3 = pytest.mark.skipif(V3 is None, reason='this PyTorch saves no type without a storage')
LITTLE = dict(protocol_version=FORM, little_endian=True, type_sizes={})


class Stored:
    """Pickled as a reference to a storage, by whatever key it is given."""

    def __init__(self, *key):
        self.key = key


class Call:
    """Pickled as a call of a function that a checkpoint may name."""

    def __init__(self, function, *args):
        self.called = function, args

    def __reduce__(self):
        return self.called


class Pickler(pickle.Pickler):
    def persistent_id(self, value):
        return value.key if isinstance(value, Stored) else None


def pickled(value) -> bytes:
    buffer = io.BytesIO()
    Pickler(buffer, 2).dump(value)
    return buffer.getvalue()


def zip_of(path: Path, weight) -> Path:
    """A zip file with two float32 numbers, whose only weight is ``weight``."""
    buffer = io.BytesIO()
    torch.save(CONTENT, buffer)
    hostile.zip_with_pickle(path, lambda old: pickled({'state_dict': {'w': weight}}), buffer)
    return path


def legacy_of(path: Path, weight, system=LITTLE, keys=('0', ), counts=(2, ), magic=MAGIC) -> Path:
    """A file of the older form, by hand: its pickles, and the numbers 1 and 2 of each storage."""
    heads = [pickle.dumps(value, 2) for value in (magic, FORM, system)]
    storages = [struct.pack('<q2f', count, 1, 2) for count in counts]
    path.write_bytes(b''.join([*heads, pickled({'state_dict': {'w': weight}}),
                               pickle.dumps(list(keys), 2), *storages]))
    return path


FLOATS = Stored('storage', torch.FloatStorage, '0', 'cpu', 2)
OLD_FLOATS = Stored(*FLOATS.key, None)


def tensor(storage, *rest):
    return Call(torch._utils._rebuild_tensor_v2, storage, 0, (2, ), (1, ), False, OrderedDict(),
                *rest)


def test_the_files_made_here_are_read(tmp_path):
    """What the refusals below change is all that is wrong with them."""
    for path in (zip_of(tmp_path / 'zip.pth', tensor(FLOATS)),
                 legacy_of(tmp_path / 'old.pth', tensor(OLD_FLOATS))):
        assert read_file(path)['state_dict']['w'].tolist() == [1, 2]
        assert torch.load(path, weights_only=True)['state_dict']['w'].tolist() == [1, 2]


@needs_v3
@pytest.mark.parametrize('zip_form', [True, False])
def test_types_without_a_storage_of_their_own(zip_form, tmp_path):
    """torch names the type beside the storage, as for float8."""
    path = tmp_path / 'file.pth'
    names = [name for name in ('float8_e4m3fn', 'float8_e5m2', 'uint16', 'uint32', 'uint64')
             if hasattr(torch, name)]
    numbers = torch.arange(48, dtype=torch.uint8)
    written = {name: numbers.view(getattr(torch, name)).view(2, -1).T for name in names}
    torch.save(written, path, _use_new_zipfile_serialization=zip_form)
    read = read_file(path)
    assert list(read) == names
    for name, theirs in written.items():
        assert (read[name].dtype, read[name].stride()) == (theirs.dtype, theirs.stride())
        assert torch.equal(read[name].T.reshape(-1).view(torch.uint8), numbers)


def test_a_tensor_with_attributes_is_read_without_them(tmp_path):
    path = tmp_path / 'file.pth'
    noted = torch.arange(3.)
    noted.note = 'mine'
    torch.save({'w': noted}, path)
    assert torch.load(path, weights_only=False)['w'].note == 'mine'
    weight = read_file(path)['w']
    assert torch.equal(weight, torch.arange(3.)) and not hasattr(weight, 'note')


@pytest.mark.parametrize('location', ['nowhere:3', 'meta', 7.5])
def test_tensors_of_a_device_that_is_not_here_go_to_the_cpu(location, tmp_path):
    key = ('storage', torch.FloatStorage, '0', location, 2)
    for path in (zip_of(tmp_path / 'zip.pth', tensor(Stored(*key))),
                 legacy_of(tmp_path / 'old.pth', tensor(Stored(*key, None)))):
        weight = read_file(path, None)['state_dict']['w']
        assert weight.device.type == 'cpu' and weight.tolist() == [1, 2]


@pytest.mark.parametrize('weight, words', [
    (tensor(Stored('storage', torch.Tensor, '0', 'cpu', 2)), 'a storage of no known type'),
    (tensor(Stored('storage', 'FloatStorage', '0', 'cpu', 2)), 'a storage of no known type'),
    (tensor('0'), 'a tensor of another kind than strided'),
    (tensor(FLOATS, {'sparse': True}), 'a tensor of another kind than strided'),
    pytest.param(Call(V3, FLOATS, 0, (2, ), (1, ), False, OrderedDict(), 'float32'),
                 'a tensor of no known type', marks=needs_v3),
    (Call(torch._utils._rebuild_parameter, [1., 2.], True, OrderedDict()),
     'a parameter that is no tensor'),
    (Call(torch._tensor._rebuild_from_type_v2, 'print', torch.Tensor, (), {}),
     'a tensor of an unknown class'),
    (Call(torch._tensor._rebuild_from_type_v2, torch._utils._rebuild_tensor_v2, OrderedDict, (),
          {}), 'a tensor of an unknown class'),
    (Call(torch._tensor._rebuild_from_type_v2, OrderedDict, torch.Tensor, (), {}),
     'a tensor of an unknown class'),
    (Call(torch._tensor._rebuild_from_type_v2, torch.Tensor, torch.Tensor, (), {}),
     'a tensor of an unknown class'),
])
def test_what_is_no_tensor(weight, words, tmp_path):
    path = zip_of(tmp_path / 'odd.pth', weight)
    with pytest.raises(ValueError, match=f'{path} is damaged or no checkpoint: {words}'):
        read_file(path)


def test_a_class_that_is_only_named_is_not_called(tmp_path):
    path = zip_of(tmp_path / 'odd.pth', Call(nn.Parameter, tensor(FLOATS)))
    with pytest.raises(ValueError, match=f'{path} runs torch.nn.parameter.Parameter when'):
        read_file(path)


@pytest.mark.parametrize('order, words', [
    (b'little', None), (b'big', 'its numbers are big-endian')])
def test_byte_order_of_a_zip(order, words, tmp_path):
    path = tmp_path / 'file.pth'
    with zipfile.ZipFile(zip_of(tmp_path / 'old.pth', tensor(FLOATS))) as old, \
            zipfile.ZipFile(path, 'w') as new:
        root = old.namelist()[0].split('/')[0]
        for name in old.namelist():
            if not name.endswith('byteorder'):
                new.writestr(name, old.read(name))
        new.writestr(f'{root}/byteorder', order)
    if words is None:
        assert read_file(path)['state_dict']['w'].tolist() == [1, 2]
    else:
        with pytest.raises(ValueError, match=f'{path} is damaged or no checkpoint: {words}'):
            read_file(path)


@pytest.mark.parametrize('changed, words', [
    (dict(magic=7), 'a pickle, but not of torch.save'),
    (dict(system=dict(LITTLE, little_endian=False)), 'its numbers are big-endian'),
    (dict(system=[True]), 'its numbers are big-endian'),
    (dict(keys=()), 'its tensors are not the ones that follow'),
    (dict(keys=('0', '1')), 'its tensors are not the ones that follow'),
    (dict(counts=(3, )), 'storage 0 is not as long as it says'),
    (dict(counts=()), 'storage 0 is not as long as it says'),
    (dict(weight=tensor(Stored(*FLOATS.key, ('1', 0, 2)))), 'it was written before PyTorch 0.4'),
    (dict(weight=tensor(Stored('storage', torch.FloatStorage, '0', 'cpu', -2, None))),
     'storage 0 has no length'),
    (dict(weight=tensor(Stored('storage', torch.FloatStorage, '0', 'cpu', 'x', None))),
     'storage 0 has no length'),
])
def test_files_of_the_older_form_that_do_not_fit_together(changed, words, tmp_path):
    path = legacy_of(tmp_path / 'old.pth', **{'weight': tensor(OLD_FLOATS), **changed})
    with pytest.raises(ValueError, match=f'{path} is damaged or no checkpoint: {words}'):
        read_file(path)


def test_a_module_pickled_with_its_source_is_refused(tmp_path):
    """As PyTorch before 1.6 saved whole models."""
    path = legacy_of(tmp_path / 'old.pth', Stored('module', torch.FloatStorage, 'net.py', 'x = 1'))
    with pytest.raises(ValueError, match=f'{path} runs a pickled module when it is read'):
        read_file(path)
