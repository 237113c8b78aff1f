"""CIFAR-10 and CIFAR-100, in their binary and in their Python version."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.registry import DATASETS

from .cifar_files import SIDE, BinaryFiles, PythonFiles
from .multilabel_dataset import MultiLabelDataset


class CIFAR(MultiLabelDataset):
    """Images of 32 x 32 pixels that come in a few files, with their labels.

    A record has ``img`` (32, 32, 3), BGR, so that the pipeline has no loader of files. The Python
    version's pickles are read as data: nothing that they name is run.

    Args:
        ann_file: No file.
        data_root: The unpacked folder, of either version.
        train: Whether to read the training or the test images.
        **kwargs: Arguments of `MultiLabelDataset`.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file is damaged or another one, or a label is no class.
    """

    forms: tuple[BinaryFiles | PythonFiles, ...]

    def __init__(self, ann_file: str = '', data_root: str = '', train: bool = True,
                 data_prefix: Mapping = dict(img=''), **kwargs: Any) -> None:
        self.train = train
        super().__init__(ann_file=ann_file, data_root=data_root, data_prefix=data_prefix, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Read the images into memory, and their labels."""
        root = Path(self.data_root)
        form = self._form(root)
        names = form.read_names(root)
        if self._metainfo.get('classes') not in (None, names):
            raise ValueError(f'{type(self).__name__} has the classes of {form.names}, in that '
                             'order; leave metainfo out')
        self._set_classes(names)
        records, images = [], []
        for name in form.train if self.train else form.test:
            labels, pixels = form.read_images(root / name)
            if labels.max() >= len(names):
                first = int((labels >= len(names)).argmax())
                raise ValueError(f'{str(root / name)!r}: image {first} has the label '
                                 f'{labels[first]}, but there are {len(names)} classes')
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

    def _form(self, root: Path) -> BinaryFiles | PythonFiles:
        for form in self.forms:
            if (root / form.names).exists():
                return form
        raise FileNotFoundError(
            f'there is neither {" nor ".join(form.names for form in self.forms)} in {str(root)!r}: '
            f'data_root of {type(self).__name__} is the unpacked folder of the binary or of the '
            'Python version')


@DATASETS.register_module()
class CIFAR10(CIFAR):
    """CIFAR-10, its folder ``cifar-10-batches-bin`` or ``cifar-10-batches-py``; as `CIFAR`."""

    forms = (
        BinaryFiles('batches.meta.txt', tuple(f'data_batch_{i}.bin' for i in range(1, 6)),
                    ('test_batch.bin',), label_bytes=1),
        PythonFiles('batches.meta', tuple(f'data_batch_{i}' for i in range(1, 6)),
                    ('test_batch',), 'label_names', 'labels'))


@DATASETS.register_module()
class CIFAR100(CIFAR):
    """CIFAR-100's fine labels, its folder ``cifar-100-binary`` or ``cifar-100-python``."""

    forms = (BinaryFiles('fine_label_names.txt', ('train.bin',), ('test.bin',), label_bytes=2),
             PythonFiles('meta', ('train',), ('test',), 'fine_label_names', 'fine_labels'))
