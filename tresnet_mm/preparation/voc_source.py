"""PASCAL VOC's XML files, with or without its lists and folders.

VOC's corners are numbers of pixels that begin at 1, and the last pixel belongs to the object: a box
becomes x = xmin - 1, y = ymin - 1, width = xmax - xmin + 1, height = ymax - ymin + 1. (mmdet's
``XMLDataset`` moves the corners by 1 as well, and loses the last pixel of each side.) Programs that
count from 0 make boxes that begin a pixel too early here; where they begin at 0, they are clipped
by that pixel and counted.
"""
from __future__ import annotations

from pathlib import Path

from ..datasets.annotations import ImageFolder, VOCFile, read_voc_file, read_voc_list
from .source_builder import SourceBuilder
from .source_data import Box, SourceData
from .source_files import SourceFiles, part_folder, path_inside

_IMAGE_FOLDERS = ('JPEGImages', 'images', 'Images', 'imgs')


def read_voc(files: SourceFiles) -> SourceData:
    """Read the XML files below a folder.

    The image of an XML file is the one that its ``<filename>`` names, or else that of the XML
    file's own name, beside it or in ``JPEGImages`` or ``images``. Parts are the lists ``train``,
    ``val`` and ``test`` of ``ImageSets/Main``, or else folders of these names.

    Raises:
        FileNotFoundError: An image or a listed XML file is not there.
        ValueError: An XML file, a list or an image cannot be read; names file and entry.
    """
    xmls = files.of_suffix('.xml')
    if not xmls:
        raise FileNotFoundError(f'{files.root}: no XML file (.xml) below it')
    builder = SourceBuilder('voc', files.root)
    parts = _parts(files, builder)
    contents = {xml: read_voc_file(str(xml)) for xml in xmls}
    classes = sorted({entry.name for content in contents.values() for entry in content.objects})
    index = {name: label for label, name in enumerate(classes)}
    seen = set()
    for xml, content in contents.items():
        image = _image_of(xml, content, files)
        seen.add(image)
        if parts and xml not in parts:
            builder.count('images of no part of the split', str(xml))
        builder.add(image, str(xml), boxes=_boxes(content, index), part=parts.get(xml),
                    annotated_size=content.size)
    if not classes:
        raise ValueError(f'{files.root}: none of its {len(xmls)} XML files has an object')
    for image in files.images:
        if image not in seen:
            builder.count('images without an XML file: left out', str(image))
    builder.note('Corners were read as VOC counts them, from 1, the last pixel included: '
                 'x = xmin - 1, width = xmax - xmin + 1.')
    return builder.build(classes)


def _boxes(content: VOCFile, index: dict[str, int]) -> list[Box]:
    boxes = []
    for name, difficult, corners in content.objects:
        assert corners is not None
        left, top, right, bottom = corners
        inverted = right < left or bottom < top
        boxes.append(Box(index[name], left - 1, top - 1, 0 if inverted else right - left + 1,
                         0 if inverted else bottom - top + 1, difficult))
    return boxes


def _image_of(xml: Path, content: VOCFile, files: SourceFiles) -> Path:
    beside = xml.parent
    folders = [beside, *(beside.parent / name for name in _IMAGE_FOLDERS), beside.parent,
               *(files.root / name for name in _IMAGE_FOLDERS)]
    if beside == files.root:  # what lies beside the source is none of it
        folders = [beside, *(beside / name for name in _IMAGE_FOLDERS)]
    names = [xml.stem]
    if content.filename:
        # Programs write whole paths of another machine here; the last name is the image's.
        last = content.filename.replace('\\', '/').rsplit('/', 1)[-1]
        if last:
            path_inside(beside, last, f'{xml}: filename')
            names.insert(0, last)
    return files.find_image(names, folders, str(xml))


def _parts(files: SourceFiles, builder: SourceBuilder) -> dict[Path, str]:
    """The part of each XML file that has one."""
    lists = {part: files.root / 'ImageSets' / 'Main' / f'{part}.txt'
             for part in ('train', 'val', 'test')}
    lists = {part: path for part, path in lists.items() if path in files.files}
    xmls = files.of_suffix('.xml')
    if lists:
        builder.note(f'The split is that of ImageSets/Main: {", ".join(lists)}.')
        return _listed_parts(lists, files.root / 'Annotations')
    found: dict[Path, str] = {}
    for xml in xmls:
        named = [part_folder(name) for name in xml.relative_to(files.root).parts[:-1]]
        parts = [part for part in named if part]
        if parts:
            found[xml] = parts[0]
    if found:
        builder.note('The split is that of the folders: '
                     f'{", ".join(sorted(set(found.values())))}.')
    return found


def _listed_parts(lists: dict[str, Path], folder: Path) -> dict[Path, str]:
    found: dict[Path, str] = {}
    for part, path in lists.items():
        for _, xml, where in read_voc_list(str(path), ImageFolder(str(folder))):
            other = found.setdefault(Path(xml), part)
            if other != part:
                raise ValueError(f'{where}: {Path(xml).stem!r} is in {other}.txt too: an image '
                                 'belongs to one part')
    return found
