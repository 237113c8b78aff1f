"""Images in a folder for each class, ImageNet's among them."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.registry import DATASETS

from .annotations import read_text
from .multilabel_dataset import MultiLabelDataset

SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff', '.ppm')


@DATASETS.register_module()
class ImageFolderSingleLabel(MultiLabelDataset):
    """Single-label classification where each class has a folder of its images.

    Classes are the names of the folders, sorted; ``metainfo['classes']``, which may be the file of
    a name on each line, decides which are used and in which order. An image may lie deeper in its
    class's folder. Only a local file system is read.

    Args:
        ann_file: No file.
        data_prefix: ``dict(img=FOLDER)``, the folder that holds those of the classes.
        **kwargs: Arguments of `MultiLabelDataset`.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: It holds no folder, a class has none, or there is no image.
    """

    def __init__(self, ann_file: str = '', data_prefix: Mapping = dict(img=''),
                 **kwargs: Any) -> None:
        super().__init__(ann_file=ann_file, data_prefix=data_prefix, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Find the images of each class, sorted by class and name."""
        root = Path(self.data_prefix['img'])
        if not root.is_dir():
            raise FileNotFoundError(f'there is no folder {str(root)!r}, which should hold one '
                                    'folder for each class')
        found = sorted(entry.name for entry in root.iterdir()
                       if entry.is_dir() and not entry.name.startswith('.'))
        if not found:
            raise ValueError(f'{str(root)!r} holds no folders of classes')
        classes = self._metainfo.get('classes') or found
        missing = [name for name in classes if name not in found]
        if missing:
            raise ValueError(f'{str(root)!r} has no folder for the classes {missing[:10]}')
        index = self._set_classes(classes)
        folder = self.image_folder()
        records = [self._record(folder.path(name, str(root)), name, {index[cls]})
                   for cls in classes for name in _images(root, cls)]
        if not records:
            raise ValueError(f'{str(root)!r}: no image ({", ".join(SUFFIXES)}) in its folders')
        return records


def _images(root: Path, cls: str) -> list[str]:
    """Names of a class's images, from ``root``, sorted."""
    return sorted(
        os.path.relpath(os.path.join(folder, name), root)
        for folder, _, names in os.walk(root / cls) for name in names
        if name.lower().endswith(SUFFIXES) and not name.startswith('.'))


@DATASETS.register_module()
class ImageNet(ImageFolderSingleLabel):
    """ImageNet-1k as it is unpacked: ``train/n01440764/...`` and ``val``.

    Classes are the sorted synsets, which is the order of the published networks' outputs. The
    validation images may lie in folders of synsets too, or all in one folder, as in the original
    archive: then ``ann_file`` lists them, an image and its class on each line
    (``ILSVRC2012_val_00000001.JPEG 65``), the class as a synset or as its index from 0 among the
    sorted synsets, and ``metainfo=dict(classes=FILE)`` names the synsets. (The numbers of
    the development kit's ``ILSVRC2012_validation_ground_truth.txt`` are in another order.)

    Args:
        ann_file: The list, or '' for folders.
        data_prefix: ``dict(img=FOLDER)``.
        **kwargs: Arguments of `MultiLabelDataset`.

    Raises:
        ValueError: With file and line: no image and class, or no such class; or as
            `ImageFolderSingleLabel`.
    """

    def load_data_list(self) -> list[dict]:
        """Read the folders or the list."""
        if not self.ann_file:
            return super().load_data_list()
        classes = self._metainfo.get('classes')
        if not classes:
            raise ValueError(f'{self.ann_file}: a list of images needs metainfo=dict(classes=...), '
                             'the sorted synsets')
        index = self._set_classes(classes)
        folder = self.image_folder()
        records = []
        for number, line in enumerate(read_text(self.ann_file, self.backend_args).split('\n'), 1):
            if not line.strip():
                continue
            where = f'{self.ann_file}:{number}'
            name, _, cls = line.strip().rpartition(' ')
            label = index.get(cls, int(cls) if cls.isascii() and cls.isdigit() else -1)
            if not name or not 0 <= label < len(index):
                raise ValueError(f'{where}: expected an image and a synset or an index from 0 to '
                                 f'{len(index) - 1}, got {line[:200]!r}')
            records.append(self._record(folder.path(name.strip(), where), name.strip(), {label}))
        return self._select(records)
