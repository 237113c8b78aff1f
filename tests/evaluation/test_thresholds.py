"""Thresholds chosen on scores: optimal by exhaustive search."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tresnet_mm.evaluation import (
    best_f1_thresholds,
    load_thresholds,
    thresholds_at_precision,
    thresholds_at_recall,
)


def f1(scores, targets, threshold):
    known = targets != -1
    predicted, positive = scores[known] > threshold, targets[known] == 1
    return 2 * (predicted & positive).sum() / max(1, predicted.sum() + positive.sum())


SCORES = arrays(np.float32, st.integers(1, 12), elements=st.floats(0, 1, width=32))


@settings(max_examples=40, deadline=None)
@given(SCORES, st.data())
def test_no_threshold_is_better(scores, data):
    targets = data.draw(arrays(np.int8, len(scores), elements=st.sampled_from([-1, 0, 1])))
    thresholds, best = best_f1_thresholds(scores[:, None], targets[:, None])
    if not (targets == 1).any():
        assert thresholds[0] == 0.5 and np.isnan(best[0])
        return
    # a score of exactly 0 cannot lie above any threshold in [0, 1]
    if (scores > 0).all():
        assert f1(scores, targets, thresholds[0]) == pytest.approx(best[0])
        candidates = [0.0, *np.nextafter(scores, np.float32(-1)), *scores]
        assert best[0] >= max(f1(scores, targets, np.float32(t)) for t in candidates) - 1e-12


def measures(scores, targets, threshold):
    """Precision and recall."""
    known = targets != -1
    predicted, positive = scores[known] > threshold, targets[known] == 1
    hits = (predicted & positive).sum()
    return hits / max(1, predicted.sum()), hits / positive.sum()


@settings(max_examples=80, deadline=None)
@given(SCORES, st.data(), st.sampled_from([0.3, 0.5, 0.8, 1.0]), st.booleans())
def test_no_threshold_keeps_to_the_wanted_and_is_better(scores, data, wanted, of_precision):
    targets = data.draw(arrays(np.int8, len(scores), elements=st.sampled_from([-1, 0, 1])))
    find = thresholds_at_precision if of_precision else thresholds_at_recall
    thresholds, reached = find(scores[:, None], targets[:, None], wanted)
    if not (targets == 1).any():
        assert thresholds[0] == 0.5 and np.isnan(reached[0])
        return

    def order(threshold):
        precision, recall = measures(scores, targets, threshold)
        kept, other = (precision, recall) if of_precision else (recall, precision)
        return (1, other) if kept >= wanted else (0, kept)
    best = order(thresholds[0])
    assert reached[0] == measures(scores, targets, thresholds[0])[not of_precision]
    candidates = [0.0, *np.clip(np.nextafter(scores, np.float32(-1)), 0, 1), *scores]
    assert best >= max(order(np.float32(t)) for t in candidates)


def test_tool_improves_f1(tmp_path, repo_root):
    rng = np.random.default_rng(0)
    targets = (rng.random((200, 3)) < 0.2).astype(np.int8)
    scores = (0.3 * targets + 0.4 * rng.random((200, 3))).astype(np.float32)  # all below 0.7
    np.savez(tmp_path / 's.npz', scores=scores, targets=targets, classes=['a', 'b', 'c'],
             images=[f'{i}.jpg' for i in range(200)])
    run = subprocess.run([sys.executable, repo_root / 'tools/analysis/choose_thresholds.py',
                          's.npz', 't.json'], cwd=tmp_path, capture_output=True, text=True,
                         env=None)
    assert run.returncode == 0, run.stderr
    thresholds = load_thresholds(tmp_path / 't.json', 3, ['a', 'b', 'c'])
    for c in range(3):
        assert f1(scores[:, c], targets[:, c], thresholds[c]) > 0.1 + f1(scores[:, c],
                                                                        targets[:, c], 0.5)
    assert 'Written to t.json' in run.stdout


@pytest.mark.parametrize('share', [0, -0.1, 1.01])
@pytest.mark.parametrize('find', [thresholds_at_precision, thresholds_at_recall])
def test_a_share_beyond_its_range_is_named(find, share):
    with pytest.raises(ValueError, match=rf'must lie in \(0, 1\], got {share}'):
        find(np.ones((2, 1)), np.ones((2, 1)), share)
