"""Mixup of whole batches, as a collate function."""

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import FUNCTIONS


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
    if alpha <= 0 or not 0 <= prob <= 1:
        raise ValueError(f'alpha must be > 0 and prob in [0, 1], got {alpha} and {prob}')
    batch = pseudo_collate(data_batch)
    if np.random.rand() >= prob:
        return batch
    shapes = {tuple(image.shape) for image in batch['inputs']}
    if len(shapes) > 1:
        raise ValueError(f'mixup needs images of one size, got {sorted(shapes)}')
    weight = float(np.random.beta(alpha, alpha))
    partner = np.random.permutation(len(batch['inputs']))
    images = [image.float() for image in batch['inputs']]
    labels = [sample.gt_labels for sample in batch['data_samples']]
    batch['inputs'] = [
        (weight * image + (1 - weight) * images[j]).round().to(torch.uint8)
        for image, j in zip(images, partner, strict=True)
    ]
    for sample, own, j in zip(batch['data_samples'], labels, partner, strict=True):
        mixed = weight * own + (1 - weight) * labels[j]
        sample.gt_labels = mixed.masked_fill((own < 0) | (labels[j] < 0), -1)
    return batch
