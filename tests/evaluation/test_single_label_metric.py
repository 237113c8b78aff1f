"""Top-1, top-5 and per-class accuracy."""

import numpy as np
import pytest
import torch
from mmengine.registry import METRICS

from tresnet_mm.evaluation import single_label_scores


def test_against_sorting_each_image():
    rng = np.random.default_rng(0)
    scores, targets = rng.random((200, 9)), rng.integers(0, 8, 200)  # no image of class 8
    order = [sorted(range(9), key=lambda c, row=row: -row[c]) for row in scores]
    first = np.array([ranked[0] == t for ranked, t in zip(order, targets, strict=True)])
    five = np.mean([t in ranked[:5] for ranked, t in zip(order, targets, strict=True)])
    per_class = np.mean([first[targets == c].mean() for c in range(8)])
    result = single_label_scores(scores, targets)
    assert result == pytest.approx(
        dict(top1=100 * first.mean(), top5=100 * five, per_class=100 * per_class))


def test_of_equal_scores_the_first_class_is_predicted():
    assert single_label_scores(np.ones((2, 3)), np.array([0, 1]), top_k=2) == dict(
        top1=50.0, top2=100.0, per_class=50.0)


def metric(classes=('cat', 'dog'), **kwargs):
    metric = METRICS.build(dict(type='SingleLabelMetric', **kwargs))
    metric.dataset_meta = dict(classes=classes)
    return metric


def sample(scores, label):
    return dict(img_path='a.jpg', pred_scores=torch.tensor(scores), gt_label=torch.tensor([label]))


def test_metric_names_its_results_and_drops_what_the_sampler_added():
    m = metric()
    m.process({}, [sample([0.9, 0.1], 0), sample([0.8, 0.2], 1), sample([0.9, 0.1], 0)])
    assert m.evaluate(size=2) == {
        'single-label/top1': 50.0, 'single-label/top2': 100.0, 'single-label/per_class': 50.0}


def test_metric_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match='a.jpg has no gt_label; .*PackSingleLabelInputs'):
        metric().process({}, [dict(img_path='a.jpg', pred_scores=torch.ones(2))])
    with pytest.raises(ValueError, match='differ in classes'):
        metric().process({}, [sample([0.9, 0.1], 2)])
    m = metric(classes=('cat', 'dog', 'cow'))
    m.process({}, [sample([0.9, 0.1], 0)])
    with pytest.raises(ValueError, match='3 classes'):
        m.evaluate(size=1)


@pytest.mark.parametrize(('scores', 'targets', 'message'), [
    (np.ones((2, 3)), np.array([0]), r'got \(2, 3\) and \(1,\)'),
    (np.ones(3), np.array([0, 1, 2]), r'got \(3,\) and \(3,\)'),
    (np.ones((0, 3)), np.array([], dtype=int), 'not empty'),
    (np.ones((2, 3)), np.array([0, 3]), 'between 0 and 2, got values from 0 to 3'),
    (np.ones((2, 3)), np.array([-1, 2]), 'between 0 and 2, got values from -1 to 2')])
def test_scores_and_targets_that_do_not_fit_are_named(scores, targets, message):
    with pytest.raises(ValueError, match=message):
        single_label_scores(scores, targets)


@pytest.mark.parametrize('top_k', [0, -1, 2.0, None])
def test_top_k_is_a_positive_number(top_k):
    with pytest.raises(ValueError, match='top_k must be a positive integer'):
        metric(top_k=top_k)


@pytest.mark.parametrize('classwise', [True, False])
def test_the_log_says_which_classes_count(classwise, monkeypatch):
    notes = []
    monkeypatch.setattr('tresnet_mm.evaluation.single_label_metric.print_log',
                        lambda message, logger: notes.append((message, logger)))
    m = metric(classes=('cat', 'dog', 'cow'), classwise=classwise)
    m.process({}, [sample([0.9, 0.1, 0.0], 0), sample([0.8, 0.2, 0.0], 1)])
    assert m.evaluate(size=2)['single-label/per_class'] == 50
    *tables, (note, logger) = notes
    assert len(tables) == classwise
    assert note == '1 of 3 classes have no image among 2 and are left out of per_class'
    assert logger == 'current'
