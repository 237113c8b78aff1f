"""The kinds of input that are fuzzed; a module ``kinds_*.py`` beside this file adds its own.

A kind is a hypothesis strategy for cases and ``check(case)``, which uses a case as a user would. It
returns True if the case was usable and False if it was refused by a documented error; any other
error goes through and is a fault.
"""
from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis.strategies import SearchStrategy

#: Seconds after which a case counts as hanging.
PATIENCE = 5


class Kind(NamedTuple):
    """One kind of input."""

    strategy: SearchStrategy
    check: Callable[[Any], bool]


def load_kinds() -> dict[str, Kind]:
    """All kinds by name."""
    kinds: dict[str, Kind] = {}
    for path in sorted(Path(__file__).parent.glob('kinds_*.py')):
        kinds.update(importlib.import_module(f'tests.fuzz.{path.stem}').KINDS)
    return kinds


def documented(use: Callable[[], Any], *names: str,
               allowed: tuple[type[Exception], ...] = (ValueError, FileNotFoundError)) -> bool:
    """Run ``use``; whether it went well.

    Args:
        use: What is tried.
        names: The files of which a message has to name one.
        allowed: Errors that are documented; exactly these types, no sub-class of them.
    """
    try:
        use()
    except Exception as error:
        if type(error) not in allowed:
            raise
        assert any(name in str(error) for name in names), f'{error!r} does not name {names}'
        return False
    return True
