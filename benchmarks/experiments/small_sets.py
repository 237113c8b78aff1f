"""Copies of a COCO data set with small images, on which a CPU trains in minutes."""
from __future__ import annotations

import json
from pathlib import Path

import cv2


def shrink(annotations: Path, images: Path, out: Path, part: str, long_side: int) -> None:
    """Write one part of a data set with smaller images, and its boxes with them.

    The order of the images is that of their names and the order of the classes that of theirs, so
    that runs of one seed see the same batches whoever wrote the data set.

    Args:
        annotations: A COCO file of boxes.
        images: The folder of its images.
        out: The data set's new folder; gets ``<part>/`` and ``annotations/instances_<part>.json``.
        part: ``train`` or ``test``.
        long_side: Longer side of every image afterwards, in pixels.
    """
    coco = json.loads(annotations.read_text())
    (out / part).mkdir(parents=True, exist_ok=True)
    scales = {}
    for image in sorted(coco['images'], key=lambda image: image['file_name']):
        pixels = cv2.imread(str(images / image['file_name']))
        scale = long_side / max(pixels.shape[:2])
        size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
        name = Path(image['file_name']).with_suffix('.jpg').name
        cv2.imwrite(str(out / part / name), cv2.resize(pixels, size, interpolation=cv2.INTER_AREA),
                    [cv2.IMWRITE_JPEG_QUALITY, 95])
        scales[image['id']] = dict(id=len(scales) + 1, file_name=name, width=size[0],
                                   height=size[1]), scale
    categories = sorted(coco['categories'], key=lambda category: category['name'])
    new_class = {category['id']: index for index, category in enumerate(categories, start=1)}
    objects = []
    for entry in sorted(coco['annotations'], key=lambda entry: scales[entry['image_id']][0]['id']):
        image, scale = scales[entry['image_id']]
        box = [round(scale * value, 3) for value in entry['bbox']]
        objects.append(dict(id=len(objects) + 1, image_id=image['id'], bbox=box,
                            category_id=new_class[entry['category_id']], area=box[2] * box[3],
                            iscrowd=entry.get('iscrowd', 0)))
    file = out / 'annotations' / f'instances_{part}.json'
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(dict(
        images=[image for image, _ in scales.values()], annotations=objects,
        categories=[dict(id=i, name=c['name']) for i, c in enumerate(categories, start=1)])))


def classes_of(data: Path) -> tuple[str, ...]:
    """The classes of a data set that `shrink` has written."""
    coco = json.loads((data / 'annotations/instances_train.json').read_text())
    return tuple(category['name'] for category in coco['categories'])


def make_small(source: Path, out: Path, long_side: int) -> None:
    """Read a data set as it was published and write its small copy, unless that is there."""
    if (out / 'annotations/instances_test.json').is_file():
        return
    for part in ('train', 'test'):
        shrink(source / f'annotations/instances_{part}.json', source / part, out, part, long_side)
