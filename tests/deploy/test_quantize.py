"""Files in 8 bits against the float ones that they are made of."""

import json

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator

from tests.deploy.exported_file import BACKBONE, build
from tests.deploy.test_onnx import detector
from tests.deploy.test_onnx_graphs_two_stage import two_stage
from tresnet_mm.deploy import OnnxModel, export_onnx, quantize_onnx
from tresnet_mm.deploy.onnx_parts import PARTS, OnnxParts

pytest.importorskip('onnxruntime.quantization')


def feeds(count: int = 6, side: int = 64) -> list[dict[str, np.ndarray]]:
    """Random images and their sizes, one in each."""
    random = np.random.default_rng(0)
    return [dict(images=random.normal(size=(1, 3, side, side)).astype(np.float32),
                 sizes=np.array([[side, side]])) for _ in range(count)]


def classifier(folder, fold=True):
    """The file of a tiny classifier whose scores differ."""
    torch.manual_seed(0)
    model = build(dict(type='MultiLabelClassifier', backbone=BACKBONE,
                       head=dict(type='MultiLabelLinearHead', num_classes=7)))
    torch.nn.init.normal_(model.head.fc.weight, std=0.5)
    export_onnx(model, folder / 'float.onnx', (64, 64), fold=fold, classes='abcdefg')
    return folder / 'float.onnx'


def outputs(file, given):
    """A file's outputs of one of `feeds`."""
    return OnnxModel(str(file)).outputs_of(*(torch.from_numpy(x) for x in given.values()))


def layers_in_8_bits(file) -> set[str]:
    """The nodes with weights, all of whose inputs are 8-bit numbers."""
    graph = onnx.load(file).graph
    small = {name for node in graph.node if node.op_type == 'DequantizeLinear'
             for name in node.output}
    return {node.name for node in graph.node if node.op_type in ('Conv', 'Gemm')
            and set(node.input[:2]) <= small}


def parts_of(file, folder) -> OnnxParts:
    """The parts of a file, as they are found in it by `quantize_onnx`."""
    from tresnet_mm.deploy.quantize import _prepare
    _prepare(file, folder / 'prepared.onnx')
    return OnnxParts(onnx.load(folder / 'prepared.onnx').graph)


@pytest.mark.parametrize('fold', [True, False])
def test_a_classifier_in_8_bits_says_about_the_same(fold, tmp_path):
    file, out = classifier(tmp_path, fold), tmp_path / 'small.onnx'
    report = quantize_onnx(file, out, feeds())
    assert layers_in_8_bits(out) == set(report.quantized) and report.images == 6
    for given in feeds(3):
        wanted, found = outputs(file, given)['scores'], outputs(out, given)['scores']
        assert wanted.std() > 0.1
        assert 0 < (wanted - found).abs().max() < 0.05
    assert out.stat().st_size < 0.5 * file.stat().st_size


def test_metadata_inputs_and_outputs_are_kept(tmp_path):
    file, out = classifier(tmp_path), tmp_path / 'small.onnx'
    quantize_onnx(file, out, feeds(2), ['first', 'decoding'])
    before, after = onnx.load(file), onnx.load(out)
    said = {entry.key: entry.value for entry in after.metadata_props}
    assert json.loads(said.pop('quantization')) == dict(
        float_parts=['first', 'decoding'], calibration_images=2)
    assert said == {entry.key: entry.value for entry in before.metadata_props}
    assert [*before.graph.input] == [*after.graph.input]
    assert [*before.graph.output] == [*after.graph.output]


def test_the_parts_of_a_classifier(tmp_path):
    """TResNet has one stem, three blur pools and three gates here; the first layer is the stem."""
    for fold in (True, False):
        parts = parts_of(classifier(tmp_path, fold), tmp_path)
        gates = parts.nodes['gates'] & parts.layers
        assert [len(parts.nodes[part]) for part in ('first', 'blur', 'last')] == [1, 3, 1]
        assert len(gates) == 6 and len(parts.layers) == 24
        (first, ), (last, ) = parts.nodes['first'], parts.nodes['last']
        assert 'conv1' in first and 'head/fc' in last
        assert not parts.nodes['between'] & (parts.layers | parts.nodes['decoding'])


@pytest.mark.parametrize('name, last', [('FCOS', 9), ('GFL', 6)])
def test_a_detectors_last_layers_are_its_heads(name, last, tmp_path):
    """The integral over GFL's distributions is a product, and no layer."""
    export_onnx(detector(name), tmp_path / 'float.onnx', (64, 64))
    parts = parts_of(tmp_path / 'float.onnx', tmp_path)
    assert len(parts.nodes['last']) == last
    assert all('/bbox_head/' in node for node in parts.nodes['last'])


def test_a_two_stage_detector_has_last_layers_in_both_stages(tmp_path):
    """Two on each of five levels, which propose regions, and two behind those."""
    export_onnx(two_stage('Faster'), tmp_path / 'float.onnx', (64, 64))
    parts = parts_of(tmp_path / 'float.onnx', tmp_path)
    of_regions = {node for node in parts.nodes['last'] if 'rpn' not in node}
    assert len(parts.nodes['last'] - of_regions) == 10
    assert {node.split('/')[-2] for node in of_regions} == {'fc_cls', 'fc_reg'}


@pytest.mark.parametrize('part', ['first', 'blur', 'gates', 'last'])
def test_what_is_to_stay_in_float_stays(part, tmp_path):
    file, out = classifier(tmp_path), tmp_path / 'small.onnx'
    parts = parts_of(file, tmp_path)
    report = quantize_onnx(file, out, feeds(1), [part])
    kept = parts.nodes[part] & parts.layers
    assert set(report.kept) == kept != set()
    assert layers_in_8_bits(out) == parts.layers - kept


def test_a_detector_in_8_bits_finds_the_same_boxes(tmp_path):
    torch.manual_seed(0)
    file, out = tmp_path / 'float.onnx', tmp_path / 'small.onnx'
    export_onnx(detector('FCOS'), file, (64, 64))
    quantize_onnx(file, out, feeds())
    graph = onnx.load(out).graph
    decoding = parts_of(file, tmp_path).nodes['decoding']
    small = {name for node in graph.node if node.op_type == 'DequantizeLinear'
             for name in node.output}
    assert len(decoding) > 20
    assert not any(small & set(node.input) for node in graph.node if node.name in decoding)
    given = feeds(1)[0]
    wanted, found = outputs(file, given), outputs(out, given)
    assert len(wanted['boxes']) > 5
    apart = (wanted['boxes'][:, None] - found['boxes'][None]).abs().amax(-1)
    same = wanted['labels'][:, None] == found['labels'][None]
    assert ((apart < 2) & same).any(1).float().mean() > 0.7


def one_layer(folder):
    """The file of a graph of one convolution, 1x1, of two channels."""
    value = onnx.helper.make_tensor_value_info
    weight = np.array([[[[0.5]], [[-1.0]]], [[[4.0]], [[0.25]]]], np.float32)
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node('Conv', ['images', 'w'], ['scores'], name='layer')], 'g',
        [value('images', 1, ['n', 2, 'h', 'w'])], [value('scores', 1, ['n', 2, 'h', 'w'])],
        [onnx.numpy_helper.from_array(weight, 'w')])
    onnx.save(onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid('', 19)], ir_version=10),
        folder / 'one.onnx')
    return folder / 'one.onnx', weight


def test_weights_have_a_scale_by_channel_and_images_one_of_their_range(tmp_path):
    file, weight = one_layer(tmp_path)
    images = np.linspace(-1, 3, 8, dtype=np.float32).reshape(1, 2, 2, 2)
    quantize_onnx(file, tmp_path / 'small.onnx', [dict(images=images)], ())
    (found, ) = ReferenceEvaluator(str(tmp_path / 'small.onnx')).run(None, dict(images=images))

    def rounded(x, scale, zero, low, high):
        return (np.clip(np.rint(x / scale) + zero, low, high) - zero) * scale

    def convolved(x, w):
        return np.einsum('nchw,kc->nkhw', x, w[:, :, 0, 0])

    x = rounded(images, 4 / 255, 64, 0, 255)
    w = rounded(weight, np.abs(weight).max((1, 2, 3), keepdims=True) / 127, 0, -127, 127)
    wanted = convolved(images, weight)
    scale = (wanted.max() - wanted.min()) / 255
    y = rounded(convolved(x, w), scale, np.rint(-wanted.min() / scale), 0, 255)
    np.testing.assert_allclose(found, y, atol=1e-4)


@pytest.mark.parametrize('given, message', [
    ([], 'no image to calibrate on'),
    ([dict(pixels=np.zeros(1))], "input 'images', and one feed has only ..pixels"),
    ([dict(images=np.zeros((1, 5, 8, 8), np.float32))], 'does not fit the file')])
def test_feeds_that_do_not_fit_are_refused_and_nothing_is_written(given, message, tmp_path):
    file, _ = one_layer(tmp_path)
    out = tmp_path / 'out.onnx'
    out.write_text('the last one')
    with pytest.raises(ValueError, match=message):
        quantize_onnx(file, out, given, [])
    assert out.read_text() == 'the last one'
    assert sorted(path.name for path in tmp_path.iterdir()) == ['one.onnx', 'out.onnx']


def test_files_that_cannot_be_quantised_are_refused(tmp_path):
    file, _ = one_layer(tmp_path)
    out = tmp_path / 'out.onnx'
    images = [dict(images=np.ones((1, 2, 4, 4), np.float32))]
    with pytest.raises(ValueError, match=f"'neck' is none of {', '.join(PARTS)}"):
        quantize_onnx(file, out, images, ['neck'])
    with pytest.raises(FileNotFoundError, match='absent.onnx does not exist'):
        quantize_onnx(tmp_path / 'absent.onnx', out, images)
    (tmp_path / 'text.onnx').write_text('no model')
    with pytest.raises(ValueError, match='text.onnx is damaged or no ONNX file'):
        quantize_onnx(tmp_path / 'text.onnx', out, images)
    with pytest.raises(ValueError, match='no layer is left for 8 bits .* first, blur, last'):
        quantize_onnx(file, out, images, ['first', 'blur', 'last'])
    assert not out.exists()
    quantize_onnx(file, out, images, [])
    with pytest.raises(ValueError, match='out.onnx is quantised already'):
        quantize_onnx(out, tmp_path / 'again.onnx', images)


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['classifier', 'detector', 'classifier in 8 bits'])
def test_openvino_says_what_onnxruntime_says(kind, tmp_path):
    openvino = pytest.importorskip('openvino', reason='openvino is not installed')
    torch.manual_seed(0)
    if kind == 'detector':
        file = tmp_path / 'float.onnx'
        export_onnx(detector('FCOS'), file, (64, 64))
    else:
        file = classifier(tmp_path)
    if kind.endswith('8 bits'):
        quantize_onnx(file, tmp_path / 'small.onnx', feeds())
        file = tmp_path / 'small.onnx'
    compiled = openvino.compile_model(
        openvino.convert_model(file), 'CPU', dict(
            INFERENCE_PRECISION_HINT='f32', INFERENCE_NUM_THREADS=1))
    for given in (*feeds(2), *feeds(1, side=96)):
        found = compiled(given)
        for name, wanted in outputs(file, given).items():
            np.testing.assert_allclose(
                found[name], wanted, atol=0.02 if kind.endswith('8 bits') else 1e-3)
