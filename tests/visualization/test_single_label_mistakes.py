"""Mistakes of a model of one label an image: by hand, against PyTorch, planted wrong labels."""

import numpy as np
import torch
import torch.nn.functional as F

from tresnet_mm.visualization import (
    class_confusion,
    doubtful_images,
    label_losses,
    wrong_images,
)

SCORES = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.9, 0.1, 0.0], [0.3, 0.3, 0.4]])
LABELS = np.array([0, 2, 1, 2])


def test_losses_are_those_of_pytorch():
    logits = np.random.default_rng(0).normal(0, 2, (9, 4))
    labels = np.random.default_rng(1).integers(0, 4, 9)
    expected = F.cross_entropy(torch.from_numpy(logits), torch.from_numpy(labels), reduction='none')
    scores = torch.from_numpy(logits).softmax(dim=1).numpy()
    np.testing.assert_allclose(label_losses(scores, labels), expected, rtol=1e-6)
    assert np.isfinite(label_losses(np.array([[0.0, 1.0]], np.float32), np.array([0]))).all()


def test_wrong_predictions_come_surest_first():
    assert wrong_images(SCORES, LABELS, 9) == [2, 1]
    assert wrong_images(SCORES, LABELS, 1) == [2]
    assert wrong_images(SCORES[:1], LABELS[:1], 9) == []


def test_confusion_by_hand():
    np.testing.assert_allclose(class_confusion(SCORES, LABELS), [[1, 0, 0], [1, 0, 0], [0, .5, .5]])
    assert np.isnan(class_confusion(SCORES[:1], LABELS[:1])[1:]).all()


def test_the_confident_joint_by_hand():
    """Thresholds 0.7 (of one image), 0.1 (of one), 0.35 (of 0.3 and 0.4).

    Image 1 reaches that of class 1, image 2 those of classes 0 and 1, and 0 is likelier.
    """
    assert doubtful_images(SCORES, LABELS, 9) == [(2, 0), (1, 1)]
    assert doubtful_images(SCORES, LABELS, 1) == [(2, 0)]


def test_planted_wrong_labels_are_the_candidates():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 300)
    logits = np.eye(4)[truth] * 4 + rng.normal(0, 0.3, (300, 4))  # the last class has no image
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    given, planted = truth.copy(), rng.choice(300, 12, replace=False)
    given[planted] = (given[planted] + 1) % 3
    found = dict(doubtful_images(scores, given, 99))
    assert found == {image: truth[image] for image in planted}
