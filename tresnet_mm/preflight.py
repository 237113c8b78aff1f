"""Config, data and checkpoint held against each other before a run."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal

from mmengine.config import Config
from mmengine.registry import DefaultScope

from .checks import CHECKS, Problem, Subject


def preflight(cfg: Config, checkpoint: str | None = None,
              task: Literal['train', 'test'] = 'train') -> list[Problem]:
    """Find what does not agree between the parts of a config, its data and a checkpoint.

    Nothing is written, and the config is not changed. The annotation files are read; a model is
    built to look at its parameters, without memory for them where it allows that.

    Args:
        cfg: The config, as the runner would get it; with ``resume=True`` it is held against the
            checkpoint that it would be resumed from.
        checkpoint: The checkpoint to test, to start from or to resume from. Default: the config's
            ``load_from``, or the latest of its ``work_dir`` where it resumes.
        task: What the config is to be used for, which decides what counts.

    Returns:
        The problems in the order of `tresnet_mm.checks.CHECKS`: empty where all agrees. Those of
        severity 'error' would stop the run or make it silently wrong.

    Raises:
        ValueError: If ``task`` is neither.

    Examples:
        >>> from mmengine.config import Config
        >>> import tresnet_mm
        >>> cfg = Config(dict(model=dict(
        ...     type='MultiLabelClassifier',
        ...     backbone=dict(type='TResNet', arch='l', out_indices=(3,)),
        ...     head=dict(type='MultiLabelLinearHead', num_classes=3, in_channels=2048))))
        >>> for problem in tresnet_mm.preflight(cfg, task='test'):
        ...     print(problem.where, problem.value, '->', problem.right)
        model.head.in_channels 2048 -> 2432
    """
    return find_problems(Subject(cfg, checkpoint, task))


def find_problems(subject: Subject) -> list[Problem]:
    """Make all checks on a subject, as `preflight` does."""
    problems = []
    with _quiet_in_scope(subject.cfg.get('default_scope') or 'mmdet'):
        for checks in CHECKS.values():
            for check in checks:
                name = check.__name__.removeprefix('check_')
                problems += [replace(problem, check=name) for problem in check(subject)]
    return problems


@contextmanager
def _quiet_in_scope(scope: str) -> Iterator[None]:
    """The config's default scope, and no log of what is built only to be looked at."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with DefaultScope.overwrite_default_scope(scope):
            yield
    finally:
        logging.disable(before)
