"""Images with labels and without boxes, beside a detection data set."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmdet.datasets import CocoDataset
from mmengine.registry import DATASETS

from .image_file import read_image_size
from .image_labels import read_image_labels
from .joint_dataset import JointDataset


@DATASETS.register_module()
class LabelledImages(JointDataset):
    """The images that label tables list; nobody has annotated boxes of theirs.

    For a `ConcatDataset` with a detection data set, whose pipeline it takes: that of a joint
    model gets no detector loss from these images. ``metainfo`` has to be the other data set's.

    Args:
        image_labels: As in `JointDataset`; together the tables list the images.
        data_root: Folder that relative paths start from.
        data_prefix: ``dict(img=FOLDER)``, the folder of the images.
        backend_args: Arguments of mmengine's file backend for the tables.
        **kwargs: Arguments of `ImageDataset` and mmengine's ``BaseDataset``.

    Raises:
        ValueError: As `read_image_labels`, or there is no image.
        FileNotFoundError: There is no such table or image.
    """

    METAINFO: dict = CocoDataset.METAINFO

    def __init__(self, image_labels: Mapping[str, Any], data_root: str = '',
                 data_prefix: Mapping[str, str] = dict(img=''), backend_args: dict | None = None,
                 **kwargs: Any) -> None:
        if not image_labels:
            raise ValueError('image_labels should name a label table for each kind of label, got '
                             f'{image_labels!r}')
        self.backend_args = backend_args
        super().__init__(image_labels=image_labels, boxes=False, ann_file='', data_root=data_root,
                         data_prefix=dict(data_prefix), **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read the tables, and from the images' headers their sizes, which batches go by."""
        labels = read_image_labels(self.image_labels, self.image_classes, self.image_folder(),
                                   self.data_root, self.backend_args)
        where = ', '.join(map(str, self.image_labels.values()))
        if not labels:
            raise ValueError(f'{where}: no image is listed')
        records: list[dict[str, Any]] = []
        for path in labels:
            width, height = read_image_size(path, self.backend_args)
            records.append(dict(img_path=path, img_id=path, seg_map_path=None, instances=[],
                                width=width, height=height))
        self.join(records, where)
        self.tell_parts(records, where)
        return records
