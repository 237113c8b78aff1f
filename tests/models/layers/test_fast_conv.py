"""FastConv2d against nn.Conv2d: results, gradients, what is kept, and where it steps aside."""

import copy

import pytest
import torch
from mmengine.registry import MODELS
from torch import Tensor, nn

from tresnet_mm.models.layers import FastConv2d, fast_conv, gated_conv2d
from tresnet_mm.models.tresnet import TResNet

FORMATS = [torch.contiguous_format, torch.channels_last]


def pair(*args: int, memory_format: torch.memory_format = torch.contiguous_format,
         **kwargs: object) -> tuple[FastConv2d, nn.Conv2d]:
    """The layer and PyTorch's, with the same weights."""
    fast, plain = FastConv2d(*args, **kwargs), nn.Conv2d(*args, **kwargs)
    plain.load_state_dict(fast.state_dict())
    return (fast.to(memory_format=memory_format), plain.to(memory_format=memory_format))


def close(found: Tensor, expected: Tensor, tolerance: float = 2e-5) -> bool:
    found, expected = found.detach(), expected.detach()
    return float((found - expected).abs().max() / expected.abs().max()) < tolerance


@pytest.fixture(autouse=True)
def winograd(monkeypatch) -> None:
    """Winograd's algorithm on every processor, also where it is not used."""
    monkeypatch.setattr(fast_conv, 'WINOGRAD', True)


@pytest.fixture
def passes(monkeypatch) -> list[str]:
    """Which of our own algorithms ran."""
    ran: list[str] = []
    for name in ('convolve', 'weight_gradient', 'pointwise_weight_gradient'):
        original = getattr(fast_conv, name)
        monkeypatch.setattr(fast_conv, name, lambda *args, _f=original, _name=name: (
            ran.append(_name), _f(*args))[1])
    return ran


def test_onednn_where_vectors_are_wide(passes, monkeypatch):
    monkeypatch.setattr(fast_conv, 'WINOGRAD', False)
    fast, plain = pair(96, 128, 3, padding=1)
    x = torch.randn(2, 96, 18, 18, requires_grad=True)
    torch.testing.assert_close(fast(x), plain(x), rtol=0, atol=0)
    fast(x).sum().backward()
    assert passes == []


@pytest.mark.parametrize('memory_format', FORMATS)
@pytest.mark.parametrize('bias', [False, True])
@pytest.mark.parametrize('c, o, kernel, size, expected', [
    (96, 128, 3, 18, ['convolve', 'convolve', 'weight_gradient']),
    (48, 128, 3, 18, ['weight_gradient']),
    (96, 64, 3, 18, ['weight_gradient']),
    (32, 24, 1, 9, ['pointwise_weight_gradient']),
])
def test_results_and_gradients_equal_pytorch(
        c, o, kernel, size, expected, bias, memory_format, passes):
    fast, plain = pair(c, o, kernel, padding=kernel // 2, bias=bias, memory_format=memory_format)
    x = torch.randn(2, c, size, size).to(memory_format=memory_format)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    y, reference = fast(ours), plain(theirs)
    grad = torch.randn_like(reference)
    y.backward(grad)
    reference.backward(grad)
    pointwise_nchw = kernel == 1 and memory_format == torch.contiguous_format
    assert passes == ([] if pointwise_nchw else expected)
    assert close(y, reference) and y.stride() == reference.stride()
    assert close(ours.grad, theirs.grad) and ours.grad.stride() == theirs.grad.stride()
    for name, parameter in fast.named_parameters():
        assert close(parameter.grad, getattr(plain, name).grad)
        assert parameter.grad.stride() == parameter.stride()


@pytest.mark.parametrize('memory_format', FORMATS)
def test_slices_of_features_keep_their_memory_format(memory_format, passes):
    fast, plain = pair(96, 96, 3, padding=1, memory_format=memory_format)
    x = torch.randn(2, 128, 18, 18).to(memory_format=memory_format)[:, 8:104].detach()
    ours, theirs = x.requires_grad_(), x.detach().requires_grad_()
    y, reference = fast(ours), plain(theirs)
    y.sum().backward()
    reference.sum().backward()
    assert 'convolve' in passes
    assert close(y, reference) and y.stride() == reference.stride()
    assert close(ours.grad, theirs.grad)


@pytest.mark.parametrize('kernel', [1, 3])
@pytest.mark.parametrize('frozen', ['x', 'weight'])
def test_only_the_gradients_asked_for_are_computed(kernel, frozen, passes):
    fast, plain = pair(
        96, 96, kernel, padding=kernel // 2, bias=False, memory_format=torch.channels_last)
    x = torch.randn(2, 96, 16, 16).to(memory_format=torch.channels_last)
    x.requires_grad_(frozen != 'x')
    fast.weight.requires_grad_(frozen != 'weight')
    fast(x).square().sum().backward()
    by_hand = 'pointwise_weight_gradient' if kernel == 1 else 'weight_gradient'
    assert (by_hand in passes) == (frozen == 'x')
    assert passes.count('convolve') == (0 if kernel == 1 else 1 if frozen == 'x' else 2)
    found = fast.weight.grad if frozen == 'x' else x.grad
    copied = x.detach().clone().requires_grad_()
    plain(copied).square().sum().backward()
    assert close(found, plain.weight.grad if frozen == 'x' else copied.grad)


@pytest.mark.parametrize('changes', [
    dict(stride=2), dict(dilation=2, padding=2), dict(groups=2), dict(padding=0),
    dict(padding_mode='reflect'), dict(kernel_size=5, padding=2), dict(in_channels=40),
    dict(out_channels=40)])
def test_other_geometries_are_pytorchs_own(changes, passes):
    args = dict(dict(in_channels=96, out_channels=96, kernel_size=3, padding=1), **changes)
    fast, plain = pair(**args)
    x = torch.randn(2, args['in_channels'], 16, 16)
    torch.testing.assert_close(fast(x), plain(x), rtol=0, atol=0)
    fast(x).sum().backward()
    assert passes == []


@pytest.mark.parametrize('n, h, w, expected', [
    (1, 16, 16, []),  # 16 tiles are too few
    (40, 2, 2, []),  # of 40 tiles a quarter is in use
    (2, 13, 17, ['convolve'])])  # of 40 tiles two thirds are in use
def test_few_tiles_and_little_used_ones_are_left_to_pytorch(n, h, w, expected, passes):
    fast, plain = pair(96, 96, 3, padding=1)
    x = torch.randn(n, 96, h, w)
    torch.testing.assert_close(fast(x), plain(x), rtol=2e-5, atol=2e-5)
    assert passes == expected


@pytest.mark.parametrize('kernel', [1, 3])
def test_other_dtypes_autocast_and_tracing_are_pytorchs_own(kernel, passes):
    fast, plain = pair(96, 96, kernel, padding=kernel // 2, memory_format=torch.channels_last)
    x = torch.randn(2, 96, 16, 16).to(memory_format=torch.channels_last)
    torch.testing.assert_close(
        copy.deepcopy(fast).double()(x.double()), copy.deepcopy(plain).double()(x.double()))
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert fast(x).dtype == torch.bfloat16
        fast(x).sum().backward()
    torch.jit.trace(fast, x, check_trace=False)
    exported = torch.export.export(fast, (x,))
    convolutions = {torch.ops.aten.conv2d.default, torch.ops.aten.convolution.default}
    assert any(node.target in convolutions for node in exported.graph.nodes)
    assert passes == []
    fast(x).sum().backward()
    assert passes  # what was left aside above is taken here


def test_compiles_without_graph_break():
    fast, plain = pair(96, 96, 3, padding=1)
    x = torch.randn(2, 96, 16, 16)
    compiled = torch.compile(fast, fullgraph=True, backend='aot_eager')
    torch.testing.assert_close(compiled(x), plain(x))


@pytest.mark.parametrize('kernel', [1, 3])
def test_keeps_input_and_weight_for_backward(kernel):
    fast, _ = pair(
        96, 96, kernel, padding=kernel // 2, bias=False, memory_format=torch.channels_last)
    x = torch.randn(2, 96, 16, 16, requires_grad=True).to(memory_format=torch.channels_last)
    kept = set()
    with torch.autograd.graph.saved_tensors_hooks(
            lambda t: kept.add(t.untyped_storage().data_ptr()) or t, lambda t: t):
        fast(x)
    assert kept == {t.untyped_storage().data_ptr() for t in (x, fast.weight)}


def test_gradients_of_gradients_are_refused():
    fast, _ = pair(96, 96, 3, padding=1)
    x = torch.randn(2, 96, 16, 16, requires_grad=True)
    (grad,) = torch.autograd.grad(fast(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match='once_differentiable'):
        grad.sum().backward()


def test_the_output_may_be_changed_in_place():
    """As the compiled ABN does."""
    fast, plain = pair(96, 96, 3, padding=1)
    x = torch.randn(2, 96, 18, 18)
    found, expected = fast(x).mul_(2), plain(x).mul_(2)
    found.square().sum().backward()
    expected.square().sum().backward()
    assert close(found, expected) and close(fast.weight.grad, plain.weight.grad)


@pytest.mark.parametrize('layer', [FastConv2d, nn.Conv2d])
def test_the_gated_convolution_does_as_its_layer(layer, monkeypatch):
    """A matrix product for the weight's gradient with FastConv2d, PyTorch's own with nn.Conv2d."""
    products = []
    product = fast_conv.pointwise_weight_gradient
    monkeypatch.setattr(fast_conv, 'pointwise_weight_gradient', lambda *args: products.append(
        product(*args)) or products[-1])
    conv = layer(32, 24, 1, bias=False)
    x = torch.randn(2, 32, 8, 8).to(memory_format=torch.channels_last).requires_grad_()
    gate = torch.rand(2, 32, 1, 1, requires_grad=True)
    inputs = (x, gate, conv.weight)
    found = torch.autograd.grad(gated_conv2d(x, gate, conv).square().sum(), inputs)
    assert len(products) == (layer is FastConv2d)
    y = nn.functional.conv2d(x * gate, conv.weight)
    for a, b in zip(found, torch.autograd.grad(y.square().sum(), inputs), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize('memory_format', FORMATS)
def test_the_whole_backbone_trains_the_same(memory_format):
    arch = dict(depths=(1, 1, 1, 1), width=1.5)
    plain = TResNet(arch, conv_cfg=dict(type='Conv2d'))
    plain.init_weights()
    for block in (block for stage in plain.stages for block in stage):
        nn.init.constant_(block.last_norm.weight, 0.5)
    fast = TResNet(arch)
    fast.load_state_dict(plain.state_dict())
    x = torch.rand(2, 3, 96, 96).to(memory_format=memory_format)
    gradients = []
    for model in (fast, plain):
        model.train().to(memory_format=memory_format)
        outs = model(x)
        sum(out.square().mean() for out in outs).backward()
        gradients.append([*(out.detach() for out in outs),
                          *(p.grad for p in model.parameters() if p.grad is not None)])
    assert any(isinstance(m, FastConv2d) and fast_conv.winograd_pays(m.weight)
               for m in fast.modules())
    for found, expected in zip(*gradients, strict=True):
        # Single elements can fall on the other side of a ReLU's kink.
        assert float((found - expected).norm() / expected.norm()) < 1e-2


def test_is_there_for_other_models():
    conv = MODELS.build(dict(type='FastConv2d', in_channels=3, out_channels=4, kernel_size=1))
    assert isinstance(conv, nn.Conv2d)
