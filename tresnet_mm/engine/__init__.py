"""Hooks and switches that mmengine lacks."""

from .autocast_optim_wrapper import AutocastOptimWrapper, build_auto_amp_optim_wrapper
from .best_weights_hook import BestWeightsHook
from .class_weight_hook import ClassWeightHook
from .drop_calibration_hook import DropCalibrationHook
from .fast_runner import FastRunner
from .finite_hook import FiniteHook, NotFinite
from .host_watch_hook import HostWatchHook
from .memory_hook import MemoryHook, is_out_of_memory
from .one_cycle_from_lr import OneCycleFromLR
from .plain_and_ema_eval_hook import PlainAndEMAEvalHook
from .repeatable_hook import RepeatableHook
from .resume_schedule_hook import ResumeScheduleHook
from .run_summary_hook import RunSummaryHook
from .safe_checkpoint_hook import SafeCheckpointHook, choose_checkpoint
from .stop_signal_hook import StopSignalHook, TrainingStopped
from .validate_on_resume_hook import ValidateOnResumeHook
from .watched_fetch import explain_dead_worker
from .whole_weights_hook import WholeWeightsHook
from .worker_hook import WorkerHook

__all__ = [
    'AutocastOptimWrapper',
    'BestWeightsHook',
    'ClassWeightHook',
    'DropCalibrationHook',
    'FastRunner',
    'FiniteHook',
    'HostWatchHook',
    'MemoryHook',
    'NotFinite',
    'OneCycleFromLR',
    'PlainAndEMAEvalHook',
    'RepeatableHook',
    'ResumeScheduleHook',
    'RunSummaryHook',
    'SafeCheckpointHook',
    'StopSignalHook',
    'TrainingStopped',
    'ValidateOnResumeHook',
    'WholeWeightsHook',
    'WorkerHook',
    'build_auto_amp_optim_wrapper',
    'choose_checkpoint',
    'explain_dead_worker',
    'is_out_of_memory',
]
