"""CutMix against its definition, pixel by pixel."""

import numpy as np
import pytest
import torch
from mmengine.registry import FUNCTIONS
from mmengine.structures import BaseDataElement

from tresnet_mm.datasets import cutmix_collate
from tresnet_mm.datasets.cutmix import draw_box

HEIGHT, WIDTH = 8, 12


def batch(*labels, height=HEIGHT):
    return [
        dict(
            inputs=torch.full((3, height, WIDTH), 40 * i, dtype=torch.uint8),
            data_samples=BaseDataElement(gt_labels=torch.tensor(label)))
        for i, label in enumerate(labels)]  # fmt: skip


ONE_HOT = ([1., 0., 0.], [0., 1., 0.], [0., 0., 1.])


def test_pixels_and_labels_with_known_draws(monkeypatch):
    """Outside 3/4: a box of half the sides, 4 x 6, here around row 3 and column 2."""
    assert FUNCTIONS.get('cutmix_collate') is cutmix_collate
    centres = iter([3, 2])
    monkeypatch.setattr(np.random, 'beta', lambda a, b: 0.75)
    monkeypatch.setattr(np.random, 'randint', lambda side: next(centres))
    monkeypatch.setattr(np.random, 'permutation', lambda count: np.array([1, 2, 0]))
    data = batch(*ONE_HOT)
    out = cutmix_collate(data)
    weight = 1 - 4 * 5 / (HEIGHT * WIDTH)  # rows 1 to 4, columns -1 to 4 without the one outside
    for i, j in enumerate([1, 2, 0]):
        expected = torch.full((3, HEIGHT, WIDTH), 40 * i, dtype=torch.uint8)
        expected[:, 1:5, 0:5] = 40 * j
        assert torch.equal(out['inputs'][i], expected)
        target = [0., 0., 0.]
        target[i], target[j] = weight, 1 - weight
        assert out['data_samples'][i].gt_labels.tolist() == pytest.approx(target)
        assert (data[i]['inputs'] == 40 * i).all()  # the images that came in are untouched


def test_labels_weigh_what_their_pixels_do():
    mixed_any = False
    for seed in range(30):
        np.random.seed(seed)
        out = cutmix_collate(batch(*ONE_HOT))
        for image, sample in zip(out['inputs'], out['data_samples'], strict=True):
            shares = [(image == 40 * i).double().mean().item() for i in range(3)]
            assert sample.gt_labels.tolist() == pytest.approx(shares, abs=1e-6)
            mixed_any |= 0 < max(shares) < 1
    assert mixed_any


def test_the_same_seed_cuts_the_same():
    outs = []
    for _ in range(2):
        np.random.seed(5)
        outs.append(torch.stack(cutmix_collate(batch(*ONE_HOT))['inputs']))
    assert torch.equal(*outs)


def test_boxes_stay_inside():
    assert [s.stop - s.start for s in draw_box(HEIGHT, WIDTH, 1.0)] == [0, 0]
    for outside in np.linspace(0, 1, 50):
        for span, side in zip(draw_box(HEIGHT, WIDTH, outside), (HEIGHT, WIDTH), strict=True):
            assert 0 <= span.start <= span.stop <= side


def test_unknown_stays_unknown():
    for seed in range(10):
        np.random.seed(seed)
        labels = torch.stack([
            sample.gt_labels
            for sample in cutmix_collate(batch([-1., 1.], [0., 1.]))['data_samples']])
        assert set(labels[:, 0].tolist()) <= {-1.0, 0.0}
        assert labels[:, 0].min() == -1
        assert labels[:, 1].tolist() == pytest.approx([1, 1])


def test_probability_and_bad_input():
    out = cutmix_collate(batch([1.], [0.]), prob=0.0)
    assert [sample.gt_labels.item() for sample in out['data_samples']] == [1, 0]
    with pytest.raises(ValueError, match='alpha must be > 0'):
        cutmix_collate(batch([1.]), alpha=0.0)
    with pytest.raises(ValueError, match='cutmix needs images of one size'):
        cutmix_collate(batch([1.]) + batch([1.], height=9))
