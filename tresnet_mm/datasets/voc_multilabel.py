"""PASCAL VOC's object annotations read as image labels."""

from collections.abc import Mapping
from typing import Any

from mmengine.registry import DATASETS

from .annotations import read_voc_list, read_voc_objects
from .multilabel_dataset import MultiLabelDataset

_DIFFICULT = ('positive', 'unknown', 'negative')


@DATASETS.register_module()
class VOCMultiLabel(MultiLabelDataset):
    """Multi-label classification on PASCAL VOC, by default as VOC 2007 is reported.

    What a class counts as in an image where *all* its objects are marked difficult:

    - in training ``positive`` (the object is there), as the multi-label literature trains;
    - in testing ``unknown``: the pair of image and class is left out of the AP, as VOC's own
      classification evaluation does.

    Args:
        ann_file: List of image names, for example ``ImageSets/Main/trainval.txt``; what a line may
            be is said at `read_voc_list`.
        data_prefix: Folders of images (``img``) and of XML files (``ann``).
        difficult: ``positive``, ``unknown`` or ``negative``, for any mode; None for the above.
        img_suffix: Suffix of the image files.
        **kwargs: Arguments of `MultiLabelDataset`; ``data_root`` is the folder of one year, for
            example ``data/VOCdevkit/VOC2007/``.

    Raises:
        ValueError: An XML file cannot be parsed or declares entities, has a class that is not in
            ``classes``, or a name leaves the folder of images or XML files.
        FileNotFoundError: A listed image has no XML file.
    """

    METAINFO = dict(classes=(
        'aeroplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car', 'cat', 'chair', 'cow',
        'diningtable', 'dog', 'horse', 'motorbike', 'person', 'pottedplant', 'sheep', 'sofa',
        'train', 'tvmonitor'))  # fmt: skip

    def __init__(
        self,
        ann_file: str,
        data_prefix: Mapping = dict(img='JPEGImages/', ann='Annotations/'),
        difficult: str | None = None,
        img_suffix: str = '.jpg',
        **kwargs: Any,
    ) -> None:
        if difficult not in (None, *_DIFFICULT):
            raise ValueError(f'difficult must be None or one of {_DIFFICULT}, got {difficult!r}')
        if 'ann' not in data_prefix:
            raise ValueError(
                f'data_prefix must name the folder of XML files as ann=..., got {data_prefix}'
            )
        default = 'unknown' if kwargs.get('test_mode', False) else 'positive'
        self.difficult = difficult or default
        self.img_suffix = img_suffix
        super().__init__(ann_file=ann_file, data_prefix=data_prefix, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Read the list of images and the XML file of each."""
        index = self._set_classes(self._metainfo['classes'])
        listed = read_voc_list(
            self.ann_file, self.image_folder('ann'), self.img_suffix, self.backend_args)
        folder = self.image_folder()
        records = []
        for name, xml, where in listed:
            easy, difficult = self._read_objects(xml, index)
            positive = easy | difficult if self.difficult == 'positive' else easy
            unknown = difficult if self.difficult == 'unknown' else set()
            path = folder.path(name + self.img_suffix, where)
            records.append(self._record(path, name, positive, unknown))
        return self._select(records)

    def _read_objects(self, path: str, index: Mapping[str, int]) -> tuple[set[int], set[int]]:
        """Classes of the ordinary and of the difficult objects of an image."""
        found: tuple[set[int], set[int]] = set(), set()
        for name, difficult, _ in read_voc_objects(path, self.backend_args):
            if name not in index:
                raise ValueError(f'{path}: class {name!r} is not among {list(index)}')
            found[difficult].add(index[name])
        return found
