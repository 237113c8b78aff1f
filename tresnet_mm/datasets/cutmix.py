"""CutMix of whole batches, as a collate function."""

from collections.abc import Sequence

import numpy as np
from mmengine.dataset import pseudo_collate
from mmengine.registry import FUNCTIONS

from .mixup import check_mixing, mix_labels


@FUNCTIONS.register_module()
def cutmix_collate(data_batch: Sequence[dict], alpha: float = 1.0, prob: float = 1.0) -> dict:
    """Paste a box of another image of the batch into each one (arXiv 1905.04899).

    The box is the same in the whole batch. Its centre is drawn uniformly over the image and what
    reaches over the border is cut off; labels weigh as much as the pixels that are left of them.
    Set in a config by ``train_dataloader = dict(collate_fn=dict(type='cutmix_collate'))``.

    Args:
        data_batch: As `mixup_collate` takes it.
        alpha: Both parameters of the beta distribution that the area outside the box is drawn
            from, before it is cut off.
        prob: How often a batch is mixed.

    Returns:
        As `mixup_collate` gives it: soft targets in [0, 1], unknown (-1) where either label is.

    Raises:
        ValueError: ``alpha`` or ``prob`` out of range, or images of different sizes.
    """
    check_mixing('cutmix', alpha, prob, data_batch)
    batch = pseudo_collate(data_batch)
    if np.random.rand() >= prob:
        return batch
    height, width = batch['inputs'][0].shape[-2:]
    rows, cols = draw_box(height, width, float(np.random.beta(alpha, alpha)))
    partner = np.random.permutation(len(batch['inputs']))
    box = (..., rows, cols)
    originals = batch['inputs']
    batch['inputs'] = [image.clone() for image in originals]
    for image, j in zip(batch['inputs'], partner, strict=True):
        image[box] = originals[j][box]
    area = (rows.stop - rows.start) * (cols.stop - cols.start)
    mix_labels(batch['data_samples'], partner, 1 - area / (height * width))
    return batch


def draw_box(height: int, width: int, outside: float) -> tuple[slice, slice]:
    """Draw a box of the image's aspect.

    Args:
        height: Of the image, in pixels.
        width: Of the image, in pixels.
        outside: Share of the image's area that lies outside the box, in [0, 1].

    Returns:
        The rows and columns of the box, cut off at the border; either may be empty.
    """
    spans = []
    for side in (height, width):
        length = int(side * (1 - outside) ** 0.5)
        start = np.random.randint(side) - length // 2
        spans.append(slice(max(start, 0), min(start + length, side)))
    return spans[0], spans[1]
