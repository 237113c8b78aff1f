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
@pytest.mark.parametrize('kind', ['shared', 'temperature', 'platt'])
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


def without_bias(scores, targets) -> float:
    """The slope of a logistic regression through the origin, of scikit-learn."""
    sklearn = pytest.importorskip('sklearn.linear_model')
    found = sklearn.LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000, fit_intercept=False).fit(
        logits_of(scores)[:, None], targets)
    return found.coef_[0, 0]


def test_the_shared_temperature_is_of_all_known_targets_together():
    scores, targets = sigmoid(LOGITS[:500] * [2, 3] + [1, 0]), TARGETS[:500].copy()
    targets[::7, 0] = -1
    scaling = fit_scaling(scores, targets, 'shared')
    wanted = without_bias(scores[targets != -1], targets[targets != -1])
    np.testing.assert_allclose([scaling.shared, *scaling.scale], wanted, rtol=1e-4)
    assert scaling.bias.tolist() == [0, 0] and not scaling.left


@pytest.mark.parametrize('kind', ['temperature', 'platt'])
def test_classes_that_have_no_fit_of_their_own_have_the_shared_one(kind):
    """Of eight classes; the first two, alone, are fitted as if the others were not there."""
    scores = np.tile(sigmoid(2 * LOGITS[:400]), (1, 4))
    targets = np.tile(TARGETS[:400], (1, 4))
    few = np.flatnonzero(targets[:, 2])[9:]  # nine positives are left
    targets[few, 2] = 0
    targets[:, 3], targets[:, 4], targets[:, 5] = 0, 1, -1
    targets[:, 6] = scores[:, 6] > 0.3
    targets[:, 7] = scores[:, 7] < 0.02
    scaling = fit_scaling(scores, targets, kind)
    assert {c: why.partition(' (')[0] for c, why in scaling.left.items()} == {
        2: 'only 9 known positives', 3: 'no known positives', 4: 'no known negatives',
        5: 'no known positives', 7: 'its scores do not rise with its targets', **(
            {6: 'its scores separate its targets'} if 6 in scaling.left else {})}
    known = targets != -1
    assert scaling.shared == pytest.approx(without_bias(scores[known], targets[known]), rel=1e-4)
    left = list(scaling.left)
    np.testing.assert_allclose(scaling.scale[left], scaling.shared, rtol=1e-6)
    assert not scaling.bias[left].any()
    alone = fit_scaling(scores[:, :2], targets[:, :2], kind)
    np.testing.assert_array_equal(scaling.scale[:2], alone.scale)
    assert 2 not in fit_scaling(scores, targets, kind, fewest=9).left


def test_where_nothing_can_be_fitted_all_stay():
    scores = sigmoid(LOGITS[:50])
    for kind in ('shared', 'temperature', 'platt'):
        scaling = fit_scaling(scores, np.zeros((50, 2), np.int8), kind)
        assert scaling.shared is None and scaling.left == dict.fromkeys(
            (0, 1), 'no known positives')
        np.testing.assert_array_equal([scaling.scale, scaling.bias], [[1, 1], [0, 0]])


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


def test_a_fit_wants_at_least_one_image():
    with pytest.raises(ValueError, match='fewest should be at least 1, got 0'):
        fit_scaling(np.ones((2, 1)) / 2, np.array([[0], [1]]), fewest=0)
