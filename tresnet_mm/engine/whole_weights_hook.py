"""Refuses a checkpoint that leaves a part of the model at its random start."""

from __future__ import annotations

from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch.distributed.fsdp import FullyShardedDataParallel

from ..checkpoint import CheckpointMismatch
from ..checks.model_facts import build_model
from ..checks.weights import compare_weights, weights_of


@HOOKS.register_module()
class WholeWeightsHook(Hook):
    """See that a checkpoint gives the model all of its weights where they are all needed.

    mmengine loads with ``strict=False``, so a head of another number of classes keeps its random
    start, with a warning among others.

    Args:
        whole: Whether all are needed, as in testing and resuming. False is for fine-tuning by
            ``load_from``: what does not come from the checkpoint is told in one line.

    Raises:
        CheckpointMismatch: While loading, if a parameter is not in the checkpoint, or there in
            another shape; without ``whole`` only if the model itself refuses it.
    """

    priority = 'VERY_HIGH'

    def __init__(self, whole: bool = True) -> None:
        self.whole = whole

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Load it once for a report, before the runner loads it for good."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        if isinstance(runner.model, FullyShardedDataParallel):  # a shard has other shapes
            model = build_model(runner.cfg.model)
        report = compare_weights(model, weights_of(checkpoint))
        if report.refused or (report.incomplete and self.whole):
            raise CheckpointMismatch(report.incomplete)
        if report.left_out:
            print_log(f'Not loaded from the checkpoint: {report.left_out}', 'current')
