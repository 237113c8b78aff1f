"""PASCAL VOC's object annotations read as image labels."""

import xml.etree.ElementTree as ET
from collections.abc import Mapping

from mmengine.fileio import get_text, join_path, list_from_file
from mmengine.registry import DATASETS

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
        ann_file: List of image names without suffix, for example ``ImageSets/Main/trainval.txt``.
        data_root: Folder of one year, for example ``data/VOCdevkit/VOC2007/``.
        data_prefix: Folders of images (``img``) and of XML files (``ann``).
        difficult: ``positive``, ``unknown`` or ``negative``, for any mode; None for the above.
        img_suffix: Suffix of the image files.
        **kwargs: Arguments of :class:`MultiLabelDataset`.

    Raises:
        ValueError: An XML file cannot be parsed, or has a class that is not in ``classes``.
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
        **kwargs,
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
        lines = list_from_file(self.ann_file, backend_args=self.backend_args)
        names = [line.split()[0] for line in lines if line.strip()]
        return self._select([self._load_image(name, index) for name in names])

    def _load_image(self, name: str, index: Mapping[str, int]) -> dict:
        easy, difficult = self._read_objects(name, index)
        positive = easy | difficult if self.difficult == 'positive' else easy
        unknown = difficult if self.difficult == 'unknown' else set()
        path = join_path(self.data_prefix['img'], name + self.img_suffix)
        return self._record(path, name, positive, unknown)

    def _read_objects(self, name: str, index: Mapping[str, int]) -> tuple[set[int], set[int]]:
        """Classes of the ordinary and of the difficult objects of an image."""
        path = join_path(self.data_prefix['ann'], name + '.xml')
        try:
            root = ET.fromstring(get_text(path, backend_args=self.backend_args))
        except ET.ParseError as error:
            raise ValueError(f'{path}: not an XML file: {error}') from error
        except FileNotFoundError as error:
            raise FileNotFoundError(f'{path}: no such file, but {self.ann_file} lists {name}') \
                from error
        easy: set[int] = set()
        difficult: set[int] = set()
        for obj in root.iter('object'):
            cls = (obj.findtext('name') or '').strip()
            if cls not in index:
                raise ValueError(f'{path}: class {cls!r} is not among {list(index)}')
            hard = (obj.findtext('difficult') or '0').strip() == '1'
            (difficult if hard else easy).add(index[cls])
        return easy, difficult
