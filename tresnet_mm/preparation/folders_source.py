"""Images in folders named after their classes, with or without folders of the parts above."""
from __future__ import annotations

from .source_builder import SourceBuilder
from .source_data import SourceData
from .source_files import SourceFiles, part_folder


def read_folders(files: SourceFiles) -> SourceData:
    """Read ``CLASS/image`` or ``PART/CLASS/image``: one label an image, classes sorted.

    Folders inside that of a class belong to it.

    Raises:
        FileNotFoundError: No image lies in a folder.
        ValueError: Some folders are named after parts and some are not; an image cannot be read.
    """
    paths = [image.relative_to(files.root).parts for image in files.images]
    tops = sorted({path[0] for path in paths if len(path) > 1})
    if not tops:
        raise FileNotFoundError(f'{files.root}: no image in folders named after classes')
    by_part = [top for top in tops if part_folder(top)]
    if by_part and len(by_part) < len(tops):
        other = next(top for top in tops if top not in by_part)
        raise ValueError(f'{files.root}: folder {by_part[0]!r} is named after a part and {other!r} '
                         'is not: all folders should be parts, or all classes')
    depth = 1 if by_part else 0
    classes = sorted({path[depth] for path in paths if len(path) > depth + 1})
    builder = SourceBuilder('folders', files.root)
    for image, path in zip(files.images, paths, strict=True):
        if len(path) < depth + 2:
            builder.count('images outside the folders of the classes: left out', str(image))
            continue
        builder.add(image, str(image), labels=frozenset([classes.index(path[depth])]),
                    part=part_folder(path[0]) if by_part else None)
    return builder.build(classes)
