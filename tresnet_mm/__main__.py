"""``tresnet-mm NAME [arguments]`` and ``python -m tresnet_mm NAME [arguments]``."""

import difflib
import importlib
import sys
from collections.abc import Sequence

from .commands import COMMANDS
from .commands.command_line import command

USAGE = 'usage: tresnet-mm NAME [arguments]; tresnet-mm NAME --help says more about one of them'


def listing() -> str:
    """All commands with a line about each."""
    width = max(map(len, COMMANDS))
    lines = [f'  {name:{width}}  {text}' for name, (_, text) in COMMANDS.items()]
    return '\n'.join([USAGE, '', *lines])


def main(argv: Sequence[str] | None = None) -> int | None:
    """Run the command that the first argument names; without one, list them.

    Only the module of that command is imported.

    Returns:
        The exit status: 2 where there is no such command, else what the command returns.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    if not argv or argv[0] in ('-h', '--help'):
        print(listing())
        return None
    name = argv[0].replace('_', '-')
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        known = f'did you mean {near[0]}?' if near else f'known are {", ".join(COMMANDS)}'
        print(f'tresnet-mm: error: no command {argv[0]!r}; {known}', file=sys.stderr)
        return 2

    @command(name)
    def run(arguments: Sequence[str] | None) -> int | None:
        module = importlib.import_module(f'.commands.{COMMANDS[name][0]}', __package__)
        return module.main(arguments)

    return run(argv[1:])


if __name__ == '__main__':
    sys.exit(main())
