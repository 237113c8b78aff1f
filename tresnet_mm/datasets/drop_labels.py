"""Hide labels that are known, as the protocols of partial and missing labels do."""

import hashlib

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.registry import TRANSFORMS

from .unknown_mask import unknown_mask

MODES = ('uniform', 'positives', 'single_positive')


@TRANSFORMS.register_module()
class DropLabels(BaseTransform):
    """Hide some labels of an image, always the same ones.

    What is hidden depends on ``seed`` and the image's ``img_id`` alone: not on the epoch, the
    worker, the order or the folder of the data. With one seed, the labels that ``prob=0.5`` hides
    are among those that ``prob=0.9`` hides.

    Give it to a data set, ``drop_labels=dict(type='DropLabels', ...)``, rather than to its
    pipeline: the pipeline runs after the samplers have asked which classes an image has and after
    the labels are counted, so that both would use labels that training must not know.

    Required keys: ``gt_labels`` (class indices), ``num_classes`` and ``img_id``. Optional:
    ``unknown_labels`` (class indices), which stay unknown, or ``absent_labels``. Modified: both
    label fields.

    Args:
        mode: ``'uniform'``: every label, present or absent, is hidden with probability ``prob``
            (partial labels). ``'positives'``: every present label is, and no absent one (missing
            labels). ``'single_positive'``: everything but one present label, drawn evenly, is
            hidden (arXiv 2106.09708); of an image without one, everything.
        prob: Probability that a label is hidden; not for ``'single_positive'``.
        unknown_as: What stands for a hidden label: -1, unknown, or 0, absent. An absent label
            that is hidden as 0 is as it was.
        seed: Another seed hides other labels.

    Raises:
        ValueError: An argument is none of these.
    """

    def __init__(self, mode: str = 'uniform', prob: float | None = None, unknown_as: int = -1,
                 seed: int = 0) -> None:
        if mode not in MODES:
            raise ValueError(f'mode must be one of {MODES}, got {mode!r}')
        if mode == 'single_positive':
            if prob is not None:
                raise ValueError(f"mode='single_positive' takes no prob, got {prob}")
        elif prob is None or not 0 <= prob <= 1:
            raise ValueError(f'mode={mode!r} needs a prob in [0, 1], got {prob}')
        if unknown_as not in (-1, 0):
            raise ValueError(f'unknown_as must be -1 (unknown) or 0 (absent), got {unknown_as}')
        self.mode = mode
        self.prob = prob
        self.unknown_as = unknown_as
        self.seed = seed

    def transform(self, results: dict) -> dict:
        """Hide labels of ``results``.

        Raises:
            KeyError: There is no ``img_id``, by which the labels are chosen.
        """
        present = np.zeros(results['num_classes'], bool)
        present[list(results['gt_labels'])] = True
        unknown = unknown_mask(results)
        hidden = self._hidden(present, self._draws(results['img_id'], len(present)))
        results['gt_labels'] = np.flatnonzero(present & ~hidden).tolist()
        if self.unknown_as == -1:
            unknown |= hidden
        if results.pop('absent_labels', None) is not None or self.unknown_as == -1:
            results['unknown_labels'] = np.flatnonzero(unknown).tolist()
        return results

    def _draws(self, img_id: int | str, count: int) -> np.ndarray:
        """One number in [0, 1) a class; NumPy promises that RandomState stays as it is."""
        digest = hashlib.sha256(f'{self.seed}:{img_id}'.encode('utf-8', 'surrogatepass')).digest()
        return np.random.RandomState(np.frombuffer(digest, '<u4')).random_sample(count)

    def _hidden(self, present: np.ndarray, draws: np.ndarray) -> np.ndarray:
        """Which labels to hide, bool (num_classes,)."""
        if self.mode == 'single_positive':
            hidden = np.ones_like(present)
            if present.any():
                hidden[np.where(present, draws, -1).argmax()] = False
            return hidden
        hidden = draws < self.prob
        return hidden & present if self.mode == 'positives' else hidden

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(mode={self.mode!r}, prob={self.prob}, '
                f'unknown_as={self.unknown_as}, seed={self.seed})')
