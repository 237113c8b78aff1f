#!/usr/bin/env python
r"""Run one of mmdet's own analysis tools on a config of this package.

mmdet installs them inside its package; without a name this lists them.

Examples:
    python tools/analysis/mmdet_tool.py
    python tools/analysis/mmdet_tool.py confusion_matrix CONFIG predictions.pkl OUT_DIR
    python tools/analysis/mmdet_tool.py coco_error_analysis coco.bbox.json OUT_DIR --ann GT.json
    python tools/analysis/mmdet_tool.py analyze_logs plot_curve LOG_DIR/vis_data/scalars.json \
        --keys loss --style default --out loss.png
"""
from __future__ import annotations

import runpy
import sys
from pathlib import Path

import mmdet

import tresnet_mm  # noqa: F401  (registers what the config names)

FOLDER = Path(mmdet.__file__).parent / '.mim' / 'tools' / 'analysis_tools'


def tool_path(name: str) -> Path:
    """The file of mmdet's analysis tool ``name``; FileNotFoundError lists those there are."""
    path = FOLDER / f'{name}.py'
    if not path.is_file():
        names = ', '.join(sorted(file.stem for file in FOLDER.glob('*.py')))
        raise FileNotFoundError(f'mmdet has no analysis tool {name!r}; it has: {names}')
    return path


def main() -> None:
    """Run the tool that the first argument names with the arguments that follow."""
    name = sys.argv[1] if len(sys.argv) > 1 else ''
    try:
        path = tool_path(name)
    except FileNotFoundError as error:
        sys.exit(str(error))
    sys.argv = [str(path), *sys.argv[2:]]
    runpy.run_path(str(path), run_name='__main__')


if __name__ == '__main__':
    main()
