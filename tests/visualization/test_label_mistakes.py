"""Which labels are mistakes: against hand-made cases, PyTorch's loss, and planted wrong labels."""

import numpy as np
import torch
import torch.nn.functional as F

from tresnet_mm.visualization import (
    co_occurrence,
    doubtful_labels,
    false_alarms,
    image_losses,
    label_confusion,
    label_mistakes,
    missed_labels,
)

HALF = np.array([0.5, 0.5])


def test_losses_are_those_of_pytorch():
    scores = np.random.default_rng(0).uniform(0.01, 0.99, (7, 4))
    targets = np.random.default_rng(1).integers(0, 2, (7, 4))
    expected = F.binary_cross_entropy(torch.from_numpy(scores), torch.from_numpy(targets).double(),
                                      reduction='none').sum(dim=1)
    found = image_losses(scores, targets, **label_mistakes.CROSS_ENTROPY)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    unknown = np.where(np.arange(4) == 2, -1, targets)
    without = image_losses(np.delete(scores, 2, 1), np.delete(targets, 2, 1))
    np.testing.assert_allclose(image_losses(scores, unknown), without, rtol=1e-6)


def test_certain_scores_have_a_finite_loss():
    assert np.isfinite(image_losses(np.array([[0.0, 1.0]], np.float32), np.array([[1, 0]]))).all()


def test_false_alarms_and_misses_come_worst_first():
    scores = np.array([[0.9, 0.6], [0.7, 0.2], [0.1, 0.95]])
    targets = np.array([[0, 1], [0, 1], [1, -1]])
    assert false_alarms(scores, targets, HALF, 9) == [(0, 0), (1, 0)]
    assert false_alarms(scores, targets, np.array([0.8, 0.5]), 9) == [(0, 0)]
    assert missed_labels(scores, targets, HALF, 9) == [(2, 0), (1, 1)]
    assert missed_labels(scores, targets, HALF, 1) == [(2, 0)]


def test_planted_wrong_labels_are_the_candidates():
    """A class whose scores are all low, one that is sure, and one without any positive."""
    rng = np.random.default_rng(0)
    truth = rng.random((200, 3)) < np.array([0.3, 0.3, 0.0])
    scores = np.where(truth, [0.3, 0.9, 0.5], [0.05, 0.1, 0.5]) + rng.uniform(-0.04, 0.04, (200, 3))
    given = truth.astype(int)
    planted = {(int(i), c) for c in (0, 1) for i in rng.choice(200, 4, replace=False)}
    for place in planted:
        given[place] = 1 - given[place]
    found = set(doubtful_labels(scores, given, 99))
    assert found <= planted
    assert found >= {place for place in planted if place[1] == 1}  # of the sure class all
    assert sum(c == 0 for _, c in found) >= 2  # of the other those beyond the mean score


def test_the_confident_joint_by_hand():
    """Thresholds: present 0.6 (mean of 0.8, 0.9, 0.1), absent 0.6 (mean of 0.8, 0.7, 0.3)."""
    scores = np.array([[0.8], [0.9], [0.1], [0.2], [0.3], [0.7]])
    targets = np.array([[1], [1], [1], [0], [0], [0]])
    assert doubtful_labels(scores, targets, 9) == [(2, 0), (5, 0)]
    unknown = np.where(np.arange(6)[:, None] == 5, -1, targets)
    assert doubtful_labels(scores, unknown, 9) == [(2, 0)]


def test_shares_given_a_class():
    targets = np.array([[1, 1, 0], [1, 0, 0], [1, -1, 0], [0, 1, 0]])
    together = co_occurrence(targets)
    np.testing.assert_allclose(together[0], [1, 1 / 2, 0])  # of the two whose class 1 is known
    np.testing.assert_allclose(together[1], [1 / 2, 1, 0])
    assert np.isnan(together[2]).all()
    scores = np.array([[0.9, 0.1, 0.9], [0.9, 0.9, 0.1], [0.1, 0.9, 0.1], [0.9, 0.9, 0.1]])
    confusion = label_confusion(scores, targets, np.full(3, 0.5))
    np.testing.assert_allclose(confusion[0], [2 / 3, 1 / 2, 1 / 3])
    np.testing.assert_allclose(confusion[1], [1, 1 / 2, 1 / 2])
