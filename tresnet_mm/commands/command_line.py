"""What the command lines have in common: the parser's form, and a user's mistake in one line.

A mistake ends with ``NAME: error: MESSAGE`` on the error stream and exit status 2, as argparse ends
one; with ``--debug`` the traceback comes in its place. What counts as a mistake:

- what this package, or mmengine where it reads configs and checkpoints, finds registered classes
  and opens files, raises by a ``raise`` statement: such an error was foreseen, and its message is
  for the user;
- a file that is missing or may not be read or written, and a package that is not installed;
- anything of the kinds that a command names for one of its steps, by `errors_in_one_line`.

All others are bugs, here or elsewhere, and keep their traceback.
"""

from __future__ import annotations

import argparse
import dis
import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NoReturn, TypeVar

DEBUG = '--debug'
STATUS = 2
#: Modules whose ``raise`` statements are meant for the user.
FORESEEN = ('tresnet_mm', 'mmengine.config', 'mmengine.fileio', 'mmengine.registry',
            'mmengine.runner.checkpoint', 'mmengine.utils.path')
FILE_ERRORS = (FileNotFoundError, FileExistsError, PermissionError, IsADirectoryError,
               NotADirectoryError)

Status = TypeVar('Status')
_debug: ContextVar[bool] = ContextVar('_debug', default=False)


def make_parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """A parser for the command ``name`` whose help shows a module's docstring as it is written."""
    parser = argparse.ArgumentParser(
        prog=f'tresnet-mm {name}', description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(DEBUG, action='store_true',
                        help='where it ends with an error, show the traceback')
    return parser


def command(name: str) -> Callable[[Callable[[Sequence[str] | None], Status]],
                                   Callable[..., Status]]:
    """Have the ``main(argv)`` of the command ``name`` end with one line where the user erred."""
    def decorate(main: Callable[[Sequence[str] | None], Status]) -> Callable[..., Status]:
        @functools.wraps(main)
        def run(argv: Sequence[str] | None = None) -> Status:
            token = _debug.set(DEBUG in (sys.argv[1:] if argv is None else argv))
            try:
                return main(argv)
            except Exception as error:
                if _debug.get() or not is_foreseen(error):
                    raise
                end(name, error)
            finally:
                _debug.reset(token)
        return run
    return decorate


@contextmanager
def errors_in_one_line(name: str, *kinds: type[Exception]) -> Iterator[None]:
    """Take whatever of some kinds is raised inside for the user's mistake, wherever it comes from.

    Args:
        name: The command.
        kinds: What to expect; OSError and ValueError where none is given.
    """
    kinds = kinds or (OSError, ValueError)
    try:
        yield
    except kinds as error:
        if _debug.get():
            raise
        end(name, error)


class UsersMistake(SystemExit):
    """The end of the process with status 2; its text is what was said."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.code = STATUS


def end(name: str, error: Exception) -> NoReturn:
    """End the process with ``NAME: error: MESSAGE`` on the error stream, and status 2."""
    text = f'{name}: error: {message(error)}'
    print(text, file=sys.stderr)
    raise UsersMistake(text)


def is_foreseen(error: Exception) -> bool:
    """Whether an error is the user's to mend, by what it is and where it was raised."""
    if isinstance(error, (*FILE_ERRORS, ModuleNotFoundError)):
        return True
    trace = error.__traceback__
    if trace is None:
        return False
    while trace.tb_next is not None:
        trace = trace.tb_next
    module = trace.tb_frame.f_globals.get('__name__', '')
    if isinstance(error, AssertionError) and module.partition('.')[0] == 'tresnet_mm':
        return False  # asserts what cannot be; mmengine refuses by assertions, too
    instruction = trace.tb_frame.f_code.co_code[trace.tb_lasti]
    return instruction == dis.opmap['RAISE_VARARGS'] and any(
        module == room or module.startswith(f'{room}.') for room in FORESEEN)


def message(error: Exception) -> str:
    """What an error says, on one line, and what to do where it does not say it."""
    text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)  # no repr
    text = ' '.join(text.split()) or type(error).__name__
    if ' registry. ' in text:  # what follows is mmengine's general advice
        text = text.partition(' registry. ')[0] + ' registry: is it misspelt, or custom_imports ' \
            'short of its module?'
    if isinstance(error, ModuleNotFoundError) and error.name and text.startswith('No module named'):
        text += f'; install it: pip install {error.name.partition(".")[0]}'
    return text
