"""What data sets for boxes and image labels share: which of the two an image has."""
from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.structures import BaseDataElement

from .annotations import check_classes
from .image_dataset import ImageDataset
from .image_labels import path_key, read_image_labels, require_join
from .pack_multilabel_inputs import label_vector


class JointDataset(ImageDataset):
    """A base of detection data sets whose images may have labels of their own, or no boxes.

    After the pipeline a sample gets, for each kind of label that its image has, a field of that
    name: a ``BaseDataElement`` with ``gt_labels`` (num_classes,), 1 present, 0 absent, -1 unknown,
    and ``gt_label``, the class index as a tensor of one number, where there is exactly one. A
    sample of an image whose boxes nobody has annotated gets the metainfo ``has_boxes=False``:
    it is no picture of the background.

    Args:
        image_labels: For each kind of label its table, as `CustomMultiLabel` reads it, relative to
            ``data_root``: ``dict(weather='weather.csv')``. Its class list is
            ``metainfo['image_classes']['weather']``. Images that a table does not list have no
            labels of that kind.
        boxes: Whose boxes are annotated: True, of all images; False, of none; ``'some'``, of those
            that have any.
        extra_labels: Whether the tables may list images that are not in this data set.
        **kwargs: Arguments of `ImageDataset`.

    Raises:
        ValueError: As `read_image_labels` and `require_join`; an argument is none of these values,
            or the pipeline mixes images, whose labels would be those of one of them.
    """

    def __init__(self, *args: Any, image_labels: Mapping[str, Any] | None = None,
                 boxes: bool | str = True, extra_labels: bool = False, **kwargs: Any) -> None:
        if boxes not in (True, False, 'some'):
            raise ValueError(f"boxes should be True, False or 'some', got {boxes!r}")
        self.image_labels = dict(image_labels or {})
        self.boxes = boxes
        self.extra_labels = extra_labels
        super().__init__(*args, **kwargs)
        if self.is_joint:
            self._refuse_mixing()

    @property
    def is_joint(self) -> bool:
        """Whether there is anything but boxes."""
        return bool(self.image_labels) or self.boxes is not True

    @property
    def image_classes(self) -> dict[str, tuple[str, ...]]:
        """The class list of each kind of image label."""
        return self._metainfo.get('image_classes') or {}

    @classmethod
    def _load_metainfo(cls, metainfo: Any = None) -> dict:
        """As mmengine; the image classes as a plain dict of tuples, as checkpoints keep them."""
        loaded = super()._load_metainfo(metainfo)
        if 'image_classes' in loaded:
            given = loaded['image_classes']
            if not isinstance(given, Mapping):
                raise ValueError('metainfo["image_classes"] should be a dict, a class list for '
                                 f'each kind of label, got {given!r:.200}')
            loaded['image_classes'] = {
                kind: check_classes(names, f'metainfo["image_classes"][{kind!r}]')
                for kind, names in given.items()}
        return loaded

    def join(self, records: Sequence[dict[str, Any]], where: str) -> None:
        """Say of each record which labels and boxes its image has; to be called after reading."""
        if not self.is_joint:
            return
        labels = read_image_labels(self.image_labels, self.image_classes, self.image_folder(),
                                   self.data_root, getattr(self, 'backend_args', None))
        require_join(labels, [record['img_path'] for record in records], where, self.extra_labels)
        for record in records:
            record['image_labels'] = labels.get(path_key(record['img_path']), {})
            record['has_boxes'] = (bool(record['instances']) if self.boxes == 'some'
                                   else bool(self.boxes))
            if not record['has_boxes']:
                record['instances'] = []

    def tell_parts(self, records: Sequence[dict[str, Any]], where: str) -> None:
        """Log once how many images have boxes, and labels of each kind; after `join`."""
        counts = Counter(kind for record in records for kind in record['image_labels'])
        parts = [f'{sum(record["has_boxes"] for record in records)} with annotated boxes']
        parts += [f'{counts[kind]} with labels of {kind!r}' for kind in self.image_labels]
        print_log(f'{where}: of {len(records)} images {", ".join(parts)}', 'current')

    def prepare_data(self, idx: int) -> Any:
        """Run the pipeline on a record, and hand its image's labels on.

        Raises:
            ValueError: As `ImageDataset`; the pipeline drops an image because it has no boxes, or
                packs no sample.
        """
        data = super().prepare_data(idx)
        if not self.is_joint or not self.pipeline.transforms:
            return data
        record = self.get_data_info(idx)
        if data is None:
            if not record['has_boxes']:
                raise ValueError(
                    f'image {record["img_path"]!r} has no annotated boxes, and a transform leaves '
                    'such images out: RandomCrop needs allow_negative_crop=True')
            return None
        sample = data.get('data_samples') if isinstance(data, dict) else None
        if not isinstance(sample, BaseDataElement):
            raise ValueError(
                f'image {record["img_path"]!r}: the pipeline of a data set with image_labels must '
                'end with PackDetInputs (the images of MultiImageMixDataset have no labels of '
                'their own)')
        sample.set_metainfo(dict(has_boxes=record['has_boxes']))
        for kind, given in record['image_labels'].items():
            sample.set_field(_element(given, len(self.image_classes[kind])), kind)
        return data

    def _refuse_mixing(self) -> None:
        for transform in self.pipeline.transforms:
            name = type(transform).__name__
            if self.image_labels and ('Mosaic' in name or 'MixUp' in name):
                raise ValueError(f'{name} mixes images, and the result would have the image_labels '
                                 'of one of them: leave it out of the pipeline')


def _element(given: tuple[list[int], list[int]], num_classes: int) -> BaseDataElement:
    """Sample field of an image's labels, present and unknown."""
    present, unknown = given
    element = BaseDataElement(gt_labels=label_vector(
        dict(gt_labels=present, unknown_labels=unknown, num_classes=num_classes)))
    if len(present) == 1 and not unknown:
        element.gt_label = torch.tensor(present)
    return element
