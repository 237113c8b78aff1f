"""A source put together image by image: sizes from headers, boxes judged, what was mended counted.

No image is decoded.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ..datasets.annotations import check_classes
from ..datasets.image_file import read_image_orientation, read_image_size
from .source_data import Box, SourceData, SourceImage

#: What is at most this far out of its image is rounding, and cut without a word.
_ROUNDING = 1e-3


class SourceBuilder:
    """Collects the images of a source.

    Args:
        source_format: `SourceData.format`.
        image_root: Absolute; what the images' names are relative to.
    """

    def __init__(self, source_format: str, image_root: Path) -> None:
        self.format = source_format
        self.image_root = image_root
        self._images: dict[str, SourceImage] = {}
        self._where: dict[str, str] = {}
        self._notes: list[str] = []
        self._counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def note(self, sentence: str) -> None:
        """Say what was found."""
        self._notes.append(sentence)

    def count(self, what: str, where: str) -> None:
        """Count what was left out or mended; the first place is named."""
        self._counts[what] += 1
        self._first.setdefault(what, where)

    def add(self, file: Path, where: str, *, boxes: Iterable[Box] | None = None,
            labels: frozenset[int] | None = None, unknown: frozenset[int] = frozenset(),
            part: str | None = None, annotated_size: tuple[int, int] | None = None) -> None:
        """Add an image.

        Args:
            file: The image; below the root.
            where: The file and entry that name it, for messages.
            boxes: In pixels of the annotated size; they may be wrong still.
            labels: As of `SourceImage`; None with boxes for the classes of the boxes, where
                a class that has only boxes to ignore is unknown.
            unknown: As of `SourceImage`.
            part: As of `SourceImage`.
            annotated_size: (width, height) that the boxes are said to be for. Where it is the size
                before EXIF turning, so are the boxes, and they are turned; else the image counts.

        Raises:
            FileNotFoundError: There is no such image.
            ValueError: It is no image, or was added before.
        """
        name = file.relative_to(self.image_root).as_posix()
        if name in self._images:
            raise ValueError(f'{where}: image {name!r} is listed twice, first by '
                             f'{self._where[name]}: keep one of the two')
        stored, orientation = _header(file, where)
        shown = stored[::-1] if orientation >= 5 else stored
        if boxes is not None:
            boxes = list(boxes)
            if annotated_size not in (None, shown):
                if annotated_size == stored:
                    boxes = [turn_box(box, orientation, stored) for box in boxes]
                    self.count('images whose boxes are for the image before EXIF turning: turned '
                               'with it', where)
                else:
                    self.count('images of another size than annotated: the real size counts', where)
            boxes = [box for box in (self._judge(box, shown, where) for box in boxes) if box]
            if labels is None:
                labels = frozenset(box.label for box in boxes if not box.ignore)
                unknown |= frozenset(box.label for box in boxes) - labels
        self._where[name] = where
        self._images[name] = SourceImage(
            file, name, *shown, None if boxes is None else tuple(boxes), labels, unknown, part)

    def add_shares(self, file: Path, where: str,
                   boxes_of: Callable[[tuple[int, int]], Iterable[Box]], part: str | None) -> None:
        """Add an image whose boxes depend on its (width, height) as it is shown.

        Raises:
            FileNotFoundError, ValueError: As `add`.
        """
        stored, orientation = _header(file, where)
        shown = stored[::-1] if orientation >= 5 else stored
        self.add(file, where, boxes=boxes_of(shown), part=part)

    def _judge(self, box: Box, size: tuple[int, int], where: str) -> Box | None:
        if box.width <= 0 or box.height <= 0:
            self.count('empty or inverted boxes: left out', where)
            return None
        left, top = max(box.x, 0), max(box.y, 0)
        right = min(box.x + box.width, size[0])
        bottom = min(box.y + box.height, size[1])
        if right <= left or bottom <= top:
            self.count('boxes outside their image: left out', where)
            return None
        out = max(left - box.x, top - box.y, box.x + box.width - right,
                  box.y + box.height - bottom)
        if out <= 0:
            return box
        if out > _ROUNDING:
            self.count('boxes beyond the border of their image: clipped', where)
        return box._replace(x=left, y=top, width=right - left, height=bottom - top)

    def build(self, classes: Sequence[str]) -> SourceData:
        """The source, its images in the order of their names.

        Raises:
            ValueError: It has no image, or its class names are no list of names.
        """
        root = str(self.image_root)
        if not self._images:
            raise ValueError(f'{root}: no image with annotations was found')
        classes = check_classes(classes, root)
        strange = [name for name in classes if name != name.strip() or len(name.splitlines()) > 1]
        if strange:
            raise ValueError(f'{root}: class name {strange[0]!r} begins or ends with a blank, or '
                             'has more than one line: rename it')
        notes = [*self._notes, *(f'{number} {what}; first in {self._first[what]}.'
                                 for what, number in self._counts.items())]
        images = tuple(self._images[name] for name in sorted(self._images))
        return SourceData(self.format, self.image_root, tuple(classes), images, tuple(notes))


def turn_box(box: Box, orientation: int, size: tuple[int, int]) -> Box:
    """A box of an image as it is stored, in the image as EXIF orientation 5 to 8 shows it.

    Args:
        box: The box.
        orientation: 5 to 8, those that exchange width and height.
        size: (width, height) as stored.
    """
    right, bottom = size[0] - box.x - box.width, size[1] - box.y - box.height
    x = box.y if orientation in (5, 8) else bottom
    y = box.x if orientation in (5, 6) else right
    return box._replace(x=x, y=y, width=box.height, height=box.width)


def _header(file: Path, where: str) -> tuple[tuple[int, int], int]:
    try:
        return read_image_size(str(file)), read_image_orientation(str(file))
    except FileNotFoundError:
        raise FileNotFoundError(f'{where}: image {str(file)!r} does not exist') from None
    except (OSError, ValueError) as error:
        raise ValueError(f'{where}: image {str(file)!r} cannot be read: {error}') from None
