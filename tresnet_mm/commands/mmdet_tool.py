r"""Run one of mmdet's own analysis tools on a config of this package.

mmdet installs them inside its package; without a name this lists them. All arguments after the name
are the tool's own, --help too.

Examples:
    tresnet-mm mmdet-tool
    tresnet-mm mmdet-tool confusion_matrix CONFIG predictions.pkl OUT_DIR
    tresnet-mm mmdet-tool coco_error_analysis coco.bbox.json OUT_DIR --ann GT.json
    tresnet-mm mmdet-tool analyze_logs plot_curve LOG_DIR/vis_data/scalars.json \
        --keys loss --style default --out loss.png
"""
from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

import mmdet

from .command_line import DEBUG, command

FOLDER = Path(mmdet.__file__).parent / '.mim' / 'tools' / 'analysis_tools'


def tool_path(name: str) -> Path:
    """The file of mmdet's analysis tool ``name``; FileNotFoundError lists those there are."""
    path = FOLDER / f'{name}.py'
    if not path.is_file():
        raise FileNotFoundError(f'mmdet has no analysis tool {name!r}; it has: {tool_names()}')
    return path


def tool_names() -> str:
    """The analysis tools that there are."""
    return ', '.join(sorted(file.stem for file in FOLDER.glob('*.py')))


@command('mmdet-tool')
def main(argv: Sequence[str] | None = None) -> None:
    """Run the tool that the first argument names with the arguments that follow."""
    argv = [part for part in (sys.argv[1:] if argv is None else argv) if part != DEBUG]
    if not argv or argv[0] in ('-h', '--help'):
        print('usage: tresnet-mm mmdet-tool [-h] [--debug] [TOOL [arguments]]\n\n'
              f'{__doc__}\nTools: {tool_names()}')
        return
    name, *arguments = argv
    path = tool_path(name)
    sys.argv = [str(path), *arguments]
    runpy.run_path(str(path), run_name='__main__')
