"""A config, its data and a checkpoint held against each other, each check a function of its own.

A check takes a `Subject` and yields a `Problem` for each thing that does not agree. The first line
of its docstring says what holds where it finds nothing.
"""

from collections.abc import Callable, Iterator

from . import (
    channels,
    checkpoint,
    classes,
    evaluator,
    head_files,
    image_files,
    image_heads,
    label_kinds,
    leftovers,
    loaders,
    resume,
    schedule,
    sharding,
)
from .problem import Problem
from .subject import Subject

Check = Callable[[Subject], Iterator[Problem]]

#: Every check by what it is about, in the order in which problems are told.
CHECKS: dict[str, tuple[Check, ...]] = {
    'classes': (
        classes.check_datasets,
        classes.check_categories,
        classes.check_classes_of_splits,
        classes.check_heads,
        image_heads.check_image_heads,
        image_heads.check_single_labels,
        classes.check_metric_thresholds,
        head_files.check_head_files,
        classes.check_checkpoint_classes,
    ),
    'evaluation': (evaluator.check_evaluator_file, label_kinds.check_label_kinds,
                   image_heads.check_fields),
    'model': (
        leftovers.check_keywords,
        channels.check_neck_channels,
        channels.check_head_channels,
        channels.check_levels,
        checkpoint.check_model,
        leftovers.check_input,
        leftovers.check_pretrained,
        leftovers.check_frozen,
    ),
    'data loading': (image_files.check_image_files, loaders.check_batches, loaders.check_objects,
                     leftovers.check_test_loader),
    'schedule': (loaders.check_learning_rate, schedule.check_schedule),
    'checkpoint': (
        checkpoint.check_checkpoint_file,
        checkpoint.check_weights,
        sharding.check_sharded_hooks,
        sharding.check_sharded_parameters,
    ),
    'resuming': (
        resume.check_resumable,
        resume.check_resumed_length,
        resume.check_resumed_schedule,
    ),
}

__all__ = ['CHECKS', 'Check', 'Problem', 'Subject']
