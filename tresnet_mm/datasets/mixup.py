"""Mixup of whole batches, as a collate function."""

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import FUNCTIONS
from mmengine.structures import BaseDataElement


@FUNCTIONS.register_module()
def mixup_collate(data_batch: Sequence[dict], alpha: float = 0.2, prob: float = 1.0) -> dict:
    """Blend each image and its labels with another one of the batch (arXiv 1710.09412).

    Set in a config by ``train_dataloader = dict(collate_fn=dict(type='mixup_collate'))``.

    Args:
        data_batch: What `PackMultiLabelInputs` gave: ``inputs`` uint8 (C, H, W), all of
            one size, and ``data_samples`` with ``gt_labels`` (num_classes,).
        alpha: Both parameters of the beta distribution that the weight is drawn from.
        prob: How often a batch is mixed.

    Returns:
        ``dict(inputs=[...], data_samples=[...])``. Targets become soft values in [0, 1]; where
        either label is unknown (-1), so is the mixed one.

    Raises:
        ValueError: ``alpha`` or ``prob`` out of range, or images of different sizes.
    """
    check_mixing('mixup', alpha, prob, data_batch)
    batch = pseudo_collate(data_batch)
    if np.random.rand() >= prob:
        return batch
    weight = float(np.random.beta(alpha, alpha))
    partner = np.random.permutation(len(batch['inputs']))
    images = [image.float() for image in batch['inputs']]
    batch['inputs'] = [
        (weight * image + (1 - weight) * images[j]).round().to(torch.uint8)
        for image, j in zip(images, partner, strict=True)
    ]
    mix_labels(batch['data_samples'], partner, weight)
    return batch


def check_mixing(name: str, alpha: float, prob: float, data_batch: Sequence[dict]) -> None:
    """See that a batch can be mixed.

    Raises:
        ValueError: ``alpha`` or ``prob`` out of range, or images of different sizes.
    """
    if alpha <= 0 or not 0 <= prob <= 1:
        raise ValueError(f'alpha must be > 0 and prob in [0, 1], got {alpha} and {prob}')
    shapes = {tuple(data['inputs'].shape) for data in data_batch}
    if len(shapes) > 1 and prob > 0:
        raise ValueError(f'{name} needs images of one size, got {sorted(shapes)}')


def mix_labels(samples: Sequence[BaseDataElement], partner: np.ndarray, weight: float) -> None:
    """Blend the ``gt_labels`` of each sample with its partner's, in place.

    Args:
        samples: With ``gt_labels`` (num_classes,): values in [0, 1], or -1, unknown.
        partner: Integers (len(samples),): the place of the one that each is blended with.
        weight: Of the sample's own labels, in [0, 1].
    """
    labels = [sample.gt_labels for sample in samples]
    for sample, own, j in zip(samples, labels, partner, strict=True):
        mixed = weight * own + (1 - weight) * labels[j]
        sample.gt_labels = mixed.masked_fill((own < 0) | (labels[j] < 0), -1)
