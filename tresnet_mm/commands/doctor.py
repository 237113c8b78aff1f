"""Look over the installation: what is there, what works, and the commands that mend the rest.

Examples:
    tresnet-mm doctor
    tresnet-mm doctor --json

It works where nothing else is installed or the package does not import, and so does
python -m tresnet_mm.doctor. The commands are for this Python, this system, and the torch and CUDA
that are there. The exit status is 1 where there is a problem.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..doctor.report import JSON_HELP, run
from .command_line import command, make_parser


@command('doctor')
def main(argv: Sequence[str] | None = None) -> int:
    """Print the findings; 1 where one is a problem."""
    parser = make_parser('doctor', __doc__)
    parser.add_argument('--json', action='store_true', help=JSON_HELP)
    return run(parser.parse_args(argv).json)
