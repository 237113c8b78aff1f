"""What the command lines have in common: the parser's form, and a user's mistake in one line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def make_parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """A parser for the command ``name`` whose help shows a module's docstring as it is written."""
    return argparse.ArgumentParser(
        prog=f'tresnet-mm {name}', description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter)


@contextmanager
def errors_in_one_line(name: str, *kinds: type[Exception]) -> Iterator[None]:
    """End the process with ``NAME: error: MESSAGE`` and status 1 where one of ``kinds`` is raised.

    Args:
        name: The command.
        kinds: What to expect; FileNotFoundError and ValueError where none is given.
    """
    kinds = kinds or (FileNotFoundError, ValueError)
    try:
        yield
    except kinds as error:
        sys.exit(f'{name}: error: {error}')
