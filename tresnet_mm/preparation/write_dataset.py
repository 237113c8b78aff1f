"""A source written as a data set: COCO's files, tables of labels and the list of classes."""
from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..whole_file import write_text
from .source_data import SourceData, SourceImage


def write_dataset(data: SourceData, parts: Mapping[str, Sequence[int]], folder: Path) -> None:
    """Write ``annotations/PART.json``, ``labels/PART.csv`` and ``classes.txt``.

    The first, for images whose boxes are known, only where the source has boxes; names of images
    are relative to `SourceData.image_root`. Objects to ignore become crowds. The table has a line
    for each image whose labels are known, and a column for each class with 1, 0 or -1 (unknown).
    The same source and parts give the same bytes.

    Args:
        data: The source; it stays as it is.
        parts: Indices into its images by the name of the part.
        folder: Where to write; made if needed.

    Raises:
        OSError: A file cannot be written.
    """
    folder = Path(folder)
    write_text(folder / 'classes.txt', ''.join(f'{name}\n' for name in data.classes))
    has_boxes = any(image.boxes is not None for image in data.images)
    for part, members in parts.items():
        images = [data.images[index] for index in members]
        if has_boxes:
            text = json.dumps(coco_content(data.classes, images), ensure_ascii=False)
            write_text(folder / 'annotations' / f'{part}.json', text + '\n')
        write_text(folder / 'labels' / f'{part}.csv', label_table(data.classes, images))


def coco_content(classes: Sequence[str], images: Sequence[SourceImage]) -> dict[str, Any]:
    """What COCO's file of these images holds; ids begin at 1. Images without boxes are left out."""
    entries: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image in images:
        if image.boxes is None:
            continue
        entries.append(dict(id=len(entries) + 1, file_name=image.name, width=image.width,
                            height=image.height))
        for box in image.boxes:
            annotations.append(dict(
                id=len(annotations) + 1, image_id=len(entries), category_id=box.label + 1,
                bbox=[_plain(value) for value in box[1:5]], area=_plain(box.width * box.height),
                iscrowd=int(box.ignore)))
    categories = [dict(id=label + 1, name=name) for label, name in enumerate(classes)]
    return dict(images=entries, annotations=annotations, categories=categories)


def label_table(classes: Sequence[str], images: Sequence[SourceImage]) -> str:
    """The table of these images as `read_label_table` reads it; those without labels left out."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator='\n')
    table.writerow(['img_path', *classes])
    for image in images:
        if image.labels is not None:
            table.writerow([image.name, *(
                1 if label in image.labels else -1 if label in image.unknown else 0
                for label in range(len(classes)))])
    return text.getvalue()


def _plain(value: float) -> float | int:
    """Whole numbers without their point."""
    return int(value) if value == int(value) else value
