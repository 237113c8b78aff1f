"""CIFAR-10 and CIFAR-100 in their binary version, which needs no pickle."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.registry import DATASETS

from .annotations import check_regular_file, read_text
from .multilabel_dataset import MultiLabelDataset

SIDE = 32
_PIXELS = 3 * SIDE * SIDE


class BinaryCIFAR(MultiLabelDataset):
    """Images of 32 x 32 pixels in files of fixed records.

    A record has ``img`` (32, 32, 3), BGR, so that the pipeline has no loader of files.

    Args:
        ann_file: No file.
        data_root: The unpacked folder of the *binary* version.
        train: Whether to read the training or the test images.
        **kwargs: Arguments of `MultiLabelDataset`.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file is not of whole records, or a label is no class.
    """

    train_files: tuple[str, ...]
    test_files: tuple[str, ...]
    names_file: str
    #: Bytes before the pixels, of which the last is the class.
    label_bytes: int

    def __init__(self, ann_file: str = '', data_root: str = '', train: bool = True,
                 data_prefix: Mapping = dict(img=''), **kwargs: Any) -> None:
        self.train = train
        super().__init__(ann_file=ann_file, data_root=data_root, data_prefix=data_prefix, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Read the images into memory, and their labels."""
        root = Path(self.data_root)
        names = self._read_names(root / self.names_file)
        if self._metainfo.get('classes') not in (None, names):
            raise ValueError(f'{type(self).__name__} has the classes of {self.names_file}, in that '
                             'order; leave metainfo out')
        self._set_classes(names)
        records, images = [], []
        for name in self.train_files if self.train else self.test_files:
            labels, pixels = self._read_images(root / name, len(names))
            images.append(pixels)
            records += [self._record('', f'{name}:{i}', {label})
                        for i, label in enumerate(labels.tolist())]
        self.images = np.concatenate(images)
        return [dict(record, position=i) for i, record in enumerate(records)]

    def get_data_info(self, idx: int) -> dict:
        """Get a record with its image."""
        info = super().get_data_info(idx)
        image = self.images[info.pop('position')].reshape(3, SIDE, SIDE)
        info['img'] = np.ascontiguousarray(image[::-1].transpose(1, 2, 0))  # RGB planes to BGR
        info['img_path'] = info['img_id']
        info['img_shape'] = info['ori_shape'] = (SIDE, SIDE)
        return info

    def _read_names(self, path: Path) -> tuple[str, ...]:
        try:
            text = read_text(str(path), self.backend_args)
        except FileNotFoundError:
            raise FileNotFoundError(
                f'there is no {str(path)!r}: data_root of {type(self).__name__} is the unpacked '
                'folder of the binary version (the Python version is pickles, which are not read)'
            ) from None
        return tuple(line.strip() for line in text.split('\n') if line.strip())

    def _read_images(self, path: Path, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
        """Labels (N,) and pixels (N, 3072), uint8."""
        size, record = check_regular_file(str(path)), self.label_bytes + _PIXELS
        if not size or size % record:
            raise ValueError(f'{str(path)!r} has {size} bytes, which is no multiple of the '
                             f'{record} of one image: it is damaged or another file')
        data = np.fromfile(path, np.uint8).reshape(-1, record)
        labels = data[:, self.label_bytes - 1]
        if labels.max() >= num_classes:
            first = int((labels >= num_classes).argmax())
            raise ValueError(f'{str(path)!r}: image {first} has the label {labels[first]}, but '
                             f'there are {num_classes} classes')
        return labels, data[:, self.label_bytes:]


@DATASETS.register_module()
class CIFAR10(BinaryCIFAR):
    """CIFAR-10, its folder ``cifar-10-batches-bin``; arguments and errors as `BinaryCIFAR`."""

    train_files = tuple(f'data_batch_{i}.bin' for i in range(1, 6))
    test_files = ('test_batch.bin',)
    names_file = 'batches.meta.txt'
    label_bytes = 1


@DATASETS.register_module()
class CIFAR100(BinaryCIFAR):
    """CIFAR-100 with fine labels, its folder ``cifar-100-binary``; as `BinaryCIFAR`."""

    train_files = ('train.bin',)
    test_files = ('test.bin',)
    names_file = 'fine_label_names.txt'
    label_bytes = 2
