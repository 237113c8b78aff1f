"""Open Images' image-level labels from its own files."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.logging import print_log
from mmengine.registry import DATASETS

from .annotations import (
    ImageFolder,
    ImageLabels,
    read_class_descriptions,
    read_class_list,
    read_image_labels,
)
from .multilabel_dataset import MultiLabelDataset


@DATASETS.register_module()
class OpenImages(MultiLabelDataset):
    """Multi-label classification on Open Images V4 to V7, where few labels are known of an image.

    A label is present or absent where a row of the table says so (``Confidence`` 1 or 0), and
    unknown everywhere else. Tables have millions of rows and classes are thousands, so they are
    read row by row, and kept in arrays that loader processes share (``serialize_data`` has no
    part in it): a record has ``absent_labels`` in the place of ``unknown_labels``.

    Images are ``FOLDER/<ImageID>.jpg``. Images of which no label is known are left out unless
    ``keep_empty``; of images that are not in the table nothing is known here.

    Args:
        ann_file: The table, for example ``train-annotations-human-imagelabels.csv``.
        class_file: Names of the classes, ``class-descriptions.csv``, with a header or without.
        class_list: List of the classes to use, in this order, such as ``classes-trainable.txt``.
            Rows of other classes of ``class_file`` are passed over. Default: all of them.
        min_confidence: For tables of a machine's labels, whose confidences are fractions: from this
            one on a label counts as present, from there down to 0 as unknown. By default a
            fraction is an error.
        conflict: 'error', or 'unknown' to leave out labels that some rows say are present and
            others are absent.
        **kwargs: Arguments of `MultiLabelDataset`, but for ``serialize_data``; ``data_prefix`` is
            the folder of the split's images, for example ``dict(img='train/')``, and
            ``metainfo=dict(classes=...)``, names of ``class_file``, keeps only these, in this
            order.

    Raises:
        FileNotFoundError: A file is missing; with ``skip_missing``, all images are.
        ValueError: An argument is wrong; or as `read_class_descriptions`, `read_class_list` and
            `read_image_labels`, with file and line.
    """

    def __init__(self, ann_file: str, class_file: str, class_list: str | None = None,
                 min_confidence: float | None = None, conflict: str = 'error',
                 **kwargs: Any) -> None:
        if min_confidence is not None and not 0 < min_confidence <= 1:
            raise ValueError(f'min_confidence must be in (0, 1], got {min_confidence}')
        if conflict not in ('error', 'unknown'):
            raise ValueError(f"conflict must be 'error' or 'unknown', got {conflict!r}")
        self.class_file = class_file
        self.class_list = class_list
        self.min_confidence = min_confidence
        self.conflict = conflict
        super().__init__(ann_file=ann_file, serialize_data=False, **kwargs)

    def load_data_list(self) -> Sequence[dict]:
        """Read the classes and the table."""
        labels = read_image_labels(self.ann_file, self._read_classes(), self.min_confidence,
                                   self.conflict, self.backend_args)
        if labels.conflicts:
            print_log(f'{labels.conflicts} labels of {self.ann_file} are unknown, since rows '
                      'contradict each other', logger='current')
        if not self.keep_empty:
            labels = labels.keep(np.diff(labels.starts) > 0)
        if not len(labels.images):
            raise ValueError(f'{self.ann_file}: no image with a label of the '
                             f'{len(self.classes)} classes')
        records = ImageRecords(labels, self.image_folder(), self.ann_file)
        if self.skip_missing:
            records.labels = labels.keep(self._found(map(records.path, range(len(records)))))
        return records

    def _read_classes(self) -> dict[str, int | None]:
        """Index of each identifier; None for a class that is not used."""
        path = os.path.join(self.data_root, self.class_file)
        names = read_class_descriptions(path, self.backend_args)
        used = list(names)
        if self.class_list is not None:
            used = read_class_list(
                os.path.join(self.data_root, self.class_list), names, self.backend_args)
        wanted = self._metainfo.get('classes')
        if wanted is not None:
            by_name = {names[mid]: mid for mid in used}
            wrong = [name for name in wanted if name not in by_name]
            if wrong:
                raise ValueError(f'{path}: no such class among the {len(used)}: {wrong[:10]}')
            used = [by_name[name] for name in wanted]
        self._set_classes([names[mid] for mid in used])
        index: dict[str, int | None] = dict.fromkeys(names)
        index.update((mid, label) for label, mid in enumerate(used))
        return index


class ImageRecords(Sequence):
    """Records that are made when they are asked for, since as dicts they would fill the memory.

    Args:
        labels: The labels.
        folder: The folder of the images.
        where: Where their names come from, for messages.
    """

    def __init__(self, labels: ImageLabels, folder: ImageFolder, where: str) -> None:
        self.labels = labels
        self._folder = folder
        self._where = where

    def __len__(self) -> int:
        return len(self.labels.images)

    def path(self, index: int) -> str:
        """The path of an image; errors of `ImageFolder`."""
        image = self.labels.images[index].decode()
        return self._folder.path(f'{image}.jpg', f'{self._where}: image {image!r}')

    def __getitem__(self, index: Any) -> Any:
        """A record, or a list of them for a slice."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        rows = slice(*self.labels.starts[index:index + 2])
        labels, present = self.labels.labels[rows], self.labels.present[rows]
        return dict(
            img_path=self.path(index), img_id=self.labels.images[index].decode(),
            gt_labels=labels[present].tolist(), absent_labels=labels[~present].tolist())
