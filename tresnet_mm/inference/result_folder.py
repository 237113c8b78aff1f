"""Where pictures and results of a run are written."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..whole_file import write_bytes

_LONGEST = 200  # bytes of a name, of the 255 that file systems allow


class ResultFolder:
    """``vis/NAME.jpg`` and ``preds/NAME.json`` for each image, as mmdet's inferencer lays them out.

    NAME is the image's without suffix. Where another image of the run has it already, ``_2``,
    ``_3`` and so on are appended; results of earlier runs are replaced. A file appears when it is
    whole, and the results of an image after its picture.

    Args:
        folder: Made when the first result is written.

    Raises:
        ValueError: There is something else than a folder at this place.
    """

    def __init__(self, folder: str | os.PathLike) -> None:
        self.folder = Path(folder)
        if self.folder.exists() and not self.folder.is_dir():
            raise ValueError(f'out_dir {str(folder)!r} is a file, not a folder')
        self._taken: set[str] = set()

    def write(self, stem: str, result: dict[str, Any], picture: np.ndarray | None = None) -> None:
        """Write one image's results, of plain values, and its picture, uint8 (H, W, 3) in RGB."""
        text = json.dumps(result, allow_nan=False)
        name = self._free_name(stem)
        if picture is not None:
            code = cv2.imencode('.jpg', cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1]
            write_bytes(self.folder / 'vis' / f'{name}.jpg', code.tobytes())
        write_bytes(self.folder / 'preds' / f'{name}.json', f'{text}\n'.encode())

    def _free_name(self, stem: str) -> str:
        """A name that no other image of this run has, on file systems that ignore case too."""
        stem = re.sub(r'[\x00-\x1f/\\:*?"<>|]', '_', stem)
        stem = os.fsdecode(os.fsencode(stem)[:_LONGEST]).strip('.') or 'image'
        name, number = stem, 1
        while name.lower() in self._taken:
            number += 1
            name = f'{stem}_{number}'
        self._taken.add(name.lower())
        return name
