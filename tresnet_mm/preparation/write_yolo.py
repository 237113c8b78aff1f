"""A source written as YOLO's files, as ultralytics reads them."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from ..whole_file import write_text
from .source_data import Box, SourceData, SourceImage


def write_yolo(data: SourceData, parts: Mapping[str, Sequence[int]], folder: Path) -> None:
    """Write ``labels/PART/*.txt`` and ``data.yaml``, and links to the images in ``images/PART``.

    ultralytics finds a text file by the image's path, so that a list of the images where they lie
    would need text files beside them, in the source. Slashes in names become ``__``. Images whose
    boxes are unknown are left out, and so are objects to ignore, which YOLO cannot say.

    Args:
        data: The source; it stays as it is.
        parts: Indices into its images by the name of the part; the folder should have 'train' and
            'val' for ultralytics.
        folder: Where to write: new or empty.

    Raises:
        FileExistsError: There are images or labels already.
        OSError: A file or link cannot be written.
    """
    folder = Path(folder)
    for name in ('images', 'labels', 'data.yaml'):
        if (folder / name).exists():
            raise FileExistsError(f'{folder / name} is there already: give a new or empty folder')
    for part, members in parts.items():
        images, labels = folder / 'images' / part, folder / 'labels' / part
        images.mkdir(parents=True)
        taken: set[str] = set()
        for index in members:
            image = data.images[index]
            if image.boxes is None:
                continue
            path = Path(image.name.replace('/', '__'))
            stem = path.stem if path.stem.lower() not in taken else f'{path.stem}__{index}'
            taken.add(stem.lower())
            (images / (stem + path.suffix)).symlink_to(image.file)
            write_text(labels / f'{stem}.txt', ''.join(
                _line(box, image) for box in image.boxes if not box.ignore))
    content = {part: f'images/{part}' for part in parts}
    write_text(folder / 'data.yaml', yaml.safe_dump(
        {**content, 'names': dict(enumerate(data.classes))}, sort_keys=False, allow_unicode=True))


def _line(box: Box, image: SourceImage) -> str:
    """With digits enough for a thousandth of a pixel in any image."""
    values = ((box.x + box.width / 2) / image.width, (box.y + box.height / 2) / image.height,
              box.width / image.width, box.height / image.height)
    return f'{box.label} ' + ' '.join(f'{value:.10g}' for value in values) + '\n'
