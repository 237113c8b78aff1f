"""Own data as a user has it: a folder of images and PASCAL VOC's XML files."""

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

from tresnet_mm.datasets.shapes import ShapesSpec, make_shapes


def make_own_data(folder: Path, number: int = 40, size: int = 64, max_objects: int = 1) -> None:
    """Write ``number`` images of shapes into ``folder``, with an XML file beside each."""
    shapes = folder.with_name(f'{folder.name}_shapes')
    make_shapes(shapes, ShapesSpec(num_train=number, num_val=1, size=size,
                                   max_objects=max_objects))
    content = json.loads((shapes / 'annotations/instances_train.json').read_text())
    names = {category['id']: category['name'] for category in content['categories']}
    folder.mkdir(parents=True)
    for image in content['images']:
        shutil.copy(shapes / 'train' / image['file_name'], folder)
        boxes = [(names[entry['category_id']], entry['bbox']) for entry in content['annotations']
                 if entry['image_id'] == image['id']]
        _write_xml(folder / image['file_name'], size, boxes)
    shutil.rmtree(shapes)
    shapes.with_name(f'.{shapes.name}.lock').unlink(missing_ok=True)


def _write_xml(image: Path, size: int, boxes: list) -> None:
    root = ElementTree.Element('annotation')
    ElementTree.SubElement(root, 'filename').text = image.name
    _children(ElementTree.SubElement(root, 'size'), width=size, height=size, depth=3)
    for name, (x, y, width, height) in boxes:
        entry = ElementTree.SubElement(root, 'object')
        ElementTree.SubElement(entry, 'name').text = name
        _children(ElementTree.SubElement(entry, 'bndbox'), xmin=x + 1, ymin=y + 1,
                  xmax=x + width, ymax=y + height)
    ElementTree.ElementTree(root).write(image.with_suffix('.xml'))


def _children(parent: ElementTree.Element, **values: float) -> None:
    for name, value in values.items():
        ElementTree.SubElement(parent, name).text = str(value)
