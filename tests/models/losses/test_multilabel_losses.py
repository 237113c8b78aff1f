"""The conventions that the losses beside the asymmetric ones share, each against its formula."""

from functools import partial

import pytest
import torch
from mmengine.registry import MODELS

from tests.lines import needs_compiler, needs_half_on_cpu
from tresnet_mm.class_values import save_class_values
from tresnet_mm.models.losses import (
    PartialAsymmetricLoss,
    hill_loss,
    partial_asymmetric_loss,
    splc_loss,
    two_way_loss,
    zlpr_loss,
)

from .reference import gradient, plain_binary, plain_hill, plain_splc, plain_two_way, plain_zlpr

#: Losses with a value for each entry, and their formulas.
BY_ENTRY = {
    'hill': (hill_loss, plain_hill),
    'hill, other constants': (
        partial(hill_loss, hill_lambda=2, margin=0, gamma=0.5),
        partial(plain_hill, hill_lambda=2, margin=0, gamma=0.5)),
    'splc, first epoch': (partial(splc_loss, epoch=0), partial(plain_splc, epoch=0)),
    'splc, corrected': (partial(splc_loss, epoch=1), plain_splc),
    'splc, other constants': (
        partial(splc_loss, epoch=5, change_epoch=3, tau=0.3, margin=0.5, gamma=3),
        partial(plain_splc, epoch=5, change_epoch=3, tau=0.3, margin=0.5, gamma=3)),
    'partial': (
        partial(partial_asymmetric_loss, mode='ignore', eps=0),
        partial(plain_binary, gamma_neg=1, gamma_pos=0, clip=0, eps=0, detach_weights=True)),
    'partial, other constants': (
        partial(partial_asymmetric_loss, mode='ignore', gamma_neg=3, gamma_pos=1, clip=0.05),
        partial(plain_binary, gamma_neg=3, gamma_pos=1, clip=0.05, detach_weights=True)),
}
#: All losses.
LOSSES = {name: loss for name, (loss, _) in BY_ENTRY.items()} | {
    'zlpr': zlpr_loss, 'two-way': two_way_loss,
    'selective': partial(partial_asymmetric_loss, likelihood_topk=1)}
TYPES = ['HillLoss', 'SPLCLoss', 'PartialAsymmetricLoss', 'TwoWayLoss', 'ZLPRLoss']


def draw(shape=(6, 4), soft=False, seed=0, dtype=torch.float64):
    """Logits that require a gradient, and targets."""
    generator = torch.Generator().manual_seed(seed)
    logits = 4 * torch.randn(shape, generator=generator, dtype=dtype)
    noise = torch.rand(shape, generator=generator, dtype=dtype)
    return logits.requires_grad_(), noise if soft else (noise < 0.3).to(dtype)


@pytest.mark.parametrize('soft', [False, True])
@pytest.mark.parametrize('name', BY_ENTRY)
def test_equals_the_formula_and_its_gradient(name, soft):
    loss_of, formula = BY_ENTRY[name]
    x, y = draw((30, 7), soft)
    loss, expected = loss_of(x, y, reduction='none'), formula(x, y)
    torch.testing.assert_close(loss, expected, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(gradient(loss, x), gradient(expected, x), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(loss_of(x, y), expected.sum())
    torch.testing.assert_close(loss_of(x, y, reduction='mean'), expected.mean())
    torch.testing.assert_close(
        loss_of(x, y, reduction='mean', avg_factor=torch.tensor(8.0)), expected.sum() / 8)


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


@pytest.mark.parametrize('type_, kwargs', [
    ('HillLoss', dict(gamma=-1)), ('HillLoss', dict(hill_lambda=0.5)), ('SPLCLoss', dict(tau=1)),
    ('PartialAsymmetricLoss', dict(mode='some')), ('PartialAsymmetricLoss', dict(gamma_unann=-1)),
    ('PartialAsymmetricLoss', dict(class_priors=[1.2])), ('TwoWayLoss', dict(temperature_pos=0)),
    ('PartialAsymmetricLoss', dict(likelihood_topk=-1)), ('TwoWayLoss', dict(reduction='none'))])
def test_bad_constants_are_named(type_, kwargs):
    with pytest.raises(ValueError, match=next(iter(kwargs))):
        MODELS.build(dict(type=type_, **kwargs))


@pytest.mark.parametrize('soft', [False, True])
def test_zlpr(soft):
    x, y = draw(soft=soft)
    expected = plain_zlpr(x, y)
    loss = zlpr_loss(x, y, reduction='none')
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(gradient(loss, x), gradient(expected, x))
    torch.testing.assert_close(zlpr_loss(x, y, reduction='mean'), expected.mean())
    twice = torch.full_like(y, 2)
    torch.testing.assert_close(zlpr_loss(x, y, twice),
                               zlpr_loss(torch.cat([x, x], 1), torch.cat([y, y], 1)))
    marked = torch.cat([y, torch.full_like(y, -1)], 1)
    torch.testing.assert_close(zlpr_loss(torch.cat([x, x], 1), marked), expected.sum())


def test_zlpr_of_one_positive_and_one_negative_is_their_cross_entropy():
    x, y = draw((5, 2))[0], torch.tensor([[1.0, 0]], dtype=torch.float64).expand(5, 2)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(x, y, reduction='none').sum(1)
    torch.testing.assert_close(zlpr_loss(x, y, reduction='none'), expected)


@pytest.mark.parametrize('temperatures', [(4, 1), (0.5, 2)])
def test_two_way(temperatures):
    x, y = draw()
    y[0], y[1] = 0, 1  # without positives, and without negatives
    known = draw(seed=3)[1] == 0
    known[1] = True
    samples, classes = plain_two_way(x, y, known, *temperatures)
    assert 0 < len(samples) < 6 and classes
    expected = sum(torch.stack(losses).mean() for losses in (samples, classes))
    constants = dict(temperature_pos=temperatures[0], temperature_neg=temperatures[1])
    loss = two_way_loss(x, y.masked_fill(~known, -1), **constants)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(gradient(loss, x), gradient(expected, x))
    by_weight = two_way_loss(x, y, known.double(), **constants)
    torch.testing.assert_close(by_weight, loss)
    both = torch.stack(samples + classes).sum()
    masked = y.masked_fill(~known, -1)
    torch.testing.assert_close(two_way_loss(x, masked, reduction='sum', **constants), both)
    torch.testing.assert_close(two_way_loss(x, masked, avg_factor=2, **constants), both / 2)


def test_two_way_without_positives_is_0():
    x, y = draw()
    loss = two_way_loss(x, torch.zeros_like(y))
    assert loss == 0 and (gradient(loss, x) == 0).all()


def test_hill_forgives_negatives_of_high_scores():
    x = torch.tensor([[-15.0, 0.0, 15.0]], dtype=torch.float64, requires_grad=True)
    slope = gradient(hill_loss(x, torch.zeros(1, 3)), x)[0]
    assert slope[1] > 0.1 and slope[0].abs() < 1e-5 and slope[2].abs() < 1e-5


def test_splc_reads_the_epoch_of_the_run():
    from mmengine.logging import MessageHub
    x, y = draw()
    loss, hub = MODELS.build(dict(type='SPLCLoss')), MessageHub.get_current_instance()
    before = hub.get_info('epoch', 0)
    try:
        for epoch in (0, 1, 7):
            hub.update_info('epoch', epoch)
            torch.testing.assert_close(loss(x, y), plain_splc(x, y, epoch).sum())
            torch.testing.assert_close(loss(x, y, epoch=0), plain_splc(x, y, 0).sum())
    finally:
        hub.update_info('epoch', before)


def test_partial_modes():
    x, y = draw((3, 4))
    y[:, :2] = -1
    alphas = dict(alpha_pos=2, alpha_neg=3, alpha_unann=0.5, gamma_neg=1, gamma_unann=2)
    known = y != -1
    detached = dict(gamma_pos=0, clip=0, detach_weights=True)
    annotated = plain_binary(x, y, 1, **detached) * (2 * y + 3 * (1 - y)) * known
    others = 0.5 * plain_binary(x, torch.zeros_like(y), 2, **detached) * ~known

    def check(expected, **kwargs):
        loss = partial_asymmetric_loss(x, y, reduction='none', **alphas, **kwargs)
        torch.testing.assert_close(loss, expected)
        slope = torch.autograd.grad(expected.sum(), x, retain_graph=True)[0]
        torch.testing.assert_close(gradient(loss, x), slope)

    check(annotated, mode='ignore')
    check(annotated + others, mode='negative')
    check(annotated + others, likelihood_topk=0)
    by_prior = others * torch.tensor([0, 1, 1, 1])
    check(annotated + by_prior, class_priors=[0.2, 0.05, 0.9, 0.9], likelihood_topk=0)
    kept = others.clone()
    for index in x.masked_fill(known, -torch.inf).flatten().argsort(descending=True)[:3]:
        kept[index // 4, index % 4] = 0
    check(annotated + kept, likelihood_topk=1)
    check(annotated, likelihood_topk=100)
    weight = torch.rand(3, 4, dtype=torch.float64)
    torch.testing.assert_close(partial_asymmetric_loss(x, y, weight, mode='negative', **alphas),
                               ((annotated + others) * weight).sum())
    with pytest.raises(ValueError, match='2 class_priors for 4 classes'):
        partial_asymmetric_loss(x, y, class_priors=[0.1, 0.2])


def test_priors_from_a_file(tmp_path):
    x, y = torch.tensor([[2.0, -1.0]]), torch.tensor([[-1, -1]])
    file = tmp_path / 'priors.json'
    save_class_values(file, 'priors', [0.3, 0.01], ['cat', 'dog'])
    by_file = PartialAsymmetricLoss(class_priors=str(file), likelihood_topk=0)
    assert by_file(x, y) == PartialAsymmetricLoss(class_priors=[0.3, 0.01], likelihood_topk=0)(x, y)
    assert by_file(x, y) != PartialAsymmetricLoss(likelihood_topk=0)(x, y)
    save_class_values(file, 'thresholds', [0.3, 0.01], ['cat', 'dog'])
    with pytest.raises(ValueError, match='priors.json is no file of priors'):
        PartialAsymmetricLoss(class_priors=file)
    with pytest.raises(FileNotFoundError, match='priors file .*none.json does not exist'):
        PartialAsymmetricLoss(class_priors=tmp_path / 'none.json')


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
