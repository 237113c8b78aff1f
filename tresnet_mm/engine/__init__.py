"""Hooks and switches that mmengine lacks."""

from .autocast_optim_wrapper import AutocastOptimWrapper, build_auto_amp_optim_wrapper
from .best_weights_hook import BestWeightsHook
from .fast_runner import FastRunner
from .one_cycle_from_lr import OneCycleFromLR
from .plain_and_ema_eval_hook import PlainAndEMAEvalHook
from .resume_schedule_hook import ResumeScheduleHook
from .run_summary_hook import RunSummaryHook
from .whole_weights_hook import WholeWeightsHook

__all__ = [
    'AutocastOptimWrapper',
    'BestWeightsHook',
    'FastRunner',
    'OneCycleFromLR',
    'PlainAndEMAEvalHook',
    'ResumeScheduleHook',
    'RunSummaryHook',
    'WholeWeightsHook',
    'build_auto_amp_optim_wrapper',
]
