"""Mixup against its definition."""

import pytest
import torch
from mmengine.registry import FUNCTIONS
from mmengine.structures import BaseDataElement

from tresnet_mm.datasets import mixup_collate


def batch(*labels, size=4):
    return [
        dict(
            inputs=torch.full((3, size, size), 40 * i, dtype=torch.uint8),
            data_samples=BaseDataElement(gt_labels=torch.tensor(label)))
        for i, label in enumerate(labels)]  # fmt: skip


def test_images_and_labels_are_blended_with_one_weight():
    assert FUNCTIONS.get('mixup_collate') is mixup_collate
    mixed_any = False
    for _ in range(20):
        # One class per image: the mixed target tells both partners and the weight.
        out = mixup_collate(batch([1., 0., 0.], [0., 1., 0.], [0., 0., 1.]), alpha=1.0)
        for image, sample in zip(out['inputs'], out['data_samples'], strict=True):
            expected = (sample.gt_labels * torch.tensor([0., 40., 80.])).sum()
            assert sample.gt_labels.sum() == pytest.approx(1)
            assert image.dtype == torch.uint8
            assert (image.float() - expected).abs().max() <= 0.5 + 1e-4
            mixed_any |= bool((sample.gt_labels > 0).sum() == 2)
    assert mixed_any


def test_unknown_stays_unknown():
    for _ in range(10):
        out = mixup_collate(batch([-1., 1.], [0., 1.]), alpha=1.0)
        labels = torch.stack([sample.gt_labels for sample in out['data_samples']])
        assert labels[:, 0].min() == -1
        assert set(labels[:, 0].tolist()) <= {-1.0, 0.0}
        assert labels[:, 1].tolist() == pytest.approx([1, 1])


def test_probability_and_bad_input():
    out = mixup_collate(batch([1.], [0.]), prob=0.0)
    assert [sample.gt_labels.item() for sample in out['data_samples']] == [1, 0]
    with pytest.raises(ValueError, match='alpha must be > 0'):
        mixup_collate(batch([1.]), alpha=0.0)
    with pytest.raises(ValueError, match='images of one size'):
        mixup_collate(batch([1.]) + batch([1.], size=5))
