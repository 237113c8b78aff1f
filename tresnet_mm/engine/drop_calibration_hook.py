"""Leaves out of a checkpoint what was fitted to its scores, where it is trained on from it."""

from __future__ import annotations

from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ..checkpoint.loading import is_fitted


@HOOKS.register_module()
class DropCalibrationHook(Hook):
    """Drop scaling and thresholds of ``tresnet-mm calibrate`` before anything loads them.

    They are of the weights that they were fitted to. A head in training forgets them by itself, but
    the averaged copy that ``EMAHook`` keeps is not in training: its calibration would be validated
    with, and saved beside other weights. To be added to a run that trains.
    """

    priority = 'VERY_HIGH'  # before EMAHook loads its copy

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Take it out of the weights, and of the averaged ones of a run that is resumed."""
        found = [(state, key) for part in ('state_dict', 'ema_state_dict')
                 for state in [checkpoint.get(part, {})] for key in state if is_fitted(key)]
        for state, key in found:
            del state[key]
        if found:
            print_log('The weights are trained on: their calibration and thresholds no longer hold '
                      'and are left out', logger='current')
