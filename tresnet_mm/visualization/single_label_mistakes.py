"""The worst mistakes of a model of one label an image, and labels that may be wrong themselves."""

import numpy as np

#: Scores are float32: below it there is nothing to tell one from another by.
_EPS = 1e-7


def label_losses(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The cross entropy (N,) float64 of each image.

    Args:
        scores: Probabilities (N, C) that sum to 1.
        labels: (N,) class indices.
    """
    return -np.log(np.maximum(_of_label(scores, labels), _EPS))


def wrong_images(scores: np.ndarray, labels: np.ndarray, number: int) -> list[int]:
    """The images whose class of highest score is not theirs, the surest first.

    Args:
        scores: Probabilities (N, C).
        labels: (N,) class indices.
        number: How many at most.
    """
    wrong = np.flatnonzero(scores.argmax(axis=1) != labels)
    return wrong[np.argsort(-scores[wrong].max(axis=1), kind='stable')][:number].tolist()


def doubtful_images(scores: np.ndarray, labels: np.ndarray, number: int) -> list[tuple[int, int]]:
    """Images whose label may be wrong, by confident learning (arXiv 1911.00068, section 3.1).

    The threshold of a class is the mean of its score over the images that are labelled so. An image
    belongs confidently to the class of highest score among those whose threshold it reaches.
    Doubtful are the images that confidently belong to another class than that of their label (the
    off-diagonal of the confident joint); the lower the score of the label, the earlier they come.
    The scores have to be of images that the model was not trained on.

    Args:
        scores: Probabilities (N, C) that sum to 1.
        labels: (N,) class indices.
        number: How many at most.

    Returns:
        Pairs of image and the class that it seems to be. Classes without images are none.
    """
    own = _of_label(scores, labels)
    classes = scores.shape[1]
    counts = np.bincount(labels, minlength=classes)
    sums = np.bincount(labels, weights=own, minlength=classes)
    thresholds = np.divide(sums, counts, out=np.full(classes, np.inf), where=counts > 0)
    reached = np.where(scores >= thresholds, scores, -1)
    likely = reached.argmax(axis=1)
    doubtful = np.flatnonzero((reached.max(axis=1) >= 0) & (likely != labels))
    order = doubtful[np.argsort(own[doubtful], kind='stable')][:number]
    return [(int(image), int(likely[image])) for image in order]


def class_confusion(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Which class is predicted where another is true.

    Args:
        scores: Probabilities (N, C).
        labels: (N,) class indices.

    Returns:
        (C, C): in row i and column j the share of the images of class i for which j has the highest
        score; the accuracies of the classes are on the diagonal. NaN where a class has no image.
    """
    classes = scores.shape[1]
    pairs = labels.astype(np.int64) * classes + scores.argmax(axis=1)
    counts = np.bincount(pairs, minlength=classes ** 2).reshape(classes, classes)
    totals = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)


def _of_label(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The score (N,) float64 of each image's own label."""
    return np.take_along_axis(scores, labels[:, None], axis=1)[:, 0].astype(np.float64)
