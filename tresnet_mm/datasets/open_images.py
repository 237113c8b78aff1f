"""Open Images' labels that people verified, for classification with partial labels."""

from collections.abc import Iterator, Mapping
from os.path import join
from typing import Any

from mmengine.logging import print_log
from mmengine.registry import DATASETS

from .annotations import (
    read_class_descriptions,
    read_class_ids,
    read_open_images_labels,
)
from .multilabel_dataset import MultiLabelDataset


@DATASETS.register_module()
class OpenImages(MultiLabelDataset):
    """Open Images V4 to V7: verified positives, verified negatives, and all else unknown.

    An image has a handful of verified labels of thousands of classes. Records hold only these; the
    others become ``unknown_labels`` when a record is asked for.

    Args:
        ann_file: Labels by people, such as
            ``oidv6-train-annotations-human-imagelabels.csv``.
        class_descriptions: The file of all identifiers and names.
        class_ids: The file of the identifiers to use, such as ``classes-trainable.txt``, which
            also gives their order; labels of other classes are left out. None: all that have a
            description. ``metainfo['classes']`` may choose among the names, in another order.
        img_suffix: Suffix of the image files, whose names are the images' ids.
        **kwargs: Arguments of `MultiLabelDataset`; ``data_root`` is where the files lie, and
            ``data_prefix['img']`` the folder of the part's images.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: With file and line: a label that a machine gave (its confidence is neither 0 nor
            1), an identifier without a description, a broken row. Or a class in ``metainfo`` that
            is not in the files.
    """

    def __init__(self, ann_file: str, class_descriptions: str = 'class-descriptions.csv',
                 class_ids: str | None = None, img_suffix: str = '.jpg', **kwargs: Any) -> None:
        self.class_descriptions = class_descriptions
        self.class_ids = class_ids
        self.img_suffix = img_suffix
        super().__init__(ann_file=ann_file, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Read the classes and the labels."""
        index = self._read_classes()
        verified = self._read_labels(index)
        return self._select(list(self._records(verified)))

    def _read_classes(self) -> dict[str, int | None]:
        """Identifier to class index; None for a class that is not used."""
        names = read_class_descriptions(self._path(self.class_descriptions), self.backend_args)
        used = list(names)
        if self.class_ids is not None:
            used = read_class_ids(self._path(self.class_ids), names, self.backend_args)
        by_name = {names[key]: key for key in used}
        classes = self._metainfo.get('classes') or tuple(by_name)
        unheard = [name for name in classes if name not in by_name]
        if unheard:
            raise ValueError(f'{self.class_descriptions}: the classes {unheard[:5]} of metainfo '
                             f'are not among the {len(by_name)} names')
        index: dict[str, int | None] = dict.fromkeys(names)
        index.update({by_name[name]: place for name, place in self._set_classes(classes).items()})
        return index

    def _read_labels(self, index: Mapping[str, int | None]) -> dict[str, dict[int, bool | None]]:
        """Image id to its verified classes; None where people contradict each other."""
        images: dict[str, dict[int, bool | None]] = {}
        contradictions = 0
        for label in read_open_images_labels(self.ann_file, self.backend_args):
            if label.class_id not in index:
                raise ValueError(f'{self.ann_file}:{label.line}: class {label.class_id[:60]!r} is '
                                 f'not in {self.class_descriptions}')
            place = index[label.class_id]
            if place is None:
                continue
            seen = images.setdefault(label.image_id, {})
            if seen.setdefault(place, label.present) is not label.present:
                contradictions += seen[place] is not None
                seen[place] = None
        if contradictions:
            print_log(f'{self.ann_file}: {contradictions} labels are verified as present and as '
                      'absent; they count as unknown', 'current')
        return images

    def _records(self, verified: Mapping[str, Mapping[int, bool | None]]) -> Iterator[dict]:
        folder = self.image_folder()
        for image_id, labels in verified.items():
            yield self._record(
                folder.path(image_id + self.img_suffix, f'{self.ann_file}: image {image_id!r}'),
                image_id, {place for place, present in labels.items() if present},
                absent={place for place, present in labels.items() if present is False})

    def _path(self, name: str) -> str:
        return join(self.data_root, name)
