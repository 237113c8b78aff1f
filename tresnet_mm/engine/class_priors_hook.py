"""Tells the partial-label loss how often each class is present."""

from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ..evaluation import load_class_priors
from ..models.losses import PartialAsymmetricLoss
from .class_weight_hook import image_counts


@HOOKS.register_module()
class ClassPriorsHook(Hook):
    """Set the ``class_priors`` of every `PartialAsymmetricLoss` of the model as training begins.

    Without a file, the prior of a class is the share of the training images in which it is known
    to be present. Where few labels are known that is a lower bound, and says of a common class that
    nobody annotates that it is rare (arXiv 2110.10955, section 3); the paper takes the mean scores
    of a first model, trained with ``mode='ignore'``: `DumpClassPriors` writes them to a file.

    Args:
        file: A CSV of ``class,prior``, found by the names of the training data's classes.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If, when training begins, the model has no such loss, the data do not say their
            classes, or the file does not fit (`load_class_priors`).
    """

    def __init__(self, file: str | None = None) -> None:
        self.file = file

    def before_train(self, runner: Runner) -> None:
        """Find the priors, and set them."""
        model: Any = runner.model.module if is_model_wrapper(runner.model) else runner.model
        losses = [part for part in model.modules() if isinstance(part, PartialAsymmetricLoss)]
        if not losses:
            raise ValueError(f'ClassPriorsHook: {type(model).__name__} has no '
                             'PartialAsymmetricLoss, whose class_priors it sets')
        priors = self._priors(runner.train_dataloader.dataset)
        for loss in losses:
            loss.class_priors = torch.from_numpy(priors)
        common = int((priors > losses[0].prior_threshold).sum())
        runner.logger.info(
            f'Class priors from {self.file or "the known labels of the training data"}: {common} '
            f'of {len(priors)} classes above {losses[0].prior_threshold:g}')

    def _priors(self, dataset: Any) -> np.ndarray:
        """Probabilities (C,), float32."""
        classes = dataset.metainfo.get('classes')
        if not classes:
            raise ValueError('ClassPriorsHook: the training data do not say their classes')
        if self.file is not None:
            return load_class_priors(self.file, classes)
        counts = image_counts(dataset)
        return np.array([counts[i] for i in range(len(classes))], np.float32) / len(dataset)
