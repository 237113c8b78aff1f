"""The examples in a command's help, to be run as they stand there."""

import importlib
import shlex

from tresnet_mm.commands import COMMANDS


def examples(command: str) -> list[list[str]]:
    """The arguments of each line of the help that starts with ``tresnet-mm COMMAND``."""
    text = importlib.import_module(f'tresnet_mm.commands.{COMMANDS[command][0]}').__doc__
    lines = [line.strip() for line in text.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith(f'tresnet-mm {command} ')]
