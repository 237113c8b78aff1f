"""A hook that kills one of the processes of a run, once."""

import os
import signal

from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class KillRankHook(Hook):
    """``kill -9`` of the process of a rank, the first time that it is started.

    Args:
        rank: Which process.
        iteration: Before which iteration, counted from 0.
    """

    def __init__(self, rank: int, iteration: int) -> None:
        self.rank, self.iteration = rank, iteration

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if (get_rank(), runner.iter) == (self.rank, self.iteration) and (
                os.environ['TORCHELASTIC_RESTART_COUNT'] == '0'):
            os.kill(os.getpid(), signal.SIGKILL)
