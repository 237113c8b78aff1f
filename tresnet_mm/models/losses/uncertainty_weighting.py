"""Weights of several tasks' losses that are learnt with the model."""

import torch
from torch import Tensor, nn


def uncertainty_weighted(loss: Tensor, log_variance: Tensor) -> Tensor:
    """``loss / variance + log(deviation)`` (arXiv 1705.07115, equation 10, for a likelihood).

    Args:
        loss: Any shape.
        log_variance: Scalar, the logarithm of the task's variance.
    """
    return loss * torch.exp(-log_variance) + log_variance / 2


class UncertaintyWeighting(nn.Module):
    """A learnt variance for each task, which begins at 1: the weights of the losses.

    The factors and the terms that keep them from going to zero are apart, since a task has several
    losses: together they are `uncertainty_weighted` of the task's sum.

    Args:
        tasks: Names of the tasks.
    """

    def __init__(self, tasks: list[str]) -> None:
        super().__init__()
        self.log_variance = nn.ParameterDict(
            {name: nn.Parameter(torch.zeros(())) for name in tasks})

    def factor(self, task: str) -> Tensor:
        """What the losses of a task are multiplied by."""
        return torch.exp(-self.log_variance[task])

    def penalty(self, task: str) -> Tensor:
        """What is added once for a task that gives a loss."""
        return self.log_variance[task] / 2
