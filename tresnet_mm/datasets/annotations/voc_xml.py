"""PASCAL VOC's lists of images and XML files."""
from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring
from mmengine.fileio import exists, get

from .coco_values import LARGEST
from .file_names import ImageFolder
from .text_file import check_regular_file, is_local, read_text

_CLASS_LIST = re.compile(r'(.*\S)\s+(?:-1|0|1)')


class VOCObject(NamedTuple):
    """An object of an XML file."""

    name: str
    difficult: bool
    corners: tuple[float, float, float, float] | None = None
    """xmin, ymin, xmax, ymax as they stand there; None where boxes were not asked for."""


class VOCFile(NamedTuple):
    """What an XML file holds.

    Attributes:
        filename: Name of the image, '' where the file has none.
        size: (width, height) in pixels; None where the file has none, or zeros.
        objects: Its objects, in the file's order.
    """

    filename: str
    size: tuple[int, int] | None
    objects: list[VOCObject]


def read_voc_list(path: str, xml_folder: ImageFolder, img_suffix: str = '.jpg',
                  backend_args: Mapping | None = None) -> Iterator[tuple[str, str, str]]:
    """Read a list of images, as in ``ImageSets/Main``.

    A line is the name of an image without suffix, which may hold blanks; or with the suffix; or
    followed by 1, 0 or -1, as in VOC's lists of single classes. Of these readings the first one
    that has an XML file is taken.

    Args:
        path: The list.
        xml_folder: Where the XML files are.
        img_suffix: Suffix of the image files.
        backend_args: Arguments of mmengine's file backend.

    Yields:
        The image's name, the path of its XML file, and the place in the list for messages.

    Raises:
        FileNotFoundError: There is no such list, or a listed image has no XML file.
        ValueError: The list is no text, or a name leaves the folder.
    """
    local = is_local(xml_folder.folder, backend_args)
    for number, line in enumerate(read_text(path, backend_args).split('\n'), start=1):
        line = line.strip()
        if not line:
            continue
        where = f'{path}:{number}'
        names = [line]
        names += [match[1] for match in [_CLASS_LIST.fullmatch(line)] if match]
        names += [name[:-len(img_suffix)] for name in names
                  if img_suffix and name.endswith(img_suffix) and name != img_suffix]
        paths = {name: xml_folder.path(name + '.xml', where) for name in names}
        for name, xml in paths.items():
            if os.path.exists(xml) if local else exists(xml, backend_args=backend_args):
                yield name, xml, where
                break
        else:
            tried = ' or '.join(map(repr, names))
            raise FileNotFoundError(f'{paths[names[-1]]}: no such file, but {where} lists {tried}')


def read_voc_objects(path: str, backend_args: Mapping | None = None) -> list[VOCObject]:
    """Read the names of the objects of an XML file, whatever their boxes are.

    Raises:
        FileNotFoundError, ValueError: As `read_voc_file`, but for boxes.
    """
    return _objects(_parse(path, backend_args), path, boxes=False)


def read_voc_file(path: str, backend_args: Mapping | None = None) -> VOCFile:
    """Read an XML file with its boxes.

    Entities are refused. A document type that is kept elsewhere is passed over, never fetched.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no XML, has entities, an object lacks its name or its box, or a number is
            none.
    """
    root = _parse(path, backend_args)
    if root.tag != 'annotation':
        raise ValueError(f'{path}: not a VOC file: it holds <{root.tag}>, not <annotation>')
    size = None
    if root.find('size') is not None:
        width, height = (_number(root, f'size/{key}', path) for key in ('width', 'height'))
        if min(width, height) >= 1:
            size = int(width), int(height)
    return VOCFile((root.findtext('filename') or '').strip(), size, _objects(root, path, True))


def _parse(path: str, backend_args: Mapping | None) -> Element:
    if is_local(path, backend_args):
        check_regular_file(path)
    try:  # as bytes, since the file itself may declare another encoding than UTF-8
        return fromstring(bytes(get(path, backend_args=backend_args)))
    except ParseError as error:
        raise ValueError(f'{path}: not an XML file: {error}') from None
    except DefusedXmlException as error:
        raise ValueError(f'{path}: refused: it declares entities or external parts ({error})') \
            from None
    except (ValueError, LookupError, RecursionError) as error:  # an encoding that is not known
        raise ValueError(f'{path}: not an XML file: {error}') from None


def _objects(root: Element, path: str, boxes: bool) -> list[VOCObject]:
    objects = []
    for number, entry in enumerate(root.iter('object'), start=1):
        name = (entry.findtext('name') or '').strip()
        if not name:
            raise ValueError(f'{path}: object {number} has no name')
        difficult = (entry.findtext('difficult') or '0').strip()
        if difficult not in ('0', '1'):
            raise ValueError(f'{path}: object {number} ({name!r}): difficult {difficult[:60]!r} '
                             'should be 0 or 1')
        corners = None
        if boxes:
            where = f'{path}: object {number} ({name!r})'
            x1, y1, x2, y2 = (_number(entry, f'bndbox/{key}', where)
                              for key in ('xmin', 'ymin', 'xmax', 'ymax'))
            corners = x1, y1, x2, y2
        objects.append(VOCObject(name, difficult == '1', corners))
    return objects


def _number(entry: Element, key: str, where: str) -> float:
    text = (entry.findtext(key) or '').strip()
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not abs(number) <= LARGEST:  # true for NaN
        found = f'is {text[:60]!r}' if text else 'is missing'
        raise ValueError(f'{where}: {key} {found}, it should be a number of pixels')
    return number
