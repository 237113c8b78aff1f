"""The Triton kernels of InPlaceABN, in Triton's interpreter, against float64.

tests/conftest.py asks for the interpreter where there is no GPU; with one, the kernels are compiled
and run on it.
"""

import copy
import os
import subprocess
import sys

import pytest
import torch
import torch.distributed as dist

from tests.lines import needs_compiler, needs_triton
from tests.models.layers.test_inplace_abn import gradients, make_layer, reference, relative_error
from tests.ranks import in_ranks
from tresnet_mm.models.layers import InPlaceABN

pytestmark = needs_triton

ACTIVATIONS = [('leaky_relu', 0.01), ('elu', 1.0), ('identity', 1.0)]
FORMATS = [torch.contiguous_format, torch.channels_last]
SHAPES = [
    (3, 5, 7, 7),  # channels that are no power of two, positions that are no multiple of a tile
    (4, 3, 1, 1),  # both formats are one
    (1, 1, 2, 3), (2, 70, 2, 3),  # more channels than a tile has
    (5, 9), (2, 3, 11), (2, 3, 2, 3, 2),
]


@pytest.fixture(autouse=True)
def device(monkeypatch):
    """Tiles of 256 elements, so that small features are cut into several."""
    from tresnet_mm.models.layers import triton_abn
    monkeypatch.setattr(triton_abn, 'TILE', 256)
    monkeypatch.setattr(triton_abn, 'MAX_CHANNELS', 16)
    monkeypatch.setattr(triton_abn, 'ROWS', 4)
    return 'cpu' if triton_abn.is_interpreted() else 'cuda'


def make_pair(channels: int, device: str, **kwargs) -> tuple[InPlaceABN, InPlaceABN]:
    """A layer on the kernels, and the same in float64 for `reference`."""
    layer = make_layer(channels, backend='triton', **kwargs)
    return layer.to(device), copy.deepcopy(layer).double()


def run(layer: InPlaceABN, x: torch.Tensor):
    return gradients(lambda x, w, b: torch.func.functional_call(
        layer, dict(weight=w, bias=b), x), x, layer.weight, layer.bias)


def assert_close(found, expected, tolerance):
    (y, grads), (expected_y, expected_grads) = found, expected
    for value, wanted in zip((y, *grads), (expected_y, *expected_grads), strict=True):
        assert value.isfinite().all()
        assert relative_error(value.cpu(), wanted) < tolerance


def expected_of(wide: InPlaceABN, x: torch.Tensor):
    return gradients(lambda x, w, b: reference(wide, x, w, b),
                     x.double().cpu(), wide.weight, wide.bias)


@pytest.mark.parametrize('memory_format', FORMATS)
@pytest.mark.parametrize(('dtype', 'training'), [
    (torch.float32, True), (torch.float32, False), (torch.float16, True), (torch.bfloat16, True)])
@pytest.mark.parametrize(('activation', 'param'), ACTIVATIONS)
def test_equals_float64_definition(activation, param, dtype, memory_format, training, device):
    layer, wide = make_pair(5, device, activation=activation, activation_param=param)
    layer.train(training), wide.train(training)
    x = (torch.randn(3, 5, 7, 7) + 1).to(device, dtype).to(memory_format=memory_format)
    found = run(layer, x)
    tolerance = 4e-6 if dtype == torch.float32 else 20 * torch.finfo(dtype).eps
    assert_close(found, expected_of(wide, x), tolerance)
    y, grads = found
    assert y.dtype == grads[0].dtype == dtype and grads[1].dtype == torch.float32
    assert y.is_contiguous(memory_format=memory_format)
    assert grads[0].is_contiguous(memory_format=memory_format)


@pytest.mark.parametrize('memory_format', FORMATS)
@pytest.mark.parametrize('shape', SHAPES, ids=str)
def test_any_shape(shape, memory_format, device):
    layer, wide = make_pair(shape[1], device)
    x = torch.randn(shape, device=device)
    x = x.to(memory_format=memory_format) if x.dim() == 4 else x
    assert_close(run(layer, x), expected_of(wide, x), 1e-5)


@pytest.mark.parametrize('memory_format', FORMATS)
def test_statistics_do_not_cancel(memory_format, device):
    """Values far from 0, and one image far from the others, against float64."""
    from tresnet_mm.models.layers import triton_abn
    x = torch.randn(6, 3, 9, 5) + 1000
    x[0] -= 900
    x = x.to(memory_format=memory_format)
    mean, var = triton_abn.statistics(x.to(device))
    expected_var, expected_mean = torch.var_mean(x.double(), (0, 2, 3), correction=0)
    torch.testing.assert_close(mean.double().cpu(), expected_mean, rtol=1e-6, atol=0)
    torch.testing.assert_close(var.double().cpu(), expected_var, rtol=1e-5, atol=0)
    same = torch.full((2, 3, 5, 5), 0.1)
    assert triton_abn.statistics(same.to(device))[1].max() < 1e-14


@pytest.mark.parametrize('momentum', [0.1, None])
def test_state_is_that_of_the_torch_backend(momentum, device):
    layer = InPlaceABN(4, momentum=momentum, backend='triton').to(device)
    usual = InPlaceABN(4, momentum=momentum).to(device)
    for _ in range(2):
        x = torch.randn(3, 4, 5, 5, device=device) * 2 + 1
        layer(x), usual(x)
    torch.testing.assert_close(layer.state_dict(), usual.state_dict())
    layer.eval(), usual.eval()
    with torch.no_grad():
        torch.testing.assert_close(layer(x), usual(x))


def test_without_affine_and_only_the_output_kept(device):
    layer = InPlaceABN(4, affine=False, backend='triton').to(device)
    usual = InPlaceABN(4, affine=False).to(device)
    x, kept = torch.randn(3, 4, 5, 5, device=device), []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        found = gradients(layer, x)
    torch.testing.assert_close(found, gradients(usual, x))
    assert [t.shape for t in kept if t.numel() > 4][:1] == [x.shape]
    assert not any(t.data_ptr() == x.data_ptr() for t in kept)


def test_nan_stays_nan(device):
    for activation, _ in ACTIVATIONS:
        layer = InPlaceABN(2, activation=activation, backend='triton').to(device).eval()
        x = torch.zeros(1, 2, 2, 2, device=device)
        x[0, 0, 0, 0] = float('nan')
        y = layer(x)
        assert y.isnan().sum() == 1
        assert layer.train()(x)[:, 0].isnan().all() and layer.running_var[0].isnan()


def test_gradients_and_inputs_of_any_layout(device):
    layer, wide = make_pair(4, device)
    whole = torch.randn(2, 4, 8, 8, device=device)
    x = whole[:, :, 1:-1, 1:-1]
    grad = torch.randn(2, 4, 1, 6, device=device).expand(2, 4, 6, 6)
    leaf = x.detach().requires_grad_()
    layer(leaf).backward(grad)
    other = x.double().cpu().detach().requires_grad_()
    reference(wide, other, wide.weight, wide.bias).backward(grad.double().cpu())
    assert relative_error(leaf.grad.cpu(), other.grad) < 1e-5


def test_a_step_goes_over_the_features_eight_times(monkeypatch):
    """Every element that the kernels load and store, counted by the tensor it is in."""
    from tresnet_mm.models.layers import triton_abn
    if not triton_abn.is_interpreted():
        pytest.skip('counts in the interpreter alone')
    from triton.runtime import interpreter
    accesses: list[tuple[str, object]] = []
    for kind in ('load', 'store'):
        name = f'create_masked_{kind}'
        plain = getattr(interpreter.interpreter_builder, name)

        def counted(pointers, *rest, kind=kind, plain=plain):
            mask = rest[0] if kind == 'load' else rest[1]
            accesses.append((kind, pointers.data[mask.data]))
            return plain(pointers, *rest)

        monkeypatch.setattr(interpreter.interpreter_builder, name, counted)
    layer = make_layer(5, backend='triton')
    x = torch.randn(3, 5, 7, 7, requires_grad=True)
    y = layer(x)
    grad = torch.randn_like(y)
    y.backward(grad)

    def passes(tensor: torch.Tensor, kind: str) -> float:
        first, last = tensor.data_ptr(), tensor.data_ptr() + 4 * tensor.numel()
        return sum(int(((place >= first) & (place < last)).sum())
                   for found, place in accesses if found == kind) / tensor.numel()

    found = {name: (passes(tensor, 'load'), passes(tensor, 'store'))
             for name, tensor in dict(x=x.detach(), y=y.detach(), grad=grad, grad_x=x.grad).items()}
    assert found == dict(x=(2, 0), y=(2, 1), grad=(2, 0), grad_x=(0, 1))
    small = sum(len(place) for _, place in accesses) - 8 * x.numel()
    assert 0 < small < x.numel()  # numbers of the channels, by tile; here tiles are small


SPLIT = 3


def shares():
    """In one of two processes: what comes of its images."""
    layer = make_layer(4, backend='triton', sync=True)
    x, factors = torch.randn(2, 5, 4, 3, 3)
    part = slice(None, SPLIT) if dist.get_rank() == 0 else slice(SPLIT, None)
    leaf = x[part].clone().requires_grad_()
    y = layer(leaf)
    (y * factors[part]).sum().backward()
    return [y.detach(), leaf.grad, layer.weight.grad, layer.bias.grad, layer.running_var]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, 'fork'), reason='forks')
def test_two_processes_of_unequal_batches_equal_one(tmp_path, device):
    if device != 'cpu':
        pytest.skip('two processes run on the CPU, in the interpreter')
    first, second = in_ranks('tests.models.layers.test_triton_abn:shares', (2, ), tmp_path)[2]
    torch.manual_seed(0)
    layer, wide = make_pair(4, device)
    x, factors = torch.randn(2, 5, 4, 3, 3)
    leaf = x.double().requires_grad_()
    weight, bias = (p.detach().requires_grad_() for p in (wide.weight, wide.bias))
    y = reference(wide, leaf, weight, bias)
    (y * factors).sum().backward()
    for found, expected in ((torch.cat([first[0], second[0]]), y.detach()),
                            (torch.cat([first[1], second[1]]), leaf.grad),
                            (first[2] + second[2], weight.grad), (first[3] + second[3], bias.grad)):
        assert relative_error(found, expected) < 1e-5
    layer(x)
    torch.testing.assert_close(first[4], layer.running_var)
    torch.testing.assert_close(second[4], first[4])


def test_a_cpu_without_the_interpreter_is_refused(monkeypatch):
    from tresnet_mm.models.layers import triton_abn
    monkeypatch.setattr(triton_abn, 'is_interpreted', lambda: False)
    with pytest.raises(RuntimeError, match="backend='triton' runs on a GPU, and its input is on "
                       "cpu: .*backend='torch'"):
        InPlaceABN(2, backend='triton')(torch.randn(2, 2, 3, 3))


@needs_compiler
def test_a_compiler_makes_its_own_kernels():
    layer = make_layer(4, backend='triton').double()  # which the kernels do not take
    usual = make_layer(4).double()
    usual.load_state_dict(layer.state_dict())
    x = torch.randn(2, 4, 3, 3, dtype=torch.double)
    found = torch.compile(layer, backend='eager', fullgraph=True)(x)
    torch.testing.assert_close(found, usual(x))
    with torch.no_grad():
        traced = torch.jit.trace(layer.eval(), x, check_trace=False)
        torch.testing.assert_close(traced(x), usual.eval()(x))


def test_other_dtypes_are_refused(device):
    layer = InPlaceABN(2, backend='triton').double().to(device)
    with pytest.raises(TypeError, match='got torch.float64'):
        layer(torch.randn(2, 2, 3, 3, dtype=torch.double, device=device))


@pytest.mark.parametrize(('missing', 'message'), [
    (True, "backend='triton' needs triton, .*pip install"),
    (False, r'needs triton>=[\d.]+, found 2\.1\.0')])
def test_no_triton(missing, message, monkeypatch):
    import triton
    monkeypatch.setattr(triton, '__version__', '2.1.0')
    if missing:
        monkeypatch.setitem(sys.modules, 'triton', None)
    with pytest.raises(ImportError, match=message):
        InPlaceABN(2, backend='triton')


@pytest.mark.slow
def test_compiles_for_a_gpu_with_wide_accesses(repo_root, tmp_path):
    """Triton's compiler needs no GPU: each kernel becomes machine code, 16 bytes at once."""
    environment = {**os.environ, 'TRITON_INTERPRET': '0', 'PYTHONPATH': str(repo_root),
                   'TRITON_CACHE_DIR': str(tmp_path)}
    done = subprocess.run([sys.executable, '-m', 'tests.models.layers.compile_kernels'],
                          env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [line for line in done.stdout.splitlines() if '.global' in line]
    assert len(lines) == 2 * 2 * 4 + 1
    for line in lines[:-1]:
        assert 'ld.global.v4.b32' in line and '.local' not in line, line  # nothing is spilled
        if line.startswith(('normalised', 'input_gradient')):
            assert 'st.global.v4.b32' in line, line
