"""The pictures of the report on own data, with their lists."""
from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmdet.visualization.palette import get_palette
from mmengine.structures import BaseDataElement, InstanceData

from ..visualization import SheetWriter, add_caption, draw_box_tile, draw_truth
from ..visualization.sheet_writer import TILE, read_image
from .data_figures import present, together
from .odd_boxes import KINDS, OddBox
from .source_data import Box, SourceData

#: Images of a class, and classes, on the sheets of samples.
_SAMPLES, _SHEETS = 6, 100


class ReportPictures:
    """Draws into one folder.

    Args:
        data: The source.
        folder: Where to; made when the first is written.
        unreadable: Indices of images that cannot be decoded; grey in the pictures.
    """

    def __init__(self, data: SourceData, folder: Path, unreadable: set[int]) -> None:
        self.data = data
        self.folder = folder
        self.unreadable = unreadable
        self.writer = SheetWriter(folder)
        self.palette = get_palette('random', len(data.classes))

    def odd(self, kind: str, found: list[OddBox]) -> None:
        """``KIND.png`` with the worst boxes, ``KIND.json`` with all."""
        records = [self._record(odd) for odd in found]

        def draw(place: int) -> np.ndarray:
            odd = found[place]
            tile = draw_box_tile(self._read(odd.image), _corners(odd.box), True,
                                 np.array([_corners(odd.other)] if odd.other else []), TILE)
            return add_caption(tile, [f'{records[place]["class"]} {odd.value:.3g}',
                                      records[place]['image']], 12)

        self.writer.sheet(kind, KINDS[kind].split(';')[0].split(' (')[0], records, draw)

    def alike(self, name: str, title: str, groups: list[list[int]],
              records: list[dict[str, Any]]) -> None:
        """Two images of each group side by side, and the list of all groups."""
        def draw(place: int) -> np.ndarray:
            pair = [draw_truth(self._read(index), BaseDataElement(), {}, TILE // 2)
                    for index in groups[place][:2]]
            tile = np.full((max(len(half) for half in pair), TILE, 3), 255, np.uint8)
            for start, half in zip((0, TILE // 2), pair, strict=True):
                tile[:len(half), start:start + TILE // 2] = half
            return add_caption(tile, [self.data.images[i].name for i in groups[place][:2]], 12)

        self.writer.sheet(name, title, records, draw)

    def co_occurrence(self) -> None:
        """``co_occurrence.png``."""
        names = self.data.classes
        self.writer.matrix('co_occurrence', together(self.data), names, names,
                           'Of the images with one class, those that have another', 'with', 'have')

    def samples(self) -> list[str]:
        """``class_NUMBER.png`` for each class there is; returns their names, without suffix."""
        holders: dict[int, list[int]] = {}
        for index, image in enumerate(self.data.images):
            for label in present(image):
                holders.setdefault(label, []).append(index)
        names = []
        for label, members in sorted(holders.items())[:_SHEETS]:
            members = [i for i in members if i not in self.unreadable]
            if not members:
                continue
            # evenly over the whole source
            chosen = members[::max(1, len(members) // _SAMPLES)][:_SAMPLES]
            names.append(f'class_{label}')
            self.writer.sheet(names[-1], self.data.classes[label],
                              [dict(image=self.data.images[i].name) for i in chosen],
                              partial(self._sample, chosen))
        return names

    def _sample(self, chosen: list[int], place: int) -> np.ndarray:
        index = chosen[place]
        image = self.data.images[index]
        sample = BaseDataElement()
        if image.boxes is not None:
            sample.gt_instances = InstanceData(
                bboxes=torch.tensor([_corners(box) for box in image.boxes]).reshape(-1, 4),
                labels=torch.tensor([box.label for box in image.boxes], dtype=torch.long))
        else:
            sample.gt_labels = np.isin(np.arange(len(self.data.classes)), list(present(image))) * 1
        return draw_truth(self._read(index), sample,
                          dict(classes=self.data.classes, palette=self.palette), TILE)

    def _read(self, index: int) -> np.ndarray:
        image = self.data.images[index]
        if index in self.unreadable:
            return np.full((TILE, TILE, 3), 128, np.uint8)
        return read_image(str(image.file))

    def _record(self, odd: OddBox) -> dict[str, Any]:
        record = {'image': self.data.images[odd.image].name,
                  'class': self.data.classes[odd.box.label], 'box': list(odd.box[1:5]),
                  'value': odd.value}
        if odd.other:
            record |= {'other_class': self.data.classes[odd.other.label],
                       'other_box': list(odd.other[1:5])}
        return record


def _corners(box: Box) -> tuple[float, float, float, float]:
    return box.x, box.y, box.x + box.width, box.y + box.height
