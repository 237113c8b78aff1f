"""A channel's mean and variance over the batches of all processes of a group."""

import torch
import torch.distributed as dist
from torch import Tensor


def group_statistics(mean: Tensor, var: Tensor, count: int,
                     group: dist.ProcessGroup | None) -> tuple[Tensor, Tensor, int | Tensor]:
    """Combine the processes' statistics into those of all their values.

    The means and variances are combined instead of sums and sums of squares, whose difference
    cancels. The processes may have any number of values each. Nothing is read from the device: the
    group's number stays a tensor, and is above 1, as each of two processes has at least one.

    Args:
        mean: (C,) of this process.
        var: (C,), biased, of this process.
        count: Values a channel of this process, at least 1.
        group: The processes, at least two; None for this one alone.

    Returns:
        Mean (C,), biased variance (C,), and the number of values a channel, () where there is a
        group.
    """
    if group is None:
        return mean, var, count
    local = torch.cat([mean, var, mean.new_full((1, ), count)])
    gathered = [torch.empty_like(local) for _ in range(dist.get_world_size(group))]
    dist.all_gather(gathered, local, group)
    means, variances, counts = torch.stack(gathered).split([len(mean), len(var), 1], 1)
    total = counts.sum()
    mean = (means * counts).sum(0) / total
    return mean, ((variances + (means - mean) ** 2) * counts).sum(0) / total, total


def update_running(running_mean: Tensor, running_var: Tensor, mean: Tensor, var: Tensor,
                   count: int | Tensor, momentum: float | Tensor) -> None:
    """Move the running statistics to those of a batch, whose variance is biased, by ``momentum``.

    All are (C,); the running ones may be of another dtype.
    """
    running_mean.lerp_(mean.to(running_mean.dtype), momentum)
    running_var.lerp_((var * (count / (count - 1))).to(running_var.dtype), momentum)
