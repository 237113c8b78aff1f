"""The conventions that the losses beside the asymmetric ones share."""

from functools import partial

import pytest
import torch
from mmengine.registry import MODELS

from tests.lines import needs_compiler, needs_half_on_cpu
from tresnet_mm.models.losses import (
    hill_loss,
    partial_asymmetric_loss,
    splc_loss,
    two_way_loss,
    zlpr_loss,
)

from .conventions import draw
from .reference import gradient, plain_binary, plain_hill, plain_splc

#: Losses with a value for each entry, and their formulas.
BY_ENTRY = {
    'hill': (hill_loss, plain_hill),
    'splc, first epoch': (partial(splc_loss, epoch=0), partial(plain_splc, epoch=0)),
    'splc, corrected': (partial(splc_loss, epoch=1), plain_splc),
    'partial': (
        partial(partial_asymmetric_loss, mode='ignore', eps=0),
        partial(plain_binary, gamma_neg=1, gamma_pos=0, clip=0, eps=0, detach_weights=True)),
}
#: All losses.
LOSSES = {name: loss for name, (loss, _) in BY_ENTRY.items()} | {
    'zlpr': zlpr_loss, 'two-way': two_way_loss,
    'selective': partial(partial_asymmetric_loss, likelihood_topk=1)}
TYPES = ['HillLoss', 'SPLCLoss', 'PartialAsymmetricLoss', 'TwoWayLoss', 'ZLPRLoss']


@pytest.mark.parametrize('name', BY_ENTRY)
def test_weights(name):
    loss_of, formula = BY_ENTRY[name]
    x, y = draw()
    full = torch.rand(6, 4, dtype=torch.float64)
    for weight, factors in [
            (full, full), (full.flatten(), full), (full[:, 0], full[:, :1]),
            (full[:, :1], full[:, :1]), (full[0], full[:1]), (full[:1], full[:1])]:
        loss, expected = loss_of(x, y, weight), formula(x, y) * factors
        torch.testing.assert_close(loss, expected.sum())
        torch.testing.assert_close(gradient(loss, x), gradient(expected, x))


@pytest.mark.parametrize('name', BY_ENTRY)
def test_unknown_entries_count_nothing(name):
    loss_of, formula = BY_ENTRY[name]
    x, y = draw()
    unknown = draw(seed=3)[1] > 0
    kept = formula(x, y)[~unknown]
    loss = loss_of(x, y.masked_fill(unknown, -1))
    torch.testing.assert_close(loss, kept.sum())
    torch.testing.assert_close(gradient(loss, x), gradient(kept, x))
    torch.testing.assert_close(
        loss_of(x, y.masked_fill(unknown, 255), ignore_index=255, reduction='mean'), kept.mean())


@pytest.mark.parametrize('name', LOSSES)
def test_gradcheck(name):
    loss_of = LOSSES[name]
    x, y = draw((3, 4))
    y[0, 1] = -1
    if not name.startswith(('partial', 'selective')):  # its focusing weights are constants
        assert torch.autograd.gradcheck(lambda x: loss_of(x, y), (x,))


@pytest.mark.parametrize('name', LOSSES)
@pytest.mark.parametrize('dtype', [
    pytest.param(torch.float16, marks=needs_half_on_cpu), torch.bfloat16, torch.float32])
def test_saturated_logits_equal_float64(name, dtype):
    values = torch.tensor([20.0, 60, 88, 100, 1000])
    x = torch.cat([values, -values])[None].repeat(3, 1).to(dtype).requires_grad_()
    y = torch.stack([torch.zeros(10), torch.ones(10), torch.arange(10.0) % 2])
    exact = x.detach().double().requires_grad_()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss, expected = LOSSES[name](x, y), LOSSES[name](exact, y)
    assert loss.dtype == torch.float32 and expected.dtype == torch.float64
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-6)
    grad = gradient(loss, x)
    assert grad.dtype == dtype
    torch.testing.assert_close(grad.double(), gradient(expected, exact), rtol=1e-2, atol=1e-5)


@pytest.mark.parametrize('shape', [(5,), (2, 3, 5), (0, 5), (3, 0)])
@pytest.mark.parametrize('name', LOSSES)
def test_other_shapes(name, shape):
    x, y = draw(shape)
    flat = LOSSES[name](x.reshape(-1, shape[-1]) if shape[-1] else x, y.reshape(-1, shape[-1])
                        if shape[-1] else y)
    loss = LOSSES[name](x, y)
    torch.testing.assert_close(loss, flat)
    assert gradient(loss, x).shape == shape
    assert LOSSES[name](x, y, reduction='mean').isfinite()


@pytest.mark.parametrize('dtype', [torch.bool, torch.int64, torch.float16])
@pytest.mark.parametrize('name', LOSSES)
def test_targets_of_any_type(name, dtype):
    x, y = draw()
    torch.testing.assert_close(LOSSES[name](x, y.to(dtype)), LOSSES[name](x, y))


@needs_compiler
@pytest.mark.parametrize('name', ['hill', 'splc, corrected', 'partial', 'two-way', 'zlpr'])
def test_compiles_without_graph_breaks(name):
    torch.compiler.reset()
    x, y = draw()
    loss = torch.compile(LOSSES[name], backend='aot_eager', fullgraph=True)(x, y)
    torch.testing.assert_close(loss, LOSSES[name](x, y))
    torch.testing.assert_close(gradient(loss, x), gradient(LOSSES[name](x, y), x))


@pytest.mark.parametrize('type_', TYPES)
def test_built_from_the_registry(type_):
    x, y = draw()
    loss = MODELS.build(dict(type=type_, loss_weight=3))
    torch.testing.assert_close(loss(x, y), 3 * MODELS.build(dict(type=type_))(x, y))
    torch.testing.assert_close(loss(x, y, reduction_override='sum'),
                               MODELS.build(dict(type=type_, reduction='sum', loss_weight=3))(x, y))
    assert 'loss_weight=3' in repr(loss) and not list(loss.buffers())


@pytest.mark.parametrize('name', LOSSES)
def test_bad_arguments_are_named(name):
    loss_of = LOSSES[name]
    x, y = draw()
    for kwargs, match in [
            (dict(reduction='max'), 'reduction'), (dict(ignore_index=0.5), 'ignore_index'),
            (dict(reduction='sum', avg_factor=3), 'avg_factor'),
            (dict(weight=torch.ones(5)), 'weight of shape'),
            (dict(weight=torch.ones(6, 4, requires_grad=True)), 'weight must not require')]:
        with pytest.raises(ValueError, match=match):
            loss_of(x, y, **kwargs)
    with pytest.raises(ValueError, match='same shape'):
        loss_of(x, y[:, :3])
    with pytest.raises(TypeError, match='floating point'):
        loss_of(x.long(), y)
    with pytest.raises(ValueError, match=r'target 1.5 is outside'):
        loss_of(x, y + 0.5 * (y == 1))
    bad = x.detach().clone()
    bad[2, 1] = float('nan')
    with pytest.raises(ValueError, match=r'1 of 24 logits are NaN, the first at \(2, 1\)'):
        loss_of(bad, y)


@pytest.mark.parametrize('type_', TYPES)
@pytest.mark.parametrize('head', ['MultiLabelLinearHead', 'MLDecoderHead'])
def test_in_heads_with_unknown_labels_under_autocast(type_, head):
    from mmengine.structures import BaseDataElement
    small = {} if head == 'MultiLabelLinearHead' else dict(embed_dims=8, feedforward_channels=8)
    weight = [1.0, 2.0, 0.5]
    model = MODELS.build(dict(type=head, num_classes=3, in_channels=6, loss=dict(type=type_),
                              class_weight=weight, **small)).eval()
    rows = torch.tensor([[1.0, 0, -1], [0, 1, 0]])
    data = [BaseDataElement(gt_labels=row) for row in rows]
    feats = (torch.randn(2, 6, 2, 2), )
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = model.loss(feats, data)['loss_mlc']
        logits = model(feats)
    assert loss.dtype == torch.float32 and loss.isfinite()
    expected = MODELS.build(dict(type=type_))(logits.float(), rows, torch.tensor([weight]))
    torch.testing.assert_close(loss, expected)
    loss.backward()
