import math

import pytest
import torch

from tresnet_mm.models.losses import UncertaintyWeighting


def test_a_task_begins_with_a_variance_of_1():
    weights = UncertaintyWeighting(['detection', 'labels'])
    assert [name for name, _ in weights.named_parameters()] == [
        'log_variance.detection', 'log_variance.labels']
    for task in ('detection', 'labels'):
        assert weights.factor(task) == 1 and weights.penalty(task) == 0


def test_the_total_is_the_papers():
    weights = UncertaintyWeighting(['detection', 'labels'])
    with torch.no_grad():
        weights.log_variance['labels'].fill_(math.log(9.0))
    loss = 6.0
    total = loss * weights.factor('labels') + weights.penalty('labels')
    assert total.item() == pytest.approx(loss / 9 + math.log(3))
    total.backward()
    assert weights.log_variance['labels'].grad == pytest.approx(0.5 - loss / 9)
    assert weights.log_variance['detection'].grad is None and weights.factor('detection') == 1
