from functools import partial

import pytest
import torch

from tresnet_mm.class_values import save_class_values
from tresnet_mm.models.losses import PartialAsymmetricLoss, partial_asymmetric_loss

from .conventions import check_constant, check_formula, check_module, draw
from .reference import gradient, plain_binary


@pytest.mark.parametrize('soft', [False, True])
@pytest.mark.parametrize('constants', [
    {}, dict(gamma_neg=3, gamma_pos=1, clip=0.05), dict(clip=None, eps=0.5)], ids=str)
def test_equals_the_asymmetric_loss_where_unannotated_entries_are_ignored(constants, soft):
    formula = dict(gamma_neg=1, gamma_pos=0, clip=0, detach_weights=True) | constants
    formula['clip'] = formula['clip'] or 0
    check_formula(partial(partial_asymmetric_loss, mode='ignore', **constants),
                  partial(plain_binary, **formula), soft)


class TestUnannotated:
    """Half of three images' entries: what is made of them by mode, priors and likelihood."""

    def setup_method(self):
        self.x, self.y = draw((3, 4))
        self.y[:, :2] = -1
        known = self.y != -1
        detached = dict(gamma_pos=0, clip=0, detach_weights=True)
        annotated = plain_binary(self.x, self.y, 1, **detached)
        self.annotated = annotated * (2 * self.y + 3 * (1 - self.y)) * known
        absent = torch.zeros_like(self.y)
        self.others = 0.5 * plain_binary(self.x, absent, 2, **detached) * ~known

    def loss(self, **kwargs):
        alphas = dict(alpha_pos=2, alpha_neg=3, alpha_unann=0.5)
        return partial_asymmetric_loss(self.x, self.y, **alphas, **kwargs)

    def check(self, expected, **kwargs):
        loss = self.loss(reduction='none', **kwargs)
        torch.testing.assert_close(loss, expected)
        slope = torch.autograd.grad(expected.sum(), self.x, retain_graph=True)[0]
        torch.testing.assert_close(gradient(loss, self.x), slope)

    def test_modes(self):
        self.check(self.annotated, mode='ignore')
        self.check(self.annotated + self.others, mode='negative')
        self.check(self.annotated + self.others, likelihood_topk=0)
        self.check(self.annotated, likelihood_topk=100)

    def test_classes_of_a_prior_above_the_threshold_are_left_out(self):
        kept = self.others * torch.tensor([0, 1, 1, 1])
        self.check(self.annotated + kept, class_priors=[0.2, 0.05, 0.9, 0.9], likelihood_topk=0)
        self.check(self.annotated + kept, class_priors=[1, 0, 0.9, 0.9], likelihood_topk=0)
        self.check(self.annotated + self.others, class_priors=[0.2, 0.05, 0.9, 0.9],
                   prior_threshold=0.2, likelihood_topk=0)

    def test_the_highest_logits_are_left_out_one_a_image(self):
        kept = self.others.clone()
        for index in self.x.masked_fill(self.y != -1, -torch.inf).flatten().topk(3).indices:
            kept[index // 4, index % 4] = 0
        assert (kept > 0).sum() == 3
        self.check(self.annotated + kept, likelihood_topk=1)
        kept[:, 1] = 0
        self.check(self.annotated + kept, likelihood_topk=1, class_priors=[0, 1, 1, 1])

    def test_all_entries_count_in_a_mean_but_those_ignored(self):
        both = (self.annotated + self.others).sum()
        torch.testing.assert_close(self.loss(mode='negative', reduction='mean'), both / 12)
        torch.testing.assert_close(self.loss(likelihood_topk=100, reduction='mean'),
                                   self.annotated.sum() / 12)
        torch.testing.assert_close(self.loss(mode='ignore', reduction='mean'),
                                   self.annotated.sum() / 6)

    def test_weights(self):
        weight = torch.rand(3, 4, dtype=torch.float64)
        torch.testing.assert_close(self.loss(mode='negative', weight=weight),
                                   ((self.annotated + self.others) * weight).sum())


@pytest.mark.parametrize('constants', [dict(clip=0.1), dict(clip=0, eps=0.5)], ids=str)
def test_unannotated_entries_have_an_exponent_of_their_own_and_the_negatives_margin(constants):
    x, unknown = draw()[0], torch.full((6, 4), -1)
    loss = partial_asymmetric_loss(x, unknown, mode='negative', gamma_unann=3, **constants)
    expected = plain_binary(x, torch.zeros(6, 4), 3, 0, detach_weights=True, **constants)
    torch.testing.assert_close(loss, expected.sum())
    torch.testing.assert_close(gradient(loss, x), gradient(expected, x))


def test_on_a_device_that_is_not_looked_at():
    x, y = (tensor.to('meta') for tensor in draw())
    loss = partial_asymmetric_loss(x, y, class_priors=[0.5] * 4)
    assert loss.device.type == 'meta'


def test_module():
    check_module(
        PartialAsymmetricLoss, partial_asymmetric_loss, mode='negative', gamma_pos=1, gamma_neg=2,
        gamma_unann=0, alpha_pos=2, alpha_neg=3, alpha_unann=4, clip=0.1, class_priors=[0, 1, 0, 1],
        prior_threshold=0.5, likelihood_topk=0, eps=0.01, reduction='mean')


@pytest.mark.parametrize('name, value', [
    ('mode', 'some'), ('gamma_pos', -1), ('gamma_neg', -1), ('gamma_unann', -0.1), ('clip', 1),
    ('eps', 1), ('likelihood_topk', -1), ('reduction', 'max')])
def test_a_constant_out_of_range_is_named(name, value):
    check_constant(PartialAsymmetricLoss, partial_asymmetric_loss, name, value)


@pytest.mark.parametrize('prior', [-0.1, 1.1])
def test_a_prior_is_a_probability(prior):
    with pytest.raises(ValueError, match=rf'class_priors must lie in \[0, 1\], got {prior}'):
        PartialAsymmetricLoss(class_priors=[0.5, prior])


def test_priors_are_as_many_as_the_classes():
    with pytest.raises(ValueError, match='2 class_priors for 4 classes'):
        partial_asymmetric_loss(*draw(), class_priors=[0.1, 0.2])


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
