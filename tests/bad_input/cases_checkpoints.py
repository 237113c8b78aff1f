# ruff: noqa: E501 - a case is one line
"""Bad checkpoints and exported models."""

import io
import json
import os
import zipfile

import onnx
import torch
from onnx import TensorProto, helper
from safetensors.torch import save_file

from tests.bad_input.case import Case, handled, refused
from tests.checkpoint import hostile
from tests.checkpoint.conftest import ARCH, linear_head, make_backbone, official_keys, timm_keys
from tresnet_mm.checkpoint import CheckpointMismatch, convert, load_pretrained, read_source
from tresnet_mm.deploy.onnx_model import OnnxModel

CONV = 'layer2.0.conv1.conv.weight'


def weights() -> dict:
    return make_backbone(arch=ARCH).state_dict()


def ours(**changes) -> dict:
    """A whole checkpoint of this package with some values changed."""
    return {'backbone.' + key: value for key, value in (weights() | changes).items()}


# What is made.

def save(content, name='x.pth', **kwargs):
    return lambda folder: torch.save(content() if callable(content) else content, folder / name, **kwargs)


def write(content: bytes, name='x.pth'):
    return lambda folder: (folder / name).write_bytes(content)


def whole() -> bytes:
    buffer = io.BytesIO()
    torch.save(ours(), buffer)
    return buffer.getvalue()


def cut(start, end, name='x.pth'):
    return lambda folder: (folder / name).write_bytes(whole()[start:end])


def evil(route):
    """A pickle that makes the file 'ran' if it is given the chance, in front of sound weights."""
    def make(folder):
        (folder / 'good.pth').write_bytes(whole())
        operations = hostile.ROUTES[route](hostile.touch(folder / 'ran'))
        hostile.zip_with_pickle(folder / 'x.pth', lambda old: hostile.in_front_of(operations, old),
                                folder / 'good.pth')
    return make


def repacked(change):
    """The records of a sound file, each (name, content) changed; None leaves it out."""
    def make(folder):
        with zipfile.ZipFile(io.BytesIO(whole())) as old, zipfile.ZipFile(folder / 'x.pth', 'w') as new:
            for info in old.infolist():
                if (content := change(info.filename, old.read(info))) is not None:
                    new.writestr(info.filename, content)
    return make


def safetensors(meta=None, tensors=None):
    return lambda folder: save_file(tensors or {'w': torch.ones(2)}, folder / 'x.safetensors', metadata=meta)


def graph(*outputs):
    """An ONNX file of one node for each output."""
    def make(folder):
        image = helper.make_tensor_value_info('images', TensorProto.FLOAT, ['n', 3, 32, 32])
        ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ['n', 3, 32, 32]) for name in outputs]
        nodes = [helper.make_node('Identity', ['images'], [name]) for name in outputs]
        sizes = helper.make_tensor_value_info('sizes', TensorProto.INT64, ['n', 2])
        model = helper.make_model(helper.make_graph(nodes, 'g', [image, sizes], ends), opset_imports=[helper.make_opsetid('', 17)])
        model.ir_version = 8
        onnx.save(model, folder / 'x.onnx')
    return make


# What is done with it.

def read(folder, name='x.pth'):
    try:
        return sorted(read_source(str(folder / name)))
    finally:
        assert not (folder / 'ran').exists(), 'code ran'


def read_safe(folder):
    return read(folder, 'x.safetensors')


def load(folder):
    """As ``init_cfg`` does."""
    net = make_backbone(arch=ARCH, seed=1)
    load_pretrained(net, str(folder / 'x.pth'))
    return torch.equal(net.state_dict()['layer1.0.conv1.conv.weight'], weights()['layer1.0.conv1.conv.weight'])


def translate(folder):
    converted = convert(read_source(str(folder / 'x.pth')))
    return converted.family, converted.head


def export(folder):
    return OnnxModel(str(folder / 'x.onnx')).outputs


def stray(key='extra.weight'):
    return official_keys(weights()) | {key: torch.ones(1)}


CASES = [
    *(Case(f'checkpoint that runs code: {route}', evil(route), read, refused(ValueError, 'x.pth')) for route in hostile.ROUTES),
    Case('checkpoint: empty file', write(b''), read, refused(ValueError, 'x.pth', 'is damaged or no checkpoint')),
    Case('checkpoint: text', write(b'version https://git-lfs.github.com/spec/v1\n'), read, refused(ValueError, 'x.pth', 'is damaged or no checkpoint')),
    Case('checkpoint: a page in its place', write(b'<!DOCTYPE html><html>404</html>'), read, refused(ValueError, 'x.pth', 'is damaged or no checkpoint')),
    Case('checkpoint: end missing', cut(0, -400), read, refused(ValueError, 'x.pth', 'is damaged or no checkpoint')),
    Case('checkpoint: start missing', cut(100, None), read, refused(ValueError, 'x.pth', 'is damaged or no checkpoint')),
    Case('checkpoint: a tensor missing in the archive', repacked(lambda name, data: None if name.endswith('data/3') else data), read, refused(ValueError, 'x.pth', 'data/3')),
    Case('checkpoint: a tensor shorter than it says', repacked(lambda name, data: data[:-4] if name.endswith('data/3') else data), read, refused(ValueError, 'x.pth', 'data/3')),
    Case('checkpoint: big-endian', repacked(lambda name, data: b'big' if name.endswith('byteorder') else data), read, refused(ValueError, 'x.pth', 'big-endian')),
    Case('checkpoint: another archive', repacked(lambda name, data: None if name.endswith('.pkl') else data), read, refused(ValueError, 'x.pth', 'not of torch.save')),
    Case('checkpoint: a list', save([torch.ones(1)]), read, refused(ValueError, 'x.pth', 'holds a list')),
    Case('checkpoint: a tensor', save(torch.ones(1)), read, refused(ValueError, 'x.pth', 'holds a Tensor')),
    Case('checkpoint: numbers as keys', save({'state_dict': {0: torch.ones(1)}}), read, refused(ValueError, 'x.pth', 'keys', 'there is 0')),
    Case('checkpoint: a whole module', save(lambda: torch.nn.Linear(1, 1)), read, refused(ValueError, 'x.pth', 'torch.nn.modules.linear.Linear', 'save its weights alone')),
    Case('checkpoint: none there', lambda folder: None, read, refused(FileNotFoundError, 'x.pth', 'does not exist')),
    Case('checkpoint: a folder', lambda folder: (folder / 'x.pth').mkdir(), read, refused(FileNotFoundError, 'x.pth', 'it is a folder')),
    Case('checkpoint: a pipe', lambda folder: os.mkfifo(folder / 'x.pth'), read, refused(FileNotFoundError, 'x.pth')),
    Case('checkpoint: a device', lambda folder: (folder / 'x.pth').symlink_to('/dev/zero'), read, refused(FileNotFoundError, 'x.pth')),
    Case('checkpoint: a dict that holds itself', lambda folder: hostile.zip_of(folder / 'x.pth', b'}q\x00' + hostile.text('model') + b'h\x00s'), read, refused(ValueError, 'x.pth', 'holds itself')),
    Case('checkpoint: older form', save(ours, _use_new_zipfile_serialization=False), load, handled(True)),
    Case('checkpoint: half precision', save(lambda: ours(**{CONV: weights()[CONV].half()})), load, handled(True)),
    Case('checkpoint: NaN', save(lambda: ours(**{CONV: weights()[CONV] * float('nan')})), load, refused(CheckpointMismatch, 'x.pth', CONV, 'NaN')),
    Case('checkpoint: whole numbers', save(lambda: ours(**{CONV: weights()[CONV].to(torch.int8)})), load, refused(CheckpointMismatch, 'x.pth', CONV, 'int8')),
    Case('checkpoint: negative variance', save(lambda: ours(**{'conv1.bn.running_var': -weights()['conv1.bn.running_var']})), load, refused(CheckpointMismatch, 'x.pth', 'conv1.bn.running_var', 'negative')),
    Case('checkpoint: sparse', save(lambda: ours(**{CONV: weights()[CONV].to_sparse()})), load, refused(ValueError, 'x.pth', 'sparse')),
    Case('checkpoint: of another arch', save(lambda: official_keys(make_backbone(arch=dict(ARCH, width=0.5)).state_dict())), load, refused(CheckpointMismatch, 'x.pth', 'arch custom')),
    Case('checkpoint: a layer missing', save(lambda: {k: v for k, v in ours().items() if 'layer2.0' not in k}), load, refused(CheckpointMismatch, 'x.pth', 'missing layer2.0')),
    Case('checkpoint: of another model', save({'state_dict': {'conv1.weight': torch.ones(4, 3, 7, 7)}}), load, refused(CheckpointMismatch, 'x.pth', 'no TResNet', 'conv1.weight')),
    Case('checkpoint: no tensors', save({'meta': {}}), load, refused(CheckpointMismatch, 'x.pth', 'expected a state dict')),
    Case('checkpoint: published, of the TResNet family', save(lambda: official_keys(weights()) | linear_head(256)), translate, handled(('tresnet', 'linear'))),
    Case('checkpoint: published, of timm', save(lambda: timm_keys(weights())), translate, handled(('timm', None))),
    Case('checkpoint: published, with a key too many', save(stray), translate, refused(ValueError, 'unmapped extra.weight')),
    Case('safetensors: empty', write(b'', 'x.safetensors'), read_safe, refused(ValueError, 'x.safetensors', 'is damaged or no safetensors')),
    Case('safetensors: header longer than the file', write(b'\xff' * 8 + b'{}', 'x.safetensors'), read_safe, refused(ValueError, 'x.safetensors', 'is damaged')),
    Case('safetensors: metadata no JSON', safetensors({'meta': '{'}), read_safe, refused(ValueError, 'x.safetensors', 'is damaged')),
    Case('safetensors: metadata a number', safetensors({'meta': '3'}), read_safe, refused(ValueError, 'x.safetensors', "'meta' is a int")),
    Case('safetensors: metadata without the norm', safetensors({'meta': json.dumps({'tresnet_mm': {}})}), read_safe, refused(ValueError, 'x.safetensors', "'norm'")),
    Case('safetensors: of another program', safetensors({'format': 'pt'}), read_safe, handled(['meta', 'state_dict'])),
    Case('exported model: none there', lambda folder: None, export, refused(FileNotFoundError, 'x.onnx')),
    Case('exported model: text', write(b'not a model', 'x.onnx'), export, refused(ValueError, 'x.onnx')),
    Case('exported model: empty', write(b'', 'x.onnx'), export, refused(ValueError, 'x.onnx')),
    Case('exported model: of another program', graph('y'), export, refused(ValueError, 'x.onnx', "['y']")),
    Case('exported model: a classifier', graph('scores'), export, handled(['scores'])),
]
