"""What the multi-label datasets share: class lists, label storage, empty images."""

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any, NamedTuple

import numpy as np
from mmengine.fileio import exists
from mmengine.logging import print_log
from mmengine.registry import TRANSFORMS

from .annotations import check_classes
from .image_dataset import ImageDataset
from .unknown_mask import unknown_mask


class LabelCounts(NamedTuple):
    """How many images have each class, int64 (num_classes,) each; together all images.

    Attributes:
        present: Images where the class is present.
        absent: Images where it is absent.
        unknown: Images where nobody knows.
    """

    present: np.ndarray
    absent: np.ndarray
    unknown: np.ndarray


class MultiLabelDataset(ImageDataset):
    """Images with any number of labels each.

    A record is ``dict(img_path, img_id, gt_labels, unknown_labels)``: the two label fields are
    sorted lists of class indices, so that a record stays small with thousands of classes; the
    packing transform spreads them to a vector. Where most is unknown, ``absent_labels`` stands in
    the place of ``unknown_labels``: whatever is neither there nor present is unknown. Records are
    kept pickled in one array (``serialize_data``, on by default), which loader processes share
    instead of copying.

    Sub-classes implement ``load_data_list`` and call `_record` and `_select`.

    Args:
        ann_file: Annotation file, relative to ``data_root`` or absolute.
        metainfo: May hold ``classes``, a sequence of names, which then decides which classes are
            used and in which order.
        data_root: Folder that relative paths start from.
        data_prefix: ``dict(img=FOLDER)``, the folder of the images.
        keep_empty: Keep images that have no label. Unlike mmdet's ``filter_empty_gt`` this holds
            in training and in testing alike.
        skip_missing: Leave out images whose file does not exist, and log how many. By default
            nobody looks for them before they are read, which then fails.
        backend_args: Arguments of mmengine's file backend for the annotation file.
        drop_labels: Config of a `DropLabels`, which hides labels of each record. It works on
            the record and not in the pipeline, so that samplers (`get_cat_ids`) and
            `count_labels` know no more than training does. Images stay, whatever is hidden.
        **kwargs: Arguments of `ImageDataset` (``allow_outside``) and of
            `BaseDataset`.
    """

    def __init__(
        self,
        ann_file: str,
        metainfo: Mapping | None = None,
        data_root: str = '',
        data_prefix: Mapping = dict(img=''),
        keep_empty: bool = False,
        skip_missing: bool = False,
        backend_args: dict | None = None,
        drop_labels: dict | None = None,
        **kwargs: Any,
    ) -> None:
        if 'img' not in data_prefix:
            raise ValueError(
                f'data_prefix must name the image folder as dict(img=FOLDER), got {data_prefix}'
            )
        self.keep_empty = keep_empty
        self.skip_missing = skip_missing
        self.backend_args = backend_args
        self.drop_labels = None if drop_labels is None else TRANSFORMS.build(drop_labels)
        super().__init__(
            ann_file=ann_file,
            metainfo=metainfo,
            data_root=data_root,
            data_prefix=dict(data_prefix),
            **kwargs,
        )

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the label vector."""
        return tuple(self._metainfo['classes'])

    def get_data_info(self, idx: int) -> dict:
        """Get a record, with ``sample_idx`` and the ``num_classes`` that packing needs."""
        info = super().get_data_info(idx)
        info['num_classes'] = len(self._metainfo['classes'])
        return info if self.drop_labels is None else self.drop_labels(info)

    def get_cat_ids(self, idx: int) -> list[int]:
        """Class indices of an image, as mmengine's ``ClassBalancedDataset`` asks for them."""
        return self.get_data_info(idx)['gt_labels']

    def count_labels(self) -> LabelCounts:
        """Count the labels of each class, as training sees them: after ``drop_labels``."""
        present, unknown = np.zeros((2, len(self.classes)), np.int64)
        for i in range(len(self)):
            info = self.get_data_info(i)
            present[info['gt_labels']] += 1
            unknown += unknown_mask(info)
        return LabelCounts(present, len(self) - present - unknown, unknown)

    def _set_classes(self, classes: Sequence[str]) -> dict[str, int]:
        """Use ``classes``; returns the index of each. Raises as `check_classes`."""
        self._metainfo['classes'] = check_classes(classes, self.ann_file)
        return {name: i for i, name in enumerate(classes)}

    @staticmethod
    def _record(img_path: str, img_id: int | str, labels: set[int],
                unknown: Set[int] = frozenset()) -> dict:
        """Build a record; a class that is both present and unknown is present."""
        return dict(
            img_path=img_path,
            img_id=img_id,
            gt_labels=sorted(labels),
            unknown_labels=sorted(unknown - labels),
        )

    def _select(self, records: list[dict]) -> list[dict]:
        """Leave out images that nothing is known about, unless ``keep_empty``."""
        if not self.keep_empty:
            records = [r for r in records if r['gt_labels'] or r['unknown_labels']]
        if not records:
            raise ValueError(
                f'{self.ann_file}: no image with a label'
                + ('' if self.keep_empty else '; keep_empty=True keeps those without')
            )
        if not self.skip_missing:
            return records
        found = self._found([record['img_path'] for record in records])
        return [record for record, there in zip(records, found, strict=True) if there]

    def _found(self, paths: Iterable[str]) -> np.ndarray:
        """Which image files exist, bool (N,); logs how many do not, raises if none does."""
        found = np.array([exists(path, backend_args=self.backend_args) for path in paths])
        missing = int((~found).sum())
        if missing == len(found):
            raise FileNotFoundError(
                f'none of the {missing} images of {self.ann_file} is in '
                f'{self.data_prefix["img"]!r}: set data_root and data_prefix=dict(img=...)')
        if missing:
            print_log(f'{missing} of {len(found)} images of {self.ann_file} do not exist and are '
                      'left out', logger='current')
        return found
