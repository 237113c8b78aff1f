import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.registry import MODELS

from tests.lines import needs_compiler, needs_half_on_cpu
from tresnet_mm.models.losses import AsymmetricLoss, asymmetric_loss
from tresnet_mm.models.losses.chunked_binary_loss import CPU_CHUNK_PER_THREAD

from .conventions import check_constant, check_module
from .reference import gradient, plain_binary

VARIANTS = [
    dict(gamma_neg=4, gamma_pos=1, clip=0.05),
    dict(gamma_neg=4, gamma_pos=0, clip=0.05, detach_weights=True),
    dict(gamma_neg=2, gamma_pos=2, clip=0),
    dict(gamma_neg=0, gamma_pos=0, clip=0),
    dict(gamma_neg=0, gamma_pos=0, clip=0.1),
    dict(gamma_neg=2.5, gamma_pos=0.5, clip=0.05),
    dict(gamma_neg=0.3, gamma_pos=7, clip=0),
    dict(gamma_neg=3, gamma_pos=1, clip=0.2, eps=0),
    dict(gamma_neg=1, gamma_pos=2, clip=0, eps=0),
    dict(gamma_neg=2, gamma_pos=3, clip=0, detach_weights=True),
]


def random_logits(shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(shape, generator=generator, dtype=dtype) * 4).requires_grad_()


def random_targets(shape, soft=False, seed=1, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(shape, generator=generator, dtype=dtype)
    return noise if soft else (noise < 0.3).to(dtype)


def test_published_implementation(golden_dir):
    data = np.load(golden_dir / 'asl_loss.npz')
    logits = torch.from_numpy(data['logits']).double().requires_grad_()
    targets = torch.from_numpy(data['targets']).double()
    for i, variant in enumerate(json.loads(str(data['meta']))['variants']):
        detach = variant.pop('disable_torch_grad_focal_loss', False)
        loss = AsymmetricLoss(**variant, detach_weights=detach)(logits, targets)
        grad = gradient(loss, logits)
        assert loss.item() == pytest.approx(data[f'loss_{i}'].item(), rel=1e-6)
        np.testing.assert_allclose(grad.numpy(), data[f'grad_{i}'], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize('soft', [False, True])
@pytest.mark.parametrize('variant', VARIANTS, ids=str)
def test_equals_the_definition_with_its_autograd_gradient(variant, soft):
    x, y = random_logits((40, 7)), random_targets((40, 7), soft)
    expected = plain_binary(x, y, **variant)
    loss = asymmetric_loss(x, y, reduction='none', **variant)
    torch.testing.assert_close(loss, expected, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(gradient(loss, x), gradient(expected, x), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(asymmetric_loss(x, y, **variant), expected.sum())


@pytest.mark.parametrize('variant', VARIANTS, ids=str)
def test_gradcheck(variant):
    x, y = random_logits((3, 4)), random_targets((3, 4), soft=True)
    for reduction in ('sum', 'none'):
        if not variant.get('detach_weights'):
            assert torch.autograd.gradcheck(
                lambda x, r=reduction: asymmetric_loss(x, y, reduction=r, **variant), (x,)
            )


@pytest.mark.parametrize('variant', VARIANTS, ids=str)
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_saturated_logits_are_finite_and_equal_float64(variant, dtype):
    values = [15.0, 17, 18, 19, 25, 60, 80, 88, 100, 200, 1000]
    x64 = torch.tensor([values, [-v for v in values]] * 2, dtype=torch.float64)
    y64 = torch.tensor([[0.0], [0], [1], [1]], dtype=torch.float64).expand(x64.shape)
    x64.requires_grad_()
    x = x64.detach().to(dtype).requires_grad_()
    expected = plain_binary(x64, y64, **variant)
    loss = asymmetric_loss(x, y64.to(dtype), reduction='none', **variant)
    grad = gradient(loss, x)
    assert loss.isfinite().all() and grad.isfinite().all()
    reference = gradient(expected, x64)
    # Autograd of the plain formula meets 0 ** -0.5 at exponents below 1; there the limit is 0.
    reference = reference.nan_to_num(0)
    tolerance = dict(rtol=2e-5, atol=3e-7) if dtype == torch.float32 else dict(rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(loss.double(), expected, **tolerance)
    torch.testing.assert_close(grad.double(), reference, **tolerance)


def test_confident_positives_keep_a_relatively_exact_gradient_in_float32():
    x = torch.tensor([[12.0, 17, 30, 60]], requires_grad=True)
    loss = asymmetric_loss(x, torch.ones_like(x), gamma_pos=0)
    expected = -torch.sigmoid(-x.detach().double())
    torch.testing.assert_close(gradient(loss, x).double(), expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize('soft', [False, True])
def test_is_binary_cross_entropy_without_focusing(soft):
    x, y = random_logits((30, 5)), random_targets((30, 5), soft)
    loss = asymmetric_loss(x, y, gamma_neg=0, gamma_pos=0, clip=0, eps=0, reduction='none')
    expected = F.binary_cross_entropy_with_logits(x, y, reduction='none')
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(gradient(loss, x), gradient(expected, x))


@pytest.mark.parametrize('soft', [False, True])
def test_chunks_do_not_show(soft):
    rows = 2 * CPU_CHUNK_PER_THREAD * torch.get_num_threads() // 50 + 7
    x, y = random_logits((rows, 50), dtype=torch.float32), random_targets((rows, 50), soft).float()
    weight = torch.linspace(0, 2, rows)
    loss = asymmetric_loss(x, y, weight)
    expected = plain_binary(x.double(), y.double(), 4, 1, 0.05) * weight.double()[:, None]
    assert loss.item() == pytest.approx(expected.sum().item(), rel=1e-5)
    torch.testing.assert_close(gradient(loss, x), gradient(expected, x), rtol=1e-3, atol=1e-5)


def test_one_row_may_exceed_a_chunk():
    wide = 2 * CPU_CHUNK_PER_THREAD * torch.get_num_threads()
    x, y = random_logits((2, wide), dtype=torch.float32), random_targets((2, wide)).float()
    assert asymmetric_loss(x, y).item() == pytest.approx(
        plain_binary(x.double(), y.double(), 4, 1, 0.05).sum().item(), rel=1e-5
    )


@settings(max_examples=60, deadline=None)
@given(
    logits=st.lists(st.floats(-200, 200), min_size=1, max_size=12),
    target=st.floats(0, 1),
    gamma_neg=st.floats(0, 20),
    gamma_pos=st.floats(0, 20),
    clip=st.one_of(st.just(0.0), st.floats(0.001, 0.9)),
    dtype=st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64]),
)
def test_any_input_has_finite_loss_and_gradient(
    logits, target, gamma_neg, gamma_pos, clip, dtype
):
    x = torch.tensor([logits]).to(dtype).requires_grad_()
    y = torch.full_like(x, target).detach()
    kwargs = dict(gamma_neg=gamma_neg, gamma_pos=gamma_pos, clip=clip)
    loss = asymmetric_loss(x, y, reduction='none', **kwargs)
    assert loss.dtype == torch.promote_types(dtype, torch.float32)
    assert loss.isfinite().all() and (loss >= 0).all()
    assert gradient(loss, x).isfinite().all()
    expected = plain_binary(x.double(), y.double(), **kwargs)
    torch.testing.assert_close(loss.double(), expected, rtol=1e-3, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(x=st.floats(-30, 30), step=st.floats(0.01, 5), gamma=st.floats(0, 6))
def test_falls_with_the_logit_of_a_positive_and_rises_with_a_negatives(x, step, gamma):
    logits = torch.tensor([[x], [x + step]], dtype=torch.float64)
    for y, sign in ((1.0, -1), (0.0, 1)):
        low, high = asymmetric_loss(
            logits,
            torch.full_like(logits, y),
            gamma_neg=gamma,
            gamma_pos=gamma,
            reduction='none',
        ).flatten()
        assert sign * (high - low) >= -1e-12


def test_weights():
    x, y = random_logits((6, 4)), random_targets((6, 4))
    full = torch.rand(6, 4, dtype=torch.float64)
    cases = [
        (full, full),
        (full.flatten(), full),
        (full[:, 0], full[:, :1]),
        (full[:, :1], full[:, :1]),
        (full[0], full[:1]),
        (full[:1], full[:1]),
    ]
    for weight, factors in cases:
        loss = asymmetric_loss(x, y, weight)
        expected = plain_binary(x, y, 4, 1, 0.05) * factors
        torch.testing.assert_close(loss, expected.sum())
        torch.testing.assert_close(gradient(loss, x), gradient(expected, x))
    square = torch.eye(3, dtype=torch.float64)
    per_sample = asymmetric_loss(square, square, torch.tensor([1.0, 0, 0]), reduction='none')
    assert (per_sample[0] > 0).all() and (per_sample[1:] == 0).all()


def test_ignored_entries_count_nothing():
    x, y = random_logits((8, 5)), random_targets((8, 5))
    unknown = random_targets((8, 5), seed=3) > 0
    assert unknown.any()
    marked = y.masked_fill(unknown, -1)
    kept = plain_binary(x, y, 4, 1, 0.05)[~unknown]
    loss = asymmetric_loss(x, marked)
    torch.testing.assert_close(loss, kept.sum())
    grad = gradient(loss, x)
    assert (grad[unknown] == 0).all()
    torch.testing.assert_close(grad, gradient(kept, x))
    torch.testing.assert_close(asymmetric_loss(x, marked, reduction='mean'), kept.mean())
    torch.testing.assert_close(
        asymmetric_loss(x, y.masked_fill(unknown, 255), ignore_index=255), kept.sum()
    )
    nothing = asymmetric_loss(x, torch.full_like(y, -1), reduction='mean')
    assert nothing == 0 and (gradient(nothing, x) == 0).all()


def test_reductions():
    x, y = random_logits((6, 4)), random_targets((6, 4))
    entries = asymmetric_loss(x, y, reduction='none')
    assert entries.shape == x.shape
    torch.testing.assert_close(asymmetric_loss(x, y), entries.sum())
    torch.testing.assert_close(asymmetric_loss(x, y, reduction='mean'), entries.mean())
    by_factor = asymmetric_loss(x, y, reduction='mean', avg_factor=torch.tensor(8.0))
    torch.testing.assert_close(by_factor, entries.sum() / 8)
    assert asymmetric_loss(x, y, reduction='mean', avg_factor=0).isfinite()
    module = AsymmetricLoss(reduction='mean', loss_weight=3)
    torch.testing.assert_close(module(x, y), 3 * entries.mean())
    torch.testing.assert_close(module(x, y, reduction_override='sum'), 3 * entries.sum())
    torch.testing.assert_close(module(x, y, avg_factor=2), 1.5 * entries.sum())


@pytest.mark.parametrize('shape', [(5,), (2, 3, 5), (0, 5), (3, 0)])
def test_other_shapes(shape):
    x, y = random_logits(shape), random_targets(shape)
    loss = asymmetric_loss(x, y)
    torch.testing.assert_close(loss, plain_binary(x, y, 4, 1, 0.05).sum())
    assert gradient(loss, x).shape == shape
    assert asymmetric_loss(x, y, reduction='none').shape == shape
    assert asymmetric_loss(x, y, reduction='mean').isfinite()


@pytest.mark.parametrize('dtype', [torch.bool, torch.int64, torch.uint8, torch.float16])
def test_targets_of_any_type(dtype):
    x, y = random_logits((6, 4)), random_targets((6, 4))
    torch.testing.assert_close(asymmetric_loss(x, y.to(dtype)), asymmetric_loss(x, y))


def test_non_contiguous_logits():
    x, y = random_logits((4, 6)), random_targets((4, 6))
    loss = asymmetric_loss(x.t(), y.t())
    torch.testing.assert_close(loss, asymmetric_loss(x, y))
    torch.testing.assert_close(gradient(loss, x), gradient(asymmetric_loss(x, y), x))


@pytest.mark.parametrize('dtype', [
    pytest.param(torch.float16, marks=needs_half_on_cpu), torch.bfloat16])  # fmt: skip
def test_half_precision_and_autocast_compute_in_float32(dtype):
    x = random_logits((16, 8)).detach().to(dtype).requires_grad_()
    y = random_targets((16, 8))
    expected = plain_binary(x.double(), y, 4, 1, 0.05)
    with torch.autocast('cpu', dtype=dtype):
        loss = asymmetric_loss(x, y)
        single = asymmetric_loss(x.float(), y)
    assert loss.dtype == single.dtype == torch.float32
    assert loss.item() == single.item() == pytest.approx(expected.sum().item(), rel=1e-5)
    grad = gradient(loss, x)
    assert grad.dtype == dtype
    torch.testing.assert_close(grad, gradient(expected, x).to(dtype))


def test_saves_only_logits_and_targets():
    x, y = random_logits((64, 20)), random_targets((64, 20))
    saved = []
    hooks = torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: saved.append(tensor) or tensor, lambda tensor: tensor
    )
    with hooks:
        asymmetric_loss(x, y)
    assert {tensor.data_ptr() for tensor in saved} == {x.data_ptr(), y.data_ptr()}


def test_does_not_change_its_input_or_the_grad_mode():
    x, y = random_logits((6, 4)), random_targets((6, 4))
    before = x.detach().clone(), y.clone()
    for enabled in (True, False):
        with torch.set_grad_enabled(enabled):
            loss = asymmetric_loss(x, y, detach_weights=True)
            assert torch.is_grad_enabled() == enabled == loss.requires_grad
    gradient(asymmetric_loss(x, y), x)
    torch.testing.assert_close((x.detach(), y), before, rtol=0, atol=0)


def test_backward_twice_gives_the_same_gradient():
    x, y = random_logits((6, 4)), random_targets((6, 4))
    loss = asymmetric_loss(x, y)
    first = torch.autograd.grad(loss, x, retain_graph=True)[0]
    torch.testing.assert_close(torch.autograd.grad(loss, x)[0], first, rtol=0, atol=0)


def test_second_derivative_is_refused():
    x, y = random_logits((2, 3)), random_targets((2, 3))
    grad = torch.autograd.grad(asymmetric_loss(x, y) ** 2, x, create_graph=True)[0]
    with pytest.raises(RuntimeError, match='once_differentiable'):
        grad.sum().backward()


@needs_compiler
@pytest.mark.parametrize('soft', [False, True])
def test_compiles_without_graph_breaks(soft):
    torch.compiler.reset()
    x, y = random_logits((6, 4)), random_targets((6, 4), soft)
    compiled = torch.compile(AsymmetricLoss(), backend='aot_eager', fullgraph=True)
    loss = compiled(x, y)
    torch.testing.assert_close(loss, asymmetric_loss(x, y))
    torch.testing.assert_close(gradient(loss, x), gradient(asymmetric_loss(x, y), x))


def test_built_from_the_registry():
    loss = MODELS.build(dict(type='AsymmetricLoss', gamma_pos=0, detach_weights=True))
    x, y = random_logits((6, 4)), random_targets((6, 4))
    expected = asymmetric_loss(x, y, gamma_pos=0, detach_weights=True)
    torch.testing.assert_close(loss(x, y), expected)
    assert 'gamma_pos=0' in repr(loss)


def test_module():
    check_module(AsymmetricLoss, asymmetric_loss, gamma_neg=2, gamma_pos=0, clip=0.1, eps=0.01,
                 detach_weights=True, reduction='mean')


def test_no_clip_is_a_clip_of_0():
    x, y = random_logits((6, 4)), random_targets((6, 4))
    torch.testing.assert_close(asymmetric_loss(x, y, clip=None), asymmetric_loss(x, y, clip=0))
    torch.testing.assert_close(AsymmetricLoss(clip=None)(x, y), asymmetric_loss(x, y, clip=0))


@pytest.mark.parametrize('name, value', [
    ('gamma_neg', -1), ('gamma_pos', -1), ('clip', 1), ('clip', 1e-9), ('eps', 1),
    ('reduction', 'max')])
def test_a_constant_out_of_range_is_named_before_any_batch(name, value):
    check_constant(AsymmetricLoss, asymmetric_loss, name, value)


@pytest.mark.parametrize('value', [0, 0.5, 1])
def test_an_ignore_value_that_is_a_target_is_named(value):
    with pytest.raises(ValueError, match=rf'ignore_index must be outside .* got {value}'):
        asymmetric_loss(torch.zeros(3, 4), torch.zeros(3, 4), ignore_index=value)


@pytest.mark.parametrize('value', [-0.5, 1.5, 2])
def test_an_ignore_value_is_outside_the_targets(value):
    x, y = random_logits((6, 4)), random_targets((6, 4))
    unknown = random_targets((6, 4), seed=3) > 0
    loss = asymmetric_loss(x, y.masked_fill(unknown, value), ignore_index=value)
    torch.testing.assert_close(loss, plain_binary(x, y, 4, 1, 0.05)[~unknown].sum())


@pytest.mark.parametrize('shape', [(2, 3, 5), (5, ), (2, 1, 1), (2, 1, 5)])
def test_weights_of_other_shapes_broadcast(shape):
    x, y = random_logits((2, 3, 5)), random_targets((2, 3, 5))
    weight = torch.rand(shape, dtype=torch.float64)
    expected = plain_binary(x, y, 4, 1, 0.05) * weight
    torch.testing.assert_close(asymmetric_loss(x, y, weight, reduction='none'), expected)


@pytest.mark.parametrize('value', [-0.5, 1.5, -2, float('nan'), float('inf')])
def test_targets_out_of_range_are_named(value):
    x, y = random_logits((6, 4)), random_targets((6, 4))
    y[2, 1] = value
    with pytest.raises(ValueError, match=rf'target {value}.* outside \[0, 1\]'):
        asymmetric_loss(x, y)
    asymmetric_loss(x, y, validate=False)


def test_the_ignore_value_needs_to_be_allowed():
    with pytest.raises(ValueError, match='target -1'):
        asymmetric_loss(torch.zeros(1, 2), torch.tensor([[1.0, -1]]), ignore_index=None)


@pytest.mark.parametrize('reduction', ['none', 'sum', 'mean'])
def test_nan_logits_are_located(reduction):
    x, y = random_logits((6, 4)).detach(), random_targets((6, 4))
    x[2, 1] = x[3, 0] = float('nan')
    with pytest.raises(ValueError, match=r'2 of 24 logits are NaN, the first at \(2, 1\)'):
        asymmetric_loss(x, y, reduction=reduction)
    assert asymmetric_loss(x, y, validate=False).isnan()


@pytest.mark.parametrize(
    'kwargs, match',
    [
        (dict(gamma_neg=-1), 'gamma_neg'),
        (dict(gamma_pos=float('nan')), 'gamma_pos'),
        (dict(clip=1), 'clip'),
        (dict(clip=-0.1), 'clip'),
        (dict(eps=1), 'eps'),
        (dict(reduction='max'), 'reduction'),
        (dict(ignore_index=0.5), 'ignore_index'),
        (dict(reduction='sum', avg_factor=3), 'avg_factor'),
        (dict(weight=torch.ones(5)), 'weight of shape'),
        (dict(weight=torch.ones(3, 4, requires_grad=True)), 'weight must not require'),
    ],
)
def test_bad_arguments_are_named(kwargs, match):
    with pytest.raises(ValueError, match=match):
        asymmetric_loss(torch.zeros(3, 4), torch.zeros(3, 4), **kwargs)


def test_bad_tensors_are_named():
    with pytest.raises(ValueError, match='same shape'):
        asymmetric_loss(torch.zeros(3, 4), torch.zeros(3, 5))
    with pytest.raises(ValueError, match='same shape'):
        asymmetric_loss(torch.zeros(3, 4), torch.zeros(3))
    with pytest.raises(TypeError, match='floating point'):
        asymmetric_loss(torch.zeros(3, 4, dtype=torch.long), torch.zeros(3, 4))
    with pytest.raises(ValueError, match='targets must not require'):
        asymmetric_loss(torch.zeros(3, 4), torch.zeros(3, 4, requires_grad=True))
    with pytest.raises(ValueError, match='gamma_neg'):
        AsymmetricLoss(gamma_neg=-1)
