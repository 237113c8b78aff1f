"""Weights of several tasks' losses that are learnt with the model."""

import torch
from torch import Tensor, nn


class UncertaintyWeighting(nn.Module):
    """A learnt variance for each task, which begins at 1: the weights of the losses.

    The total is the sum over the tasks of ``loss / variance + log(deviation)`` (arXiv 1705.07115,
    section 3.2). What is learnt is the logarithm of the variance, so that nothing is divided by 0.
    A task may have several losses: each gets the `factor`, and the `penalty` is added once.

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
