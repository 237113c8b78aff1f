"""InPlaceABN against batch norm and the activation in float64, and against the compiled package."""

import copy
import sys
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from mmcv.cnn import ConvModule
from mmengine.model import convert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from torch import nn

from tests.lines import needs_compiler, needs_half_on_cpu
from tresnet_mm.models.layers import InPlaceABN, abn_function, inplace_abn, norm_form

ACTIVATIONS = [('leaky_relu', 0.01), ('leaky_relu', 0.001), ('elu', 1.0), ('elu', 0.5),
               ('identity', 1.0)]
FORMATS = [torch.contiguous_format, torch.channels_last]


def make_layer(channels: int = 8, **kwargs) -> InPlaceABN:
    """A layer whose scales are of both signs and well away from 0."""
    layer = InPlaceABN(channels, **kwargs)
    with torch.no_grad():
        layer.weight.uniform_(0.5, 1.5)
        layer.weight[::3] *= -1
        layer.bias.normal_(0, 0.3)
        layer.running_mean.normal_()
        layer.running_var.uniform_(0.5, 2)
    return layer


def reference(layer: InPlaceABN, x: torch.Tensor, weight, bias) -> torch.Tensor:
    """The layer's definition, in the precision of its arguments."""
    dims = [0, *range(2, x.dim())]
    shape = [1, -1] + [1] * (x.dim() - 2)
    if layer.training:
        var, mean = torch.var_mean(x, dims, correction=0)
    else:
        mean, var = layer.running_mean.to(x.dtype), layer.running_var.to(x.dtype)
    x_hat = (x - mean.view(shape)) / (var.view(shape) + layer.eps).sqrt()
    z = x_hat * (weight.abs() + layer.eps).view(shape) + bias.view(shape)
    if layer.activation == 'leaky_relu':
        return F.leaky_relu(z, layer.activation_param)
    return F.elu(z, layer.activation_param) if layer.activation == 'elu' else z


def gradients(function, *tensors):
    """Output of ``function`` and the gradients of a fixed weighted sum of it."""
    leaves = [t.detach().clone().requires_grad_() for t in tensors]
    y = function(*leaves)
    generator = torch.Generator().manual_seed(1)
    factors = torch.randn(y.shape, generator=generator).to(y.dtype)
    return y.detach(), torch.autograd.grad((y * factors).sum(), leaves)


def relative_error(value: torch.Tensor, expected: torch.Tensor) -> float:
    return ((value.double() - expected).norm() / expected.norm().clamp(min=1e-30)).item()


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('memory_format', FORMATS)
@pytest.mark.parametrize(('activation', 'param'), ACTIVATIONS)
def test_equals_float64_definition(activation, param, memory_format, training):
    layer = make_layer(activation=activation, activation_param=param).train(training)
    x = torch.randn(4, 8, 7, 5).to(memory_format=memory_format)
    wide = [t.double() for t in (x, layer.weight, layer.bias)]
    expected, expected_grads = gradients(
        lambda x, w, b: reference(copy.deepcopy(layer).double(), x, w, b), *wide)

    y, grads = gradients(
        lambda x, w, b: torch.func.functional_call(layer, dict(weight=w, bias=b), x),
        x, layer.weight, layer.bias)

    assert relative_error(y, expected) < 1e-6
    for grad, expected_grad in zip(grads, expected_grads, strict=True):
        assert relative_error(grad, expected_grad) < 2e-6
    assert y.is_contiguous(memory_format=memory_format)
    assert grads[0].is_contiguous(memory_format=memory_format)


@pytest.mark.parametrize(('activation', 'param'), ACTIVATIONS)
def test_gradcheck(activation, param):
    layer = make_layer(3, activation=activation, activation_param=param).double()
    x = torch.randn(3, 3, 4, 3, dtype=torch.double, requires_grad=True)
    weight = layer.weight.detach().clone().requires_grad_()
    bias = layer.bias.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda *args: torch.func.functional_call(
            layer, dict(weight=args[1], bias=args[2]), args[0]), (x, weight, bias))


@pytest.mark.parametrize('dtype', [
    pytest.param(torch.float16, marks=needs_half_on_cpu), torch.bfloat16])
@pytest.mark.parametrize('memory_format', FORMATS)
def test_half_precision_input_with_float32_parameters(dtype, memory_format):
    layer = make_layer()
    x = torch.randn(4, 8, 7, 5).to(dtype).to(memory_format=memory_format)
    wide = [t.double() for t in (x, layer.weight, layer.bias)]
    expected, expected_grads = gradients(
        lambda x, w, b: reference(copy.deepcopy(layer).double(), x, w, b), *wide)
    y, grads = gradients(
        lambda x, w, b: torch.func.functional_call(layer, dict(weight=w, bias=b), x),
        x, layer.weight, layer.bias)
    assert y.dtype == grads[0].dtype == dtype
    assert grads[1].dtype == torch.float32
    tolerance = 20 * torch.finfo(dtype).eps
    assert relative_error(y, expected) < tolerance
    for grad, expected_grad in zip(grads, expected_grads, strict=True):
        assert relative_error(grad, expected_grad) < tolerance


@pytest.mark.parametrize('shape', [(4, 8, 96, 97), (64, 4, 33, 33), (1, 3, 44, 45, 46)])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_many_values_side_by_side(shape, dtype):
    """Where the statistics come from group norm's kernel."""
    x = torch.randn(shape, dtype=dtype) * torch.rand(shape[1], *[1] * (len(shape) - 2)) + 1
    assert abn_function._has_fast_moments(x)
    layer = make_layer(shape[1]).to(dtype)
    norm = nn.BatchNorm3d(shape[1]) if len(shape) == 5 else nn.BatchNorm2d(shape[1])
    norm.load_state_dict(layer.state_dict())
    wide = [t.detach().double() for t in (x, layer.weight, layer.bias)]
    # Where rounding decides the sign before the activation, either slope is right.
    factors = (reference(layer, *wide).abs() > 1e-6).double()
    expected, expected_grads = gradients(
        lambda x, w, b: reference(layer, x, w, b) * factors, *wide)
    y, grads = gradients(lambda x, w, b: torch.func.functional_call(
        layer, dict(weight=w, bias=b), x) * factors.to(dtype), x, layer.weight, layer.bias)
    tolerance = 2e-6 if dtype == torch.float32 else 1e-12
    for value, wanted in zip((y, *grads), (expected, *expected_grads), strict=True):
        assert relative_error(value, wanted) < tolerance
    norm.double()(x.double())
    assert relative_error(layer.running_mean, norm.running_mean) < tolerance
    assert relative_error(layer.running_var, norm.running_var) < tolerance


def test_statistics_of_many_values_do_not_cancel():
    """Values far from 0, one image far from the others, and a channel of one value alone."""
    x = torch.randn(6, 3, 128, 128) + 1000
    x[0] -= 900
    x[:, 2] = 0.1
    assert abn_function._has_fast_moments(x)
    mean, var = abn_function._statistics(x)
    expected_var, expected_mean = torch.var_mean(x.double(), (0, 2, 3), correction=0)
    torch.testing.assert_close(mean.double(), expected_mean, rtol=1e-6, atol=0)
    torch.testing.assert_close(var.double(), expected_var, rtol=1e-5, atol=1e-14)
    assert InPlaceABN(3)(x).isfinite().all()


def test_autocast_keeps_the_convolution_s_dtype():
    block = ConvModule(3, 8, 3, norm_cfg=dict(type='InPlaceABN'), act_cfg=None)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        y = block(torch.randn(2, 3, 8, 8))
    assert y.dtype == torch.bfloat16
    y.float().sum().backward()
    assert block.conv.weight.grad.dtype == torch.float32


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 5), st.integers(1, 6), st.lists(st.integers(1, 6), min_size=0, max_size=3),
       st.integers(0, 10**6))
def test_any_shape(batch, channels, size, seed):
    torch.manual_seed(seed)
    x = torch.randn(batch, channels, *size)
    layer = make_layer(channels)
    if x.numel() == channels:
        with pytest.raises(ValueError, match='more than one value a channel'):
            layer(x)
        return
    y = layer(x)
    expected = reference(layer, x.double(), layer.weight.double(), layer.bias.double())
    # With two equal values a channel's variance is nothing but rounding.
    torch.testing.assert_close(y.double(), expected, rtol=1e-3, atol=1e-3)


def test_running_statistics_are_those_of_batch_norm():
    layer, norm = InPlaceABN(4), nn.BatchNorm2d(4)
    for momentum in (0.1, 0.1, None, None):
        layer.momentum = norm.momentum = momentum
        x = torch.randn(3, 4, 5, 5) * 2 + 1
        layer(x), norm(x)
    torch.testing.assert_close(layer.running_mean, norm.running_mean)
    torch.testing.assert_close(layer.running_var, norm.running_var)
    assert layer.num_batches_tracked == norm.num_batches_tracked == 4


def test_eval_without_gradient_equals_eval_with_gradient():
    layer, x = make_layer().eval(), torch.randn(2, 8, 4, 4)
    with torch.no_grad():
        without = layer(x)
    torch.testing.assert_close(without, layer(x), rtol=0, atol=0)


def test_input_is_left_alone():
    x = torch.randn(2, 8, 4, 4)
    before = x.clone()
    make_layer()(x)
    assert torch.equal(x, before)


def test_without_affine():
    layer, norm = InPlaceABN(4, affine=False), nn.BatchNorm2d(4, affine=False)
    x = torch.randn(3, 4, 5, 5)
    y, (grad,) = gradients(layer, x)
    expected, (expected_grad,) = gradients(lambda x: F.leaky_relu(norm(x), 0.01), x)
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(grad, expected_grad)


def test_weight_of_zero_can_leave_zero():
    """The zero-initialised last layers of the residual branches would otherwise never learn."""
    layer = InPlaceABN(4, activation='identity')
    nn.init.zeros_(layer.weight)
    x = torch.randn(3, 4, 5, 5)
    (layer(x) * x).sum().backward()
    assert (layer.weight.grad.abs() > 1).all()


def test_only_the_output_is_kept():
    layer, x = make_layer(), torch.randn(4, 8, 16, 16, requires_grad=True)
    kept = {}
    with torch.autograd.graph.saved_tensors_hooks(
            lambda t: kept.setdefault(t.untyped_storage().data_ptr(), t), lambda t: t):
        y = layer(x)
    assert y.untyped_storage().data_ptr() in kept
    assert x.untyped_storage().data_ptr() not in kept
    large = [t for t in kept.values() if t.numel() > layer.num_features]
    assert len(large) == 1


@needs_compiler
@pytest.mark.parametrize('training', [True, False])
def test_compiles_without_graph_break(training):
    layer = make_layer().train(training)
    compiled = torch.compile(copy.deepcopy(layer), backend='aot_eager', fullgraph=True)
    x = torch.randn(4, 8, 6, 6)
    expected, expected_grads = gradients(layer, x)
    y, grads = gradients(compiled, x)
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(grads, expected_grads)
    torch.testing.assert_close(compiled.running_var, layer.running_var)
    assert compiled.num_batches_tracked == layer.num_batches_tracked


def test_is_deterministic():
    layer, x = make_layer(), torch.randn(4, 8, 9, 9)
    first, second = gradients(layer, x), gradients(layer, x)
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1][0], second[1][0])


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize(('activation', 'param'), ACTIVATIONS)
def test_agrees_with_the_compiled_package(activation, param, training):
    pytest.importorskip('inplace_abn', reason='the optional package inplace-abn is not installed')
    layer = make_layer(activation=activation, activation_param=param).train(training)
    with torch.no_grad():
        layer.weight[1] = 0
        layer.bias[1] = 0
    compiled = InPlaceABN(
        8, activation=activation, activation_param=param, backend='inplace_abn').train(training)
    compiled.load_state_dict(layer.state_dict(), strict=True)
    x = torch.randn(4, 8, 7, 5)

    def run(module, x):
        y, grads = gradients(lambda x: module(x * 1), x)
        return y, grads[0]

    torch.testing.assert_close(run(layer, x), run(compiled, x), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(layer.running_var, compiled.running_var)
    torch.testing.assert_close(layer.running_mean, compiled.running_mean)
    assert layer.num_batches_tracked == compiled.num_batches_tracked


def batch_norm_then_leaky_relu(layer: InPlaceABN) -> nn.Module:
    """The same function from PyTorch's own layers."""
    norm = nn.BatchNorm2d(layer.num_features)
    norm.load_state_dict(layer.state_dict())
    norm.weight.data = layer.weight.data.abs() + layer.eps
    return nn.Sequential(norm, nn.LeakyReLU(layer.activation_param))


def test_gradient_error_is_that_of_batch_norm():
    """In float32, over many draws, against the same function in float64."""
    ours, plain = 0.0, 0.0
    for seed in range(10):
        torch.manual_seed(seed)
        x = torch.randn(8, 16, 14, 14) * 3 + 2
        layer = make_layer(16)
        usual = batch_norm_then_leaky_relu(layer)
        _, (expected,) = gradients(copy.deepcopy(usual).double(), x.double())
        ours += relative_error(gradients(layer, x)[1][0], expected)
        plain += relative_error(gradients(usual, x)[1][0], expected)
    assert ours < 1.5 * plain


def test_mmengine_treats_it_as_the_norm_layer_it_is():
    model = ConvModule(3, 8, 3, norm_cfg=dict(type='InPlaceABN'), act_cfg=None)
    wrapper = build_optim_wrapper(model, dict(
        optimizer=dict(type='SGD', lr=0.1, weight_decay=1e-4),
        paramwise_cfg=dict(norm_decay_mult=0.0)))
    decay = {id(p): group['weight_decay'] for group in wrapper.param_groups
             for p in group['params']}
    assert decay[id(model.norm.weight)] == decay[id(model.norm.bias)] == 0
    assert decay[id(model.conv.weight)] == 1e-4


def test_sync_bn_conversion_synchronises_instead_of_replacing():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), InPlaceABN(8, activation_param=0.2), nn.BatchNorm2d(8))
    converted = convert_sync_batchnorm(model)
    assert isinstance(converted[1], InPlaceABN)
    assert converted[1].sync
    assert converted[1].activation_param == 0.2
    assert isinstance(converted[2], nn.SyncBatchNorm)


@pytest.mark.parametrize(('shape', 'message'), [
    ((0, 8, 4, 4), 'empty input'),
    ((1, 8, 1, 1), 'more than one value a channel'),
    ((2, 4, 4, 4), r'8 channels got an input of shape \(2, 4, 4, 4\)'),
])
def test_unusable_inputs_are_named(shape, message):
    with pytest.raises(ValueError, match=message):
        InPlaceABN(8)(torch.zeros(shape))


@pytest.mark.parametrize(('kwargs', 'message'), [
    (dict(activation='relu'), "activation must be one of .* got 'relu'"),
    (dict(activation_param=0.0), 'above 0'),
    (dict(backend='cuda'), "backend must be one of .* got 'cuda'"),
])
def test_unusable_arguments_are_named(kwargs, message):
    with pytest.raises(ValueError, match=message):
        InPlaceABN(8, **kwargs)


@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last])
def test_the_compiled_backend_takes_gradients_of_any_layout(memory_format):
    pytest.importorskip('inplace_abn', reason='the optional package inplace-abn is not installed')
    layer = InPlaceABN(4, backend='inplace_abn').train()
    own = InPlaceABN(4).train()
    x = torch.randn(2, 4, 6, 6).to(memory_format=memory_format)
    grad = torch.randn(2, 4, 8, 8).to(memory_format=memory_format)[:, :, 1:-1, 1:-1]
    found, expected = (x.clone().requires_grad_() for _ in range(2))
    for module, leaf in ((layer, found), (own, expected)):
        # A sliced gradient, as one that comes from a layer with padding.
        module(leaf * 1).backward(grad)
    torch.testing.assert_close(found.grad, expected.grad, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(('sync', 'initialized', 'world', 'synchronises'), [
    (True, True, 2, True), (True, True, 1, False), (True, False, 2, False),
    (False, True, 2, False)])
def test_when_it_synchronises(sync, initialized, world, synchronises, monkeypatch):
    monkeypatch.setattr(dist, 'is_initialized', lambda: initialized)
    monkeypatch.setattr(dist, 'get_world_size', lambda *_: world)
    monkeypatch.setattr(type(dist.group), 'WORLD', property(lambda self: 'all'), raising=False)
    assert InPlaceABN(2, sync=sync)._group() == ('all' if synchronises else None)


@pytest.mark.parametrize('group', [None, 'all'])
def test_what_the_compiled_package_is_called_with(group, monkeypatch):
    """By a stand-in: its synchronised function has the group as well."""
    called = []

    def take(name):
        return lambda x, *others: called.append((name, *others[4:])) or x * 2

    functions = SimpleNamespace(inplace_abn=take('own'), inplace_abn_sync=take('sync'))
    monkeypatch.setattr(inplace_abn, '_import_inplace_abn', lambda: functions)
    monkeypatch.setattr(InPlaceABN, '_group', lambda self: group)
    layer = InPlaceABN(2, momentum=0.3, eps=1e-3, backend='inplace_abn')
    constants = (True, 0.3, 1e-3, 'leaky_relu', 0.01)
    x = torch.randn(2, 2, 3, 3)
    assert torch.equal(layer(x), x * 2)
    assert called == [('own', *constants) if group is None else ('sync', *constants, group)]


def test_a_layer_says_what_it_is():
    assert repr(InPlaceABN(4, eps=0.001, activation='elu', activation_param=0.5)) == (
        "InPlaceABN(4, eps=0.001, momentum=0.1, affine=True, activation='elu', "
        "activation_param=0.5, sync=False, backend='torch')")


def test_the_compiled_package_is_asked_for_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, 'inplace_abn', None)
    with pytest.raises(ImportError, match="backend='inplace_abn' needs the compiled package: pip"):
        InPlaceABN(4, backend='inplace_abn')


def test_whose_parameters_a_model_has():
    assert norm_form(nn.Sequential(nn.BatchNorm2d(2), InPlaceABN(2))) == 'InPlaceABN'
    assert norm_form(nn.Sequential(nn.BatchNorm2d(2))) == 'BN'
