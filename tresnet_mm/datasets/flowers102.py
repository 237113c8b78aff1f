"""Oxford Flowers 102 from its own files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.registry import DATASETS

from .annotations import read_mat
from .multilabel_dataset import MultiLabelDataset

SPLITS = dict(train=('trnid',), val=('valid',), trainval=('trnid', 'valid'), test=('tstid',))


@DATASETS.register_module()
class Flowers102(MultiLabelDataset):
    """102 kinds of flowers: ``jpg/image_00001.jpg``, ``imagelabels.mat`` and ``setid.mat``.

    The files give the classes no names: they are called '1' to '102' unless
    ``metainfo['classes']`` names them.

    Args:
        split: 'train' and 'val' (1020 images each), 'trainval', or 'test' (6149).
        ann_file: The labels.
        split_file: The sets.
        data_prefix: Folder of the images.
        **kwargs: Arguments of `MultiLabelDataset`.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: Unknown split, or a file that is damaged or another.
    """

    def __init__(self, split: str, ann_file: str = 'imagelabels.mat',
                 split_file: str = 'setid.mat', data_prefix: Mapping = dict(img='jpg'),
                 data_root: str = '', **kwargs: Any) -> None:
        if split not in SPLITS:
            raise ValueError(f'split must be one of {list(SPLITS)}, got {split!r}')
        self.split = split
        self.split_file = str(Path(data_root, split_file))
        super().__init__(ann_file=ann_file, data_prefix=data_prefix, data_root=data_root, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Read labels and sets."""
        labels = read_mat(self.ann_file, 'labels')[0].ravel()
        numbers = np.concatenate(
            [part.ravel() for part in read_mat(self.split_file, *SPLITS[self.split])])
        classes = self._metainfo.get('classes') or tuple(str(c) for c in range(1, 103))
        self._set_classes(classes)
        if not len(labels) or labels.min() < 1 or labels.max() > len(classes):
            raise ValueError(f'{self.ann_file}: labels must lie between 1 and {len(classes)}')
        if not len(numbers) or numbers.min() < 1 or numbers.max() > len(labels):
            raise ValueError(f'{self.split_file}: images must lie between 1 and {len(labels)}, the '
                             f'number of labels in {self.ann_file}')
        folder = self.image_folder()
        names = [(f'image_{int(number):05d}.jpg', int(number)) for number in numbers]
        return [self._record(folder.path(name, self.split_file), name, {int(labels[n - 1]) - 1})
                for name, n in names]
