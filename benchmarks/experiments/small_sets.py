"""Copies of data sets with small images, on which a CPU trains in minutes."""
from __future__ import annotations

import json
from pathlib import Path

import cv2

from tresnet_mm.preparation.source_data import SourceData

#: The parts that are copied: nothing is chosen by the validation part, so nobody needs it.
PARTS = ('train', 'test')


def make_small(source: Path, out: Path, long_side: int) -> None:
    """Read a data set as it was published and write its small copy, unless that is there.

    Args:
        source: What `read_source` reads, with boxes and a training and a test part.
        out: The copy's folder, as `shrink` writes it.
        long_side: Longer side of every image afterwards, in pixels.
    """
    if (out / f'annotations/instances_{PARTS[-1]}.json').is_file():
        return
    from tresnet_mm.preparation import read_source
    data = read_source(source)
    for part in PARTS:
        shrink(data, part, out, long_side)


def shrink(data: SourceData, part: str, out: Path, long_side: int) -> None:
    """Write one part of a data set with smaller images, and its boxes with them.

    The images stand in the order of their names and the classes in that of theirs, so that runs of
    one seed see the same batches whatever order the source has.

    Args:
        data: With boxes.
        part: Of `SourceImage.part`.
        out: The copy's folder; gets ``<part>/`` and COCO's ``annotations/instances_<part>.json``.
        long_side: Longer side of every image afterwards, in pixels.

    Raises:
        ValueError: The part has no images, or images of one name in different folders.
    """
    chosen = sorted((image for image in data.images if image.part == part),
                    key=lambda image: image.name)
    names = [f'{image.file.stem}.jpg' for image in chosen]
    if not names or len(set(names)) < len(names):
        raise ValueError(f'{data.image_root}: the part {part!r} needs images, each of its own name')
    (out / part).mkdir(parents=True, exist_ok=True)
    classes = sorted(data.classes)
    images, objects = [], []
    for number, (image, name) in enumerate(zip(chosen, names, strict=True), start=1):
        scale = long_side / max(image.width, image.height)
        size = (round(image.width * scale), round(image.height * scale))
        pixels = cv2.resize(cv2.imread(str(image.file)), size, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(out / part / name), pixels, [cv2.IMWRITE_JPEG_QUALITY, 95])
        images.append(dict(id=number, file_name=name, width=size[0], height=size[1]))
        for box in image.boxes or ():
            bbox = [round(scale * value, 3) for value in (box.x, box.y, box.width, box.height)]
            objects.append(dict(
                id=len(objects) + 1, image_id=number, bbox=bbox, area=bbox[2] * bbox[3],
                category_id=classes.index(data.classes[box.label]) + 1, iscrowd=int(box.ignore)))
    file = out / 'annotations' / f'instances_{part}.json'
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(dict(
        images=images, annotations=objects,
        categories=[dict(id=i, name=name) for i, name in enumerate(classes, start=1)])))


def classes_of(folder: Path) -> tuple[str, ...]:
    """The classes of a data set that `shrink` has written."""
    coco = json.loads((folder / 'annotations/instances_train.json').read_text())
    return tuple(category['name'] for category in coco['categories'])
