"""What the checks ask of a COCO annotation file."""

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from ..datasets.annotations import CocoFile, read_coco


class CocoFacts:
    """A COCO file's images, objects and categories, in the file's order.

    COCO's training set of 118,000 images takes a third of the time that parsing all of the file
    does, since the outlines of its objects are left out.

    Args:
        path: A local file.
        keep: Hold it for the data set of the run that is about to start.

    Raises:
        FileNotFoundError, ValueError: As `tresnet_mm.datasets.annotations.read_coco`.
    """

    def __init__(self, path: str, keep: bool = False) -> None:
        self.file: CocoFile = read_coco(path, outlines=False, keep=keep)

    @property
    def path(self) -> str:
        """The file."""
        return self.file.path

    @property
    def names(self) -> tuple[str, ...]:
        """The categories' names."""
        return self.file.classes

    @cached_property
    def name_of(self) -> dict[Any, str]:
        """Category id -> name."""
        return {category['id']: category['name'] for category in self.file.categories}

    @cached_property
    def image_of(self) -> dict[Any, dict[str, Any]]:
        """Image id -> entry."""
        return {image['id']: image for image in self.file.images}

    def images_of(self, classes: Sequence[str]) -> set[Any]:
        """Ids of the images with an annotation of one of these classes."""
        wanted = {key for key, name in self.name_of.items() if name in set(classes)}
        return {annotation['image_id'] for annotation in self.file.annotations
                if annotation['category_id'] in wanted}

    def boxes(self) -> Counter[tuple[Any, ...]]:
        """The objects as (image id, category, box), to compare two files by."""
        return Counter(
            (annotation['image_id'], self.name_of.get(annotation['category_id']),
             *annotation.get('bbox', ())) for annotation in self.file.annotations)
