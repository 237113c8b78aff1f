"""Sheets of pictures with their lists, written into a folder."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import mmcv
import numpy as np

from ..datasets import LoadImageChecked
from .contact_sheet import contact_sheet
from .matrix import draw_matrix

_COLUMNS = 6
#: Entries of a list; a sheet shows the first of them.
LISTED = 1000
#: Width of a picture on a sheet.
TILE = 256


class SheetWriter:
    """Writes sheets and matrices.

    Args:
        folder: Made when the first is written.
        number: Pictures a sheet, at most.
        say: Called with a line for each.
    """

    def __init__(self, folder: Path, number: int = 24,
                 say: Callable[[str], object] | None = None) -> None:
        self.folder = folder
        self.number = number
        self.say = say or (lambda line: None)

    def sheet(self, name: str, title: str, records: Sequence[dict[str, Any]],
              draw: Callable[[int], np.ndarray]) -> None:
        """Write ``NAME.png`` and ``NAME.json``; only an empty list where there is no record.

        Args:
            name: Of both files, without suffix.
            title: Line above the pictures.
            records: What is in the list.
            draw: Draws the picture of a record by its place.
        """
        tiles = [draw(place) for place in range(min(self.number, len(records)))]
        self.folder.mkdir(parents=True, exist_ok=True)
        if tiles:
            sheet = contact_sheet(tiles, _COLUMNS, title)
            mmcv.imwrite(sheet[..., ::-1], str(self.folder / f'{name}.png'))
        (self.folder / f'{name}.json').write_text(json.dumps(list(records), indent=1) + '\n')
        self.say(f'{title}: {len(records)}' + (f', {self.folder / name}.png' if tiles else ''))

    def matrix(self, name: str, matrix: np.ndarray, rows: Sequence[str], columns: Sequence[str],
               *titles: str) -> None:
        """Write ``NAME.png`` by `draw_matrix`; ``titles`` are those of matrix, rows, columns."""
        title, row_title, column_title = titles
        self.folder.mkdir(parents=True, exist_ok=True)
        draw_matrix(matrix, rows, columns, title, row_title, column_title,
                    self.folder / f'{name}.png')
        self.say(f'{title}: {self.folder / name}.png')


def read_image(path: str) -> np.ndarray:
    """An image file as uint8 (H, W, 3) in RGB; raises as `LoadImageChecked`."""
    return np.ascontiguousarray(LoadImageChecked()(dict(img_path=path))['img'][..., ::-1])
