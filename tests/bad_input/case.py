"""The form of a case of bad input, and the judge that every table is held against.

A table is a module ``cases_*.py`` beside this file with a list ``CASES``; a case is one line:

    Case('name', make, run, handled(result))
    Case('name', make, run, refused(ValueError, 'words', 'of the message'))

``make(folder)`` writes what is bad into an empty folder, ``run(folder)`` is what a user does then.
"""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.time_limit import OutOfTime, time_limit

#: Seconds after which a case counts as hanging.
PATIENCE = 30


class Handled(NamedTuple):
    """The input is used; ``run`` gives this."""

    result: Any


class Refused(NamedTuple):
    """One error of exactly this type, whose message has these words."""

    error: type[Exception]
    words: tuple[str, ...]


class Case(NamedTuple):
    """One kind of bad input."""

    name: str
    make: Callable[[Path], Any]
    run: Callable[[Path], Any]
    expected: Handled | Refused


def handled(result: Any) -> Handled:
    return Handled(result)


def refused(error: type[Exception], *words: str) -> Refused:
    return Refused(error, words)


def judge(case: Case, folder: Path) -> str:
    """What is wrong with how a case ended; empty if nothing is."""
    case.make(folder)
    try:
        with time_limit(PATIENCE):
            result = case.run(folder)
    except OutOfTime as hang:
        return f'hangs: {hang}'
    except Exception as error:
        if isinstance(case.expected, Handled):
            return f'should be handled, but: {type(error).__name__}: {error}'
        if type(error) is not case.expected.error:
            return f'{type(error).__name__} ({error}) in place of {case.expected.error.__name__}'
        lacking = [word for word in case.expected.words if word not in str(error)]
        return f'the message lacks {lacking}: {error}' if lacking else ''
    if isinstance(case.expected, Refused):
        return f'silently accepted, giving {result!r}'
    if result != case.expected.result:
        return f'gives {result!r}, expected {case.expected.result!r}'
    return ''
