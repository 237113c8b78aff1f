"""The worst mistakes of a multi-label model, and labels that may be wrong themselves."""

from typing import Any

import numpy as np
import torch

from ..models.losses import asymmetric_loss

#: The constants of `asymmetric_loss` that make it binary cross entropy.
CROSS_ENTROPY = dict(gamma_neg=0, gamma_pos=0, clip=0)
#: Scores are float32: nearer to 0 and 1 there is no logit to tell them from.
_EPS = 1e-7


def image_losses(scores: np.ndarray, targets: np.ndarray, **constants: Any) -> np.ndarray:
    """The loss of each image, summed over its classes.

    Args:
        scores: Probabilities (N, C).
        targets: (N, C) of 1 present, 0 absent, -1 unknown (no loss).
        **constants: Of `asymmetric_loss`; `CROSS_ENTROPY` for that.

    Returns:
        (N,) float64.
    """
    logits = torch.from_numpy(np.asarray(scores, np.float64)).clamp(_EPS, 1 - _EPS).logit()
    return asymmetric_loss(logits, torch.from_numpy(np.asarray(targets, np.float64)),
                           reduction='none', **constants).sum(dim=1).numpy()


def false_alarms(scores: np.ndarray, targets: np.ndarray, thresholds: np.ndarray,
                 number: int) -> list[tuple[int, int]]:
    """The predicted labels that are not true, the highest scores first.

    Args:
        scores: Probabilities (N, C).
        targets: (N, C) of 1 present, 0 absent, -1 unknown.
        thresholds: (C,), a label is predicted where its score is above.
        number: How many at most.

    Returns:
        Pairs of image and class.
    """
    return _first(-scores, (targets == 0) & (scores > thresholds), number)


def missed_labels(scores: np.ndarray, targets: np.ndarray, thresholds: np.ndarray,
                  number: int) -> list[tuple[int, int]]:
    """The true labels that are not predicted, the lowest scores first; see `false_alarms`."""
    return _first(scores, (targets == 1) & ~(scores > thresholds), number)


def doubtful_labels(scores: np.ndarray, targets: np.ndarray,
                    number: int) -> list[tuple[int, int]]:
    """Labels that may be wrong, by confident learning (arXiv 1911.00068, section 3.1).

    For each class, the threshold of "present" is the mean score of the images that are labelled
    so, and that of "absent" the mean of 1 - score of those labelled absent: a class whose scores
    are low throughout has low thresholds, and calibration does not matter. An image belongs
    confidently to the label whose threshold its score reaches, to the likelier one if it reaches
    both. Doubtful are those that confidently belong to the other label than they have (the
    off-diagonal of the confident joint); the lower the score of the given label, the earlier they
    come. The scores have to be of images that the model was not trained on.

    Args:
        scores: Probabilities (N, C).
        targets: (N, C) of 1 present, 0 absent, -1 unknown.
        number: How many at most.

    Returns:
        Pairs of image and class. Classes without a positive or without a negative have none.
    """
    present, absent = targets == 1, targets == 0
    confident_present = scores >= _mean(scores, present)
    confident_absent = 1 - scores >= _mean(1 - scores, absent)
    likelier = scores > 0.5
    should_be_present = confident_present & (likelier | ~confident_absent)
    should_be_absent = confident_absent & (~likelier | ~confident_present)
    both = present.any(axis=0) & absent.any(axis=0)
    doubtful = ((absent & should_be_present) | (present & should_be_absent)) & both
    return _first(np.where(present, scores, 1 - scores), doubtful, number)


def _mean(scores: np.ndarray, where: np.ndarray) -> np.ndarray:
    """The mean of each class's scores; infinite where there is nothing to average."""
    counts = where.sum(axis=0)
    sums = np.where(where, scores, 0).sum(axis=0, dtype=np.float64)
    return np.divide(sums, counts, out=np.full(len(counts), np.inf), where=counts > 0)


def _first(keys: np.ndarray, wanted: np.ndarray, number: int) -> list[tuple[int, int]]:
    """The places of the smallest keys among those wanted."""
    images, classes = np.nonzero(wanted)
    order = np.argsort(keys[images, classes], kind='stable')[:number]
    return [(int(images[i]), int(classes[i])) for i in order]


def label_confusion(scores: np.ndarray, targets: np.ndarray,
                    thresholds: np.ndarray) -> np.ndarray:
    """How often a class is predicted where another is true.

    Args:
        scores: Probabilities (N, C).
        targets: (N, C) of 1 present, 0 absent, -1 unknown.
        thresholds: (C,), a label is predicted where its score is above.

    Returns:
        (C, C): in row i and column j the share of the images with i for which j is predicted,
        among those for which j is known; the recalls are on the diagonal. NaN where there is none.
    """
    return _given(targets, scores > thresholds)


def co_occurrence(targets: np.ndarray) -> np.ndarray:
    """How often classes are true together: as `label_confusion` of a model without mistakes."""
    return _given(targets, targets == 1)


def _given(targets: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    present, known = (targets == 1).astype(np.float64), (targets != -1).astype(np.float64)
    counts = present.T @ known
    return np.divide(present.T @ (predicted * known), counts,
                     out=np.full(counts.shape, np.nan), where=counts > 0)

