import pytest
import torch

from tresnet_mm.models.losses import chunked_binary_loss
from tresnet_mm.models.losses.chunked_single_label_loss import chunked_single_label_loss

from .conventions import draw
from .reference import gradient, plain_single_label


def loss_of(logits, targets, weight=None, **constants):
    return chunked_single_label_loss(logits, targets, weight, **(dict(
        gamma_pos=1, gamma_neg=2, label_smoothing=0.2, ignore_index=-1, validate=None) | constants))


@pytest.mark.parametrize('dtype', [torch.float64, torch.bfloat16])
@pytest.mark.parametrize('gamma_pos, gamma_neg, smoothing', [
    (1, 2, 0.2), (0, 4, 0.1), (2, 0, 0.3), (1.5, 2.5, 0)])
def test_chunks_of_samples_are_the_formula(gamma_pos, gamma_neg, smoothing, dtype, monkeypatch):
    monkeypatch.setattr(chunked_binary_loss, 'CPU_CHUNK_PER_THREAD', 12)
    x = draw((10, 4))[0].detach().to(dtype).requires_grad_()
    exact = x.detach().double().requires_grad_()
    classes = torch.arange(10) % 4
    unknown = classes.masked_fill(torch.arange(10) % 3 == 1, 255)
    near = {} if dtype == torch.float64 else dict(rtol=1e-5, atol=1e-6)
    near_grad = {} if dtype == torch.float64 else dict(rtol=1e-2, atol=1e-3)
    weight, upstream = torch.rand(10), torch.rand(10)
    for factors, scale in ((None, 1), (weight, weight), (weight[:, None], weight)):
        loss = loss_of(x, unknown, factors, gamma_pos=gamma_pos, gamma_neg=gamma_neg,
                       label_smoothing=smoothing, ignore_index=255)
        expected = plain_single_label(exact, classes, gamma_neg, gamma_pos, smoothing) * scale
        expected = expected * (unknown != 255)
        assert loss.dtype == torch.promote_types(dtype, torch.float32)
        torch.testing.assert_close(loss.double(), expected, **near)
        torch.testing.assert_close(gradient(loss * upstream, x).double(),
                                   gradient(expected * upstream, exact), **near_grad)


def test_on_a_device_that_is_not_looked_at():
    x, classes = torch.zeros(3, 4, device='meta'), torch.zeros(3, dtype=torch.int32, device='meta')
    assert loss_of(x, classes).device.type == 'meta'


def test_an_ignored_sample_needs_no_second_class():
    loss = loss_of(torch.zeros(2, 1), torch.tensor([-1, 0]), label_smoothing=0)
    assert loss.tolist() == [0, 0]


def test_targets_of_any_integers():
    x, classes = draw()[0], torch.tensor([0, 1, 2, 3, 0, 1])
    for dtype in (torch.int32, torch.uint8, torch.int8):
        torch.testing.assert_close(loss_of(x, classes.to(dtype)), loss_of(x, classes))


@pytest.mark.parametrize('wrong', [-2, 4, 255])
def test_targets_out_of_range_are_named(wrong):
    with pytest.raises(ValueError) as caught:
        loss_of(torch.zeros(3, 4), torch.tensor([-1, 3, wrong]))
    assert str(caught.value) == (f'target {wrong} is outside [0, 4), the classes of the logits, '
                                 'and not -1, which is ignored')


def test_what_does_not_fit_is_named():
    x, classes = torch.zeros(3, 4), torch.tensor([0, 1, 2])
    with pytest.raises(TypeError, match='logits must be floating point, got torch.int64'):
        loss_of(x.long(), classes)
    for dtype in (torch.float32, torch.bool):
        with pytest.raises(TypeError, match=f'targets must be integer classes, got {dtype}'):
            loss_of(x, classes.to(dtype))
    for logits, targets in ((x, classes[:2]), (x[0], classes[0]), (x[None], classes[None])):
        with pytest.raises(ValueError, match=r'expected logits \(N, C\) and targets \(N,\), got'):
            loss_of(logits, targets)
    for name, value in [('gamma_pos', -1), ('gamma_neg', -1), ('label_smoothing', 1.0),
                        ('label_smoothing', -0.1)]:
        with pytest.raises(ValueError, match=f'gammas must be .*{name}={value}'):
            loss_of(x, classes, **{name: value})
    with pytest.raises(ValueError, match='weight must not require a gradient'):
        loss_of(x, classes, torch.ones(3, requires_grad=True))
    for shape in ((4, ), (3, 4), (1, 3)):
        with pytest.raises(ValueError, match=r'weight of shape .* does not fit 3 samples'):
            loss_of(x, classes, torch.ones(shape))
