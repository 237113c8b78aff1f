"""Reliability against scikit-learn's curve and sums by hand."""

import numpy as np
import pytest

from tresnet_mm.evaluation import brier_score, class_errors, reliability

RNG = np.random.default_rng(0)
SCORES = RNG.random((300, 2)).astype(np.float32)
TARGETS = (RNG.random((300, 2)) < SCORES ** 2).astype(np.int8)


def test_frequencies_are_scikit_learns():
    sklearn = pytest.importorskip('sklearn.calibration')
    found = reliability(SCORES[:, 0], TARGETS[:, 0], bins=10)
    frequencies, scores = sklearn.calibration_curve(TARGETS[:, 0], SCORES[:, 0], n_bins=10)
    np.testing.assert_allclose(found.frequencies, frequencies)
    np.testing.assert_allclose(found.scores, scores)


def test_errors_by_hand():
    scores, targets = np.array([0.1, 0.2, 0.9, 0.8, 0.7]), np.array([0, 1, 1, 1, -1])
    found = reliability(scores, targets, bins=2)
    assert found.counts.tolist() == [2, 2]
    assert found.expected_error == pytest.approx((0.35 + 0.15) / 2)
    assert found.largest_error == pytest.approx(0.35)
    assert brier_score(scores, targets) == pytest.approx((0.01 + 0.64 + 0.01 + 0.04) / 4)


def test_bins_of_equal_mass_and_classes():
    assert sorted(reliability(SCORES, TARGETS, 7, 'mass').counts) == [85] * 2 + [86] * 5
    errors = class_errors(SCORES, np.stack([TARGETS[:, 0], -np.ones(300)], axis=1))
    assert errors[0] == reliability(SCORES[:, 0], TARGETS[:, 0]).expected_error
    assert np.isnan(errors[1])


@pytest.mark.parametrize('wrong', [dict(bins=0), dict(binning='other')])
def test_wrong_bins(wrong):
    with pytest.raises(ValueError, match='bin'):
        reliability(SCORES, TARGETS, **wrong)


def test_nothing_known_has_no_brier_score():
    assert np.isnan(brier_score(SCORES, np.full_like(TARGETS, -1)))
