"""The checkpoint: whether it can be read, and whether it gives the model all of its weights."""

from __future__ import annotations

from collections.abc import Iterator

from .leftovers import check_keywords
from .problem import Problem
from .subject import Subject
from .weights import compare_weights


def check_checkpoint_file(subject: Subject) -> Iterator[Problem]:
    """The checkpoint can be read."""
    checkpoint = subject.checkpoint
    if checkpoint is None or checkpoint.exported:
        return
    if checkpoint.remote:
        yield Problem('a remote checkpoint is not read before the run', checkpoint.key,
                      checkpoint.source, severity='not made')
    elif isinstance(checkpoint.content, Exception):
        yield Problem(str(checkpoint.content), checkpoint.key, checkpoint.source,
                      'a checkpoint file that can be read')


def check_model(subject: Subject) -> Iterator[Problem]:
    """The model can be built."""
    if not subject.model or any(check_keywords(subject)):
        return  # what the model would say of its keywords is told better there
    if isinstance(subject.built, Exception):
        error = subject.built
        yield Problem(f'it cannot be built: {type(error).__name__}: {error}', 'model')


def check_weights(subject: Subject) -> Iterator[Problem]:
    """Every parameter comes from the checkpoint in testing and resuming; in fine-tuning what is left out is told."""  # noqa: E501
    checkpoint = subject.checkpoint
    if checkpoint is None or not checkpoint.readable or isinstance(subject.built, Exception):
        return
    report = compare_weights(subject.built, checkpoint.state_dict)
    whole = subject.task == 'test' or subject.resume
    if report.refused or (whole and report.incomplete):
        yield Problem(report.incomplete, checkpoint.key, checkpoint.source,
                      'a checkpoint of this model')
    elif report.left_out and not whole:
        yield Problem(f'loaded in part: {report.left_out}', checkpoint.key, checkpoint.source,
                      severity='note')
    elif report.unexpected:
        yield Problem(f'loaded without what the model has no place for: {report.left_out}',
                      checkpoint.key, checkpoint.source, severity='note')
