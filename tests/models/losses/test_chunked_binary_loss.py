"""The chunks, and what is checked before them; the values are tested with the losses."""

from types import SimpleNamespace

import pytest
import torch

from tresnet_mm.models.losses import chunked_binary_loss as module
from tresnet_mm.models.losses.asymmetric_term import AsymmetricTerm
from tresnet_mm.models.losses.chunked_binary_loss import (
    check_range,
    chunked_binary_loss,
    row_chunks,
)

from .conventions import draw
from .reference import gradient, plain_binary

TERM = AsymmetricTerm(1, 2, 0.1)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Three rows of four classes are a chunk on the CPU, and two on an accelerator."""
    monkeypatch.setattr(module, 'CPU_CHUNK_PER_THREAD', 6)
    monkeypatch.setattr(module, 'ACCELERATOR_CHUNK', 8)
    monkeypatch.setattr(torch, 'get_num_threads', lambda: 2)


def starts(num_rows, num_classes, is_cuda=False):
    chunks = list(row_chunks(SimpleNamespace(shape=(num_rows, num_classes), is_cuda=is_cuda)))
    step = chunks[0].stop - chunks[0].start if chunks else 0
    assert chunks == [slice(chunk.start, chunk.start + step) for chunk in chunks]
    return [chunk.start for chunk in chunks]


def test_chunks_of_rows(monkeypatch):
    assert starts(10, 4) == [0, 3, 6, 9]
    assert starts(9, 4) == [0, 3, 6]
    assert starts(3, 100) == [0, 1, 2]
    assert starts(25, 1) == [0, 12, 24]
    assert starts(5, 4, is_cuda=True) == [0, 2, 4]
    assert starts(9, 1, is_cuda=True) == [0, 8]
    for is_cuda in (False, True):
        assert starts(0, 4, is_cuda) == starts(4, 0, is_cuda) == []
    monkeypatch.setattr(module, 'is_compiling', lambda: True)
    assert starts(10, 4) == [0]
    assert starts(0, 4) == []


@pytest.mark.parametrize('dtype', [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize('kind', ['classes', 'bool', 'hard', 'soft'])
@pytest.mark.parametrize('validate', [False, True])
def test_the_sum_and_the_entries_are_the_formulas(kind, dtype, validate):
    x, y = draw((10, 4), kind == 'soft')
    x = x.detach().to(dtype).requires_grad_()
    target = {'bool': y.bool()}.get(kind, y)
    if kind == 'classes':
        target = torch.arange(10) % 5  # 4 is background
        y = torch.nn.functional.one_hot(target, 5)[:, :4].double()
    weight = torch.rand(10, 4)
    exact = x.detach().double().requires_grad_()
    near = {} if dtype == torch.float64 else dict(rtol=1e-5, atol=1e-6)
    for factors in (None, weight, weight[:, :1], weight[:1]):
        expected = plain_binary(exact, y, 2, 1, 0.1, eps=0) * (1 if factors is None else factors)
        loss = chunked_binary_loss(x, target, TERM, weight=factors, reduce=False, validate=validate)
        assert loss.dtype == torch.promote_types(dtype, torch.float32)
        torch.testing.assert_close(loss.double(), expected, **near)
        upstream = torch.rand(10, 4)
        near_grad = dict(rtol=1e-2, atol=1e-3) if dtype == torch.bfloat16 else near
        slope = torch.autograd.grad((expected * upstream).sum(), exact, retain_graph=True)[0]
        torch.testing.assert_close(gradient(loss * upstream, x).double(), slope, **near_grad)
        total = chunked_binary_loss(x, target, TERM, weight=factors, validate=validate)
        assert total.dtype == loss.dtype
        torch.testing.assert_close(total.double(), expected.sum(), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(gradient(3 * total, x).double(), gradient(3 * expected, exact),
                                   **near_grad)


@pytest.mark.parametrize('validate', [False, True])
def test_targets_of_the_ignore_value_count_nothing(validate):
    x, y = draw((10, 4))
    unknown = draw((10, 4), seed=3)[1] > 0
    loss = chunked_binary_loss(x, y.masked_fill(unknown, -1), TERM, ignore_index=-1, reduce=False,
                               validate=validate)
    expected = plain_binary(x, y, 2, 1, 0.1, eps=0) * ~unknown
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(gradient(loss, x), gradient(expected, x))


@pytest.mark.parametrize('shape', [(0, 4), (3, 0)])
@pytest.mark.parametrize('dtype', [torch.float64, torch.bfloat16])
def test_of_nothing_it_is_0(shape, dtype):
    x = torch.zeros(shape, dtype=dtype, requires_grad=True)
    loss = chunked_binary_loss(x, torch.zeros(shape), TERM)
    assert loss == 0 and loss.dtype == torch.promote_types(dtype, torch.float32)
    assert gradient(loss, x).shape == shape
    assert chunked_binary_loss(x, torch.zeros(shape), TERM, reduce=False).shape == shape
    assert chunked_binary_loss(x, torch.zeros(shape[0], dtype=torch.long), TERM) == 0


def test_range_of_targets():
    hard, soft = torch.tensor([[0.0, 1], [1, 1]]), torch.tensor([[0.0, 1], [0.5, 1]])
    late = torch.cat([hard.repeat(9, 1), soft])  # in the last chunk
    assert check_range(hard, None) and check_range(hard, -1)
    for targets in (soft, late, late.flip(0), late - 1.5 * (late == 0.5)):
        assert not check_range(targets, -1)
    for wrong in (-0.5, 1.5, -1.0, float('nan')):
        for ignore_index, words in ((None, ''), (-2, ' or -2 for unknown labels')):
            with pytest.raises(ValueError) as caught:
                check_range(torch.cat([late, torch.tensor([[1, wrong]])]), ignore_index)
            assert str(caught.value) == (f'target {wrong} is outside [0, 1]; expected '
                                         f'probabilities in [0, 1]{words}')


@pytest.mark.parametrize('wrong', [-1, 5])
def test_classes_out_of_range_are_named(wrong):
    classes = torch.tensor([0, 4, wrong])
    with pytest.raises(ValueError, match=rf'class target {wrong} is outside \[0, 4\], where 4 '):
        chunked_binary_loss(torch.zeros(3, 4), classes, TERM)


def test_what_does_not_fit_is_named():
    x = torch.zeros(3, 4)
    with pytest.raises(TypeError, match='predictions must be floating point, got torch.int64'):
        chunked_binary_loss(x.long(), x, TERM)
    for pred in (x[0], x[None]):
        with pytest.raises(ValueError, match=r'predictions must be \(N, C\), got shape'):
            chunked_binary_loss(pred, pred, TERM)
    for classes in (torch.zeros(3), torch.zeros(3, dtype=torch.bool)):
        with pytest.raises(TypeError, match=r'class targets of shape \(N,\) must be integers'):
            chunked_binary_loss(x, classes, TERM)
    for target in (torch.zeros(4, dtype=torch.long), torch.zeros(3, 5), torch.zeros(3, 4, 1)):
        with pytest.raises(ValueError, match=r'do not fit .* the same shape or \(3,\)'):
            chunked_binary_loss(x, target, TERM)
    constant = torch.zeros(3, 4, requires_grad=True)
    with pytest.raises(ValueError, match='targets must not require a gradient'):
        chunked_binary_loss(x, constant, TERM)
    with pytest.raises(ValueError, match='weight must not require a gradient'):
        chunked_binary_loss(x, x, TERM, weight=constant)
