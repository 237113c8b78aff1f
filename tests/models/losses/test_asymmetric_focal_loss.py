from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.registry import MODELS

from tests.lines import needs_compiler
from tresnet_mm.models.losses import AsymmetricFocalLoss, asymmetric_focal_loss
from tresnet_mm.models.losses.chunked_binary_loss import CPU_CHUNK_PER_THREAD

from .reference import gradient, plain_binary


def sample(num=40, num_classes=7, dtype=torch.float64, seed=0):
    """Logits, and classes of which about a third are background."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(num, num_classes, generator=generator, dtype=dtype) * 4
    classes = torch.randint(int(num_classes * 1.5), (num,), generator=generator)
    return logits.requires_grad_(), classes.clamp(max=num_classes)


def one_hot(classes, num_classes):
    return torch.nn.functional.one_hot(classes, num_classes + 1)[:, :num_classes]


@pytest.fixture(scope='module')
def mmdet_focal_loss():
    return pytest.importorskip('mmdet.models.losses').FocalLoss


@pytest.mark.parametrize('form', ['classes', 'one-hot', 'probabilities', 'one-hot probabilities'])
@pytest.mark.parametrize('gamma, alpha', [(2.0, 0.25), (1.5, 0.5), (0.0, 0.25), (3, 0.9)])
def test_equals_mmdets_focal_loss(mmdet_focal_loss, form, gamma, alpha):
    x, classes = sample()
    target = one_hot(classes, 7) if 'one-hot' in form else classes
    activated = 'probabilities' in form
    pred = x.detach().sigmoid().requires_grad_() if activated else x
    theirs = mmdet_focal_loss(gamma=gamma, alpha=alpha, loss_weight=1.5, activated=activated)
    ours = AsymmetricFocalLoss(
        gamma_pos=gamma, gamma_neg=gamma, alpha=alpha, loss_weight=1.5, activated=activated
    )
    weights = [None, torch.rand(40).double(), torch.rand(40, 7).double(), torch.rand(280).double()]
    calls = [dict(weight=weight) for weight in weights] + [
        dict(avg_factor=12.0),
        dict(avg_factor=torch.tensor(3.0), weight=weights[1]),
        dict(reduction_override='sum'),
        dict(reduction_override='none', weight=weights[2]),
    ]
    for call in calls:
        expected, loss = theirs(pred, target, **call), ours(pred, target, **call)
        torch.testing.assert_close(loss, expected, rtol=1e-7, atol=1e-10)
        torch.testing.assert_close(
            gradient(loss, pred), gradient(expected, pred), rtol=1e-6, atol=1e-10
        )


@pytest.mark.parametrize('activated', [False, True])
def test_saturated_predictions_equal_mmdets(mmdet_focal_loss, activated):
    logits = [-1000.0, -100, -60, -20, 0, 20, 60, 100, 1000]
    x = torch.tensor(logits).view(1, -1)
    x = (x.sigmoid() if activated else x).requires_grad_()
    for y in (torch.zeros_like(x), torch.ones_like(x)):
        expected = mmdet_focal_loss(activated=activated)(x, y, reduction_override='none')
        loss = AsymmetricFocalLoss(gamma_pos=2, activated=activated)(
            x, y, reduction_override='none'
        )
        torch.testing.assert_close(loss, expected)
        # mmdet's factors of a saturated probability's gradient underflow one before the other.
        torch.testing.assert_close(gradient(loss, x), gradient(expected, x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('form', ['classes', 'one-hot', 'soft'])
@pytest.mark.parametrize('clip', [0.0, 0.05])
@pytest.mark.parametrize('alpha', [None, 0.25])
def test_equals_the_definition_with_its_autograd_gradient(form, clip, alpha):
    x, classes = sample()
    dense = one_hot(classes, 7).double()
    if form == 'soft':
        dense = dense * torch.linspace(0.1, 1, 7, dtype=torch.float64)
    constants = dict(gamma_pos=1, gamma_neg=3.5, clip=clip, alpha=alpha)
    target = classes if form == 'classes' else dense
    loss = asymmetric_focal_loss(x, target, reduction='none', **constants)
    expected = plain_binary(x, dense, eps=0, **constants)
    torch.testing.assert_close(loss, expected)
    expected_grad = gradient(expected, x)
    torch.testing.assert_close(gradient(loss, x), expected_grad)
    p = x.detach().sigmoid().requires_grad_()
    from_probs = asymmetric_focal_loss(
        p, target, reduction='none', activated=True, **constants
    )
    torch.testing.assert_close(from_probs, expected.detach())
    through_sigmoid = gradient(from_probs, p) * p * (1 - p)
    torch.testing.assert_close(through_sigmoid, expected_grad, rtol=1e-6, atol=1e-9)


def test_gradcheck():
    x, classes = sample(5, 3)
    p = x.detach().sigmoid().requires_grad_()
    for pred, activated in ((x, False), (p, True)):
        assert torch.autograd.gradcheck(
            lambda pred, activated=activated: asymmetric_focal_loss(
                pred, classes, gamma_pos=1.5, clip=0.05, reduction='none', activated=activated
            ),
            (pred,),
        )


def test_chunks_do_not_show():
    num = 2 * CPU_CHUNK_PER_THREAD * torch.get_num_threads() // 50 + 3
    x, classes = sample(num, 50, torch.float32)
    loss = asymmetric_focal_loss(x, classes, reduction='sum')
    dense = one_hot(classes, 50).double()
    expected = plain_binary(x.double(), dense, 2, 2, 0, eps=0, alpha=0.25)
    assert loss.item() == pytest.approx(expected.sum().item(), rel=1e-5)
    torch.testing.assert_close(gradient(loss, x), gradient(expected, x), rtol=1e-4, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    logits=st.lists(st.floats(-200, 200), min_size=1, max_size=8),
    gammas=st.tuples(st.floats(0, 8), st.floats(0, 8)),
    clip=st.one_of(st.just(0.0), st.floats(0.001, 0.9)),
    label=st.integers(0, 8),
    activated=st.booleans(),
    dtype=st.sampled_from([torch.float16, torch.bfloat16, torch.float32]),
)
def test_any_input_has_finite_loss_and_gradient(logits, gammas, clip, label, activated, dtype):
    x = torch.tensor([logits]).to(dtype)
    x = (x.sigmoid() if activated else x).requires_grad_()
    classes = torch.tensor([min(label, x.shape[1])])
    constants = dict(gamma_pos=gammas[0], gamma_neg=gammas[1], clip=clip, activated=activated)
    for target in (classes, one_hot(classes, x.shape[1])):
        loss = asymmetric_focal_loss(x, target, reduction='sum', **constants)
        assert loss.dtype == torch.float32 and loss.isfinite() and loss >= 0
        loss.backward()
        # Half precision cannot hold the slope of log p at p = 0.
        assert activated or x.grad.isfinite().all()
        assert not x.grad.isnan().any()


@pytest.mark.parametrize('classes', [[7, 7, 7], [0, 7, 6], []])
def test_background_only_and_empty(classes):
    classes = torch.tensor(classes, dtype=torch.long)
    x = torch.zeros(len(classes), 7, requires_grad=True)
    loss = AsymmetricFocalLoss()(x, classes, avg_factor=1)
    expected = plain_binary(x, one_hot(classes, 7), 2, 1, 0, eps=0, alpha=0.25).sum()
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert x.grad.shape == x.shape


def test_classes_are_not_expanded():
    x, classes = sample(64, 20)
    saved = []
    hooks = torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: saved.append(tensor) or tensor, lambda tensor: tensor
    )
    with hooks:
        AsymmetricFocalLoss()(x, classes, torch.ones(64))
    large = {tensor.data_ptr() for tensor in saved if tensor.untyped_storage().nbytes() > 64 * 8}
    assert large == {x.data_ptr()}


def test_autocast_computes_in_float32():
    x, classes = sample(dtype=torch.float32)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = AsymmetricFocalLoss()(x, classes)
    torch.testing.assert_close(loss, AsymmetricFocalLoss()(x, classes), rtol=0, atol=0)


@needs_compiler
def test_compiles_without_graph_breaks():
    torch.compiler.reset()
    x, classes = sample()
    module = AsymmetricFocalLoss(clip=0.05)
    compiled = torch.compile(module, backend='aot_eager', fullgraph=True)
    loss = compiled(x, classes, avg_factor=5.0)
    torch.testing.assert_close(loss, module(x, classes, avg_factor=5.0))
    torch.testing.assert_close(gradient(loss, x), gradient(module(x, classes, avg_factor=5.0), x))


def test_built_by_mmdets_config_keys():
    config = dict(type='AsymmetricFocalLoss', use_sigmoid=True, gamma_pos=0.5, clip=0.02)
    x, classes = sample()
    loss = MODELS.build(config)
    assert loss.use_sigmoid is True
    expected = asymmetric_focal_loss(x, classes, gamma_pos=0.5, clip=0.02)
    torch.testing.assert_close(loss(x, classes), expected)


def test_defaults_are_the_focal_losses_but_for_the_modules_exponent():
    x, classes = sample()
    dense = one_hot(classes, 7).double()
    for loss_of, gamma_pos in ((asymmetric_focal_loss, 2), (AsymmetricFocalLoss(), 1)):
        expected = plain_binary(x, dense, 2, gamma_pos, 0, eps=0, alpha=0.25).mean()
        torch.testing.assert_close(loss_of(x, classes), expected)


def test_module_takes_all_constants():
    x, classes = sample()
    p = x.detach().sigmoid()
    constants = dict(gamma_pos=3, gamma_neg=4, alpha=None, clip=0.1, reduction='none',
                     activated=True, validate=False)
    loss = AsymmetricFocalLoss(loss_weight=3, **constants)(p, classes)
    torch.testing.assert_close(loss, 3 * asymmetric_focal_loss(p, classes, **constants))
    expected = plain_binary(x, one_hot(classes, 7).double(), 4, 3, 0.1, eps=0)
    torch.testing.assert_close(loss, 3 * expected)


def test_targets_are_checked_where_wanted():
    wrong = torch.full((3, 4), 2.0)
    for loss_of in (asymmetric_focal_loss, AsymmetricFocalLoss()):
        with pytest.raises(ValueError, match='target 2.0 is outside'):
            loss_of(torch.zeros(3, 4), wrong)
    asymmetric_focal_loss(torch.zeros(3, 4), wrong, validate=False)
    AsymmetricFocalLoss(validate=False)(torch.zeros(3, 4), wrong)


def test_bad_input_is_named():
    x, classes = sample(3, 4)
    with pytest.raises(ValueError, match='use_sigmoid'):
        AsymmetricFocalLoss(use_sigmoid=False)
    with pytest.raises(ValueError, match='clip'):
        AsymmetricFocalLoss(clip=1.5)
    for loss_of in (AsymmetricFocalLoss, partial(asymmetric_focal_loss, x, classes)):
        for name, value in [('gamma_pos', -1), ('gamma_neg', -1), ('clip', -0.1),
                            ('reduction', 'max')]:
            with pytest.raises(ValueError, match=f'{name} must be .* got {value!r}'):
                loss_of(**{name: value})
    with pytest.raises(ValueError, match='avg_factor can not be used'):
        asymmetric_focal_loss(x, classes, reduction='sum', avg_factor=2)
    with pytest.raises(ValueError, match='class target 5'):
        asymmetric_focal_loss(x, torch.tensor([0, 5, 1]))
    with pytest.raises(ValueError, match='class target -1'):
        asymmetric_focal_loss(x, torch.tensor([0, -1, 1]))
    with pytest.raises(ValueError, match='target 2.0 is outside'):
        asymmetric_focal_loss(x, torch.full((3, 4), 2.0))
    with pytest.raises(TypeError, match='must be integers'):
        asymmetric_focal_loss(x, classes.float())
    with pytest.raises(ValueError, match='do not fit predictions'):
        asymmetric_focal_loss(x, classes[:2])
    with pytest.raises(ValueError, match='weight of shape'):
        asymmetric_focal_loss(x, classes, torch.ones(2))
    with pytest.raises(ValueError, match=r'predictions must be \(N, C\)'):
        asymmetric_focal_loss(x[0], classes)
