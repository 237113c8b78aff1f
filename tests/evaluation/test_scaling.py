"""Temperature and Platt scaling against scikit-learn, and scores whose temperature is known."""

import numpy as np
import pytest

from tresnet_mm.evaluation import average_precision, fit_scaling, logits_of, reliability

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(-1, 1.5, (20000, 2))
TARGETS = (RNG.random(LOGITS.shape) < 1 / (1 + np.exp(-LOGITS))).astype(np.int8)


def sigmoid(logits):
    return (1 / (1 + np.exp(-logits))).astype(np.float32)


@pytest.mark.parametrize('temperature', [0.4, 1, 2.5])
@pytest.mark.parametrize('kind', ['temperature', 'platt'])
def test_a_known_temperature_is_found_again(kind, temperature):
    scores = sigmoid(LOGITS * temperature)
    scaling = fit_scaling(scores, TARGETS, kind)
    np.testing.assert_allclose(scaling.scale, 1 / temperature, rtol=0.05)
    np.testing.assert_allclose(scaling.bias, 0, atol=0.06)
    after = scaling(scores)
    assert reliability(after, TARGETS).expected_error < 0.01
    if temperature != 1:
        assert reliability(scores, TARGETS).expected_error > 0.03
    np.testing.assert_allclose(average_precision(after, TARGETS),
                               average_precision(scores, TARGETS), atol=1e-4)


def test_platt_without_smoothing_is_logistic_regression():
    sklearn = pytest.importorskip('sklearn.linear_model')
    scores, targets = sigmoid(2 * LOGITS[:500] + 1), TARGETS[:500].copy()
    targets[::7, 0] = -1
    scaling = fit_scaling(scores, targets, 'platt', smooth=False)
    for c in range(2):
        known = targets[:, c] != -1
        found = sklearn.LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(
            logits_of(scores[known, c])[:, None], targets[known, c])
        np.testing.assert_allclose(scaling.scale[c], found.coef_[0, 0], rtol=1e-4)
        np.testing.assert_allclose(scaling.bias[c], found.intercept_[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('kind', ['temperature', 'platt'])
def test_classes_that_cannot_be_fitted_stay(kind):
    scores = np.tile(sigmoid(LOGITS[:200, :1]), (1, 4))
    targets = np.stack([np.zeros(200), np.ones(200), -np.ones(200), scores[:, 0] < 0.3], axis=1)
    scaling = fit_scaling(scores, targets.astype(np.int8), kind)
    assert [scaling.left[c] for c in range(3)] == [
        'no known positives', 'no known negatives', 'no known positives']
    assert scaling.scale[:3].tolist() == [1] * 3 and scaling.bias[:3].tolist() == [0] * 3
    assert 3 in scaling.left or scaling.scale[3] > 0
    if kind == 'platt':
        assert 'do not rise' in scaling.left[3]


def test_saturated_scores_have_finite_logits():
    found = logits_of(np.array([0, 1e-30, 0.25, 1], dtype=np.float32))
    np.testing.assert_allclose(found, [-87.34, -69.08, np.log(1 / 3), 17.33], atol=0.01)


def test_an_unknown_kind_of_scaling_is_named():
    with pytest.raises(ValueError, match="'temperature' or 'platt', got 'isotonic'"):
        fit_scaling(np.ones((2, 1)) / 2, np.array([[0], [1]]), 'isotonic')


def test_where_a_whole_step_is_too_long_a_shorter_one_is_taken():
    """From slope 1, Newton's first step for these overshoots: the cross entropy would rise."""
    logits = np.array([-9., -8.5, 8., 9., -9.5, 8.7] * 5)
    targets = np.array([0, 1, 1, 0, 0, 1] * 5)
    found = fit_scaling(sigmoid(logits)[:, None], targets[:, None], 'temperature')
    slopes = np.linspace(0.01, 1, 2000)
    loss = [np.sum(np.logaddexp(0, a * logits) - targets * a * logits) for a in slopes]
    assert found.scale[0] == pytest.approx(slopes[np.argmin(loss)], abs=1e-3)
