r"""Run one of mmdet's own analysis tools on a config of this package.

mmdet installs them inside its package; without a name this lists them.

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

from .command_line import errors_in_one_line

FOLDER = Path(mmdet.__file__).parent / '.mim' / 'tools' / 'analysis_tools'


def tool_path(name: str) -> Path:
    """The file of mmdet's analysis tool ``name``; FileNotFoundError lists those there are."""
    path = FOLDER / f'{name}.py'
    if not path.is_file():
        names = ', '.join(sorted(file.stem for file in FOLDER.glob('*.py')))
        raise FileNotFoundError(f'mmdet has no analysis tool {name!r}; it has: {names}')
    return path


def main(argv: Sequence[str] | None = None) -> None:
    """Run the tool that the first argument names with the arguments that follow."""
    name, *arguments = (sys.argv[1:] if argv is None else argv) or ['']
    with errors_in_one_line('mmdet-tool'):
        path = tool_path(name)
    sys.argv = [str(path), *arguments]
    runpy.run_path(str(path), run_name='__main__')
