import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.registry import MODELS

from tests.lines import needs_compiler
from tresnet_mm.models.losses import AsymmetricLossSingleLabel, asymmetric_loss_single_label

from .reference import gradient, plain_single_label

VARIANTS = [
    dict(gamma_neg=4, gamma_pos=0, label_smoothing=0.1),
    dict(gamma_neg=2, gamma_pos=1, label_smoothing=0.0),
    dict(gamma_neg=0, gamma_pos=2, label_smoothing=0.2),
    dict(gamma_neg=1.5, gamma_pos=0.5, label_smoothing=0.1),
]


def sample(num=9, num_classes=6, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(num, num_classes, generator=generator, dtype=dtype) * 3
    return logits.requires_grad_(), torch.randint(num_classes, (num,), generator=generator)


def definition(x, k, label_smoothing, **gammas):
    return plain_single_label(x, k, smoothing=label_smoothing, **gammas)


def test_published_implementation(golden_dir):
    data = np.load(golden_dir / 'asl_loss.npz')
    targets = torch.from_numpy(data['single_targets'])[2:]
    for i, variant in enumerate(json.loads(str(data['meta']))['single']):
        logits = torch.from_numpy(data['logits'])[2:].double().requires_grad_()
        module = AsymmetricLossSingleLabel(label_smoothing=variant.pop('eps'), **variant)
        loss = module(logits, targets)
        assert loss.item() == pytest.approx(data[f'single_loss_{i}'].item(), rel=1e-6)
        np.testing.assert_allclose(
            gradient(loss, logits).numpy(), data[f'single_grad_{i}'], rtol=1e-6, atol=1e-8
        )


@pytest.mark.parametrize('variant', VARIANTS, ids=str)
def test_equals_the_definition_with_its_autograd_gradient(variant):
    x, k = sample()
    loss = asymmetric_loss_single_label(x, k, reduction='none', **variant)
    expected = definition(x, k, **variant)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(gradient(loss, x), gradient(expected, x))
    assert torch.autograd.gradcheck(
        lambda x: asymmetric_loss_single_label(x, k, reduction='none', **variant), (x,)
    )


def test_is_cross_entropy_without_focusing():
    x, k = sample()
    loss = asymmetric_loss_single_label(x, k, gamma_neg=0, label_smoothing=0.1)
    expected = F.cross_entropy(x, k, label_smoothing=0.1)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(gradient(loss, x), gradient(expected, x))


@pytest.mark.parametrize('variant', VARIANTS, ids=str)
def test_saturated_logits_are_finite_and_equal_float64(variant):
    x64 = torch.diag(torch.tensor([60.0, -60, 100, -100, 1000, -1000], dtype=torch.float64))
    x64.requires_grad_()
    x = x64.detach().float().requires_grad_()
    k = torch.arange(6)
    loss = asymmetric_loss_single_label(x, k, reduction='none', **variant)
    expected = definition(x64, k, **variant)
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-6)
    reference = gradient(expected, x64).nan_to_num(0)
    torch.testing.assert_close(gradient(loss, x).double(), reference, rtol=1e-5, atol=1e-6)


def test_ignored_samples_weights_and_reductions():
    x, k = sample()
    entries = definition(x, k, 0.1, gamma_neg=4, gamma_pos=0)
    marked = k.clone()
    marked[2] = -1
    keep = torch.arange(9) != 2
    loss = asymmetric_loss_single_label(x, marked)
    torch.testing.assert_close(loss, entries[keep].mean())
    assert (gradient(loss, x)[2] == 0).all()
    weight = torch.rand(9, dtype=torch.float64)
    weighted = asymmetric_loss_single_label(x, marked, weight, reduction='sum')
    torch.testing.assert_close(weighted, (entries * weight)[keep].sum())
    torch.testing.assert_close(gradient(weighted, x), gradient((entries * weight)[keep], x))
    module = AsymmetricLossSingleLabel(loss_weight=2)
    torch.testing.assert_close(module(x, k, avg_factor=4), entries.sum() / 2)
    torch.testing.assert_close(module(x, k, reduction_override='none'), 2 * entries)
    nothing = asymmetric_loss_single_label(x, torch.full_like(k, -1))
    assert nothing == 0 and (gradient(nothing, x) == 0).all()


def test_saves_no_probabilities():
    x, k = sample(64, 20)
    saved = []
    hooks = torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: saved.append(tensor) or tensor, lambda tensor: tensor
    )
    with hooks:
        asymmetric_loss_single_label(x, k, reduction='sum')
    large = [tensor for tensor in saved if tensor.numel() >= x.numel()]
    assert [tensor.data_ptr() for tensor in large] == [x.data_ptr()]


@settings(max_examples=40, deadline=None)
@given(
    logits=st.lists(st.floats(-200, 200), min_size=2, max_size=6),
    gammas=st.tuples(st.floats(0, 8), st.floats(0, 8)),
    smoothing=st.floats(0, 0.9),
    dtype=st.sampled_from([torch.float16, torch.bfloat16, torch.float32]),
)
def test_any_input_has_finite_loss_and_gradient(logits, gammas, smoothing, dtype):
    x = torch.tensor([logits]).to(dtype).requires_grad_()
    loss = asymmetric_loss_single_label(
        x,
        torch.tensor([0]),
        gamma_neg=gammas[0],
        gamma_pos=gammas[1],
        label_smoothing=smoothing,
    )
    assert loss.dtype == torch.float32 and loss.isfinite() and loss >= 0
    assert gradient(loss, x).isfinite().all()


@needs_compiler
def test_compiles_without_graph_breaks():
    torch.compiler.reset()
    x, k = sample()
    compiled = torch.compile(AsymmetricLossSingleLabel(), backend='aot_eager', fullgraph=True)
    loss, expected = compiled(x, k), asymmetric_loss_single_label(x, k)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(gradient(loss, x), gradient(expected, x))


def test_bad_input_is_named():
    x, k = sample(3, 4)
    with pytest.raises(ValueError, match=r'target 4 is outside \[0, 4\)'):
        asymmetric_loss_single_label(x, torch.tensor([0, 4, 1]))
    with pytest.raises(ValueError, match='target -2'):
        asymmetric_loss_single_label(x, torch.tensor([0, -2, 1]))
    with pytest.raises(TypeError, match='integer classes'):
        asymmetric_loss_single_label(x, k.float())
    with pytest.raises(ValueError, match='expected logits'):
        asymmetric_loss_single_label(x, k[:2])
    with pytest.raises(ValueError, match='label_smoothing'):
        asymmetric_loss_single_label(x, k, label_smoothing=1.0)
    with pytest.raises(ValueError, match='weight of shape'):
        asymmetric_loss_single_label(x, k, torch.ones(4))
    nan = x.detach().clone()
    nan[1, 2] = float('nan')
    with pytest.raises(ValueError, match=r'1 of 12 logits are NaN, the first at \(1, 2\)'):
        asymmetric_loss_single_label(nan, k)


def test_defaults_are_the_published_ones():
    x, k = sample()
    expected = definition(x, k, 0.1, gamma_neg=4, gamma_pos=0).mean()
    torch.testing.assert_close(asymmetric_loss_single_label(x, k), expected)
    torch.testing.assert_close(AsymmetricLossSingleLabel()(x, k), expected)
    k[2] = -1
    expected = asymmetric_loss_single_label(x, k, ignore_index=-1)
    torch.testing.assert_close(asymmetric_loss_single_label(x, k), expected)
    torch.testing.assert_close(AsymmetricLossSingleLabel()(x, k), expected)


def test_module_takes_all_constants():
    x, k = sample()
    x.detach_()[0, 0] = torch.nan
    k[1], k[2] = 2, 1
    constants = dict(gamma_neg=2, gamma_pos=1, label_smoothing=0.3, ignore_index=2,
                     reduction='none', validate=False)
    loss = AsymmetricLossSingleLabel(loss_weight=3, **constants)(x, k)
    assert loss[0].isnan()
    expected = 3 * definition(x, k, 0.3, gamma_neg=2, gamma_pos=1) * (k != 2)
    torch.testing.assert_close(loss[1:], expected[1:])


def test_reductions_are_checked():
    x, k = sample()
    with pytest.raises(ValueError, match="reduction must be one of .* got 'max'"):
        asymmetric_loss_single_label(x, k, reduction='max')
    with pytest.raises(ValueError, match='avg_factor can not be used'):
        asymmetric_loss_single_label(x, k, reduction='sum', avg_factor=2)


def test_built_from_the_registry():
    x, k = sample()
    module = MODELS.build(dict(type='AsymmetricLossSingleLabel', gamma_pos=1))
    torch.testing.assert_close(module(x, k), asymmetric_loss_single_label(x, k, gamma_pos=1))


@pytest.mark.parametrize(('name', 'value'), [
    ('label_smoothing', 1.0), ('label_smoothing', -0.1), ('gamma_neg', -1), ('gamma_pos', -1)])
def test_a_constant_out_of_range_is_named_before_any_batch(name, value):
    word = 'eps' if name == 'label_smoothing' else name
    with pytest.raises(ValueError, match=f'{word} must be'):
        AsymmetricLossSingleLabel(**{name: value})
