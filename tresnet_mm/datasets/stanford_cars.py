"""Stanford Cars from its own files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.registry import DATASETS

from .annotations import read_mat
from .multilabel_dataset import MultiLabelDataset


@DATASETS.register_module()
class StanfordCars(MultiLabelDataset):
    """196 kinds of cars, in either of the forms the set has been given out in.

    - ``cars_annos.mat`` with the images of both sets in ``car_ims/``: ``test`` says which are read;
    - the development kit: ``devkit/cars_train_annos.mat`` with ``cars_train/``, and
      ``cars_test_annos_withlabels.mat`` with ``cars_test/``; ``devkit/cars_meta.mat`` (beside the
      annotations, or ``meta_file``) has the names. ``cars_test_annos.mat`` has no labels.

    The whole image is read, the boxes are not.

    Args:
        ann_file: The annotations.
        test: Which images of ``cars_annos.mat`` are read.
        meta_file: The names of the classes; default: ``devkit/cars_meta.mat``.
        data_prefix: Folder of the images; of ``cars_annos.mat`` the folder that holds ``car_ims``.
        **kwargs: Arguments of `MultiLabelDataset`.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file is damaged or another, or has no labels.
    """

    def __init__(self, ann_file: str, test: bool = False, meta_file: str = 'devkit/cars_meta.mat',
                 data_prefix: Mapping = dict(img=''), data_root: str = '', **kwargs: Any) -> None:
        self.test = test
        self.meta_file = str(Path(data_root, meta_file))
        super().__init__(ann_file=ann_file, data_prefix=data_prefix, data_root=data_root, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Read the annotations in their form."""
        found = read_mat(self.ann_file, 'annotations')[0].ravel()
        rows, fields = list(found), found.dtype.names or ()
        if 'class' not in fields:
            raise ValueError(f'{self.ann_file} has no labels; those of the test images are in '
                             'cars_test_annos_withlabels.mat')
        whole = 'relative_im_path' in fields
        names = read_mat(self.ann_file if whole else self.meta_file, 'class_names')[0].ravel()
        classes = [str(name.item()) for name in names]
        self._set_classes(classes)
        if whole:
            rows = [row for row in rows if bool(row['test'].item()) == self.test]
        field = 'relative_im_path' if whole else 'fname'
        if not whole and field not in fields:
            raise ValueError(f'{self.ann_file}: its annotations have no {field}')
        folder = self.image_folder()
        return self._select([
            self._record(folder.path(name, self.ann_file), name, {self._label(row, len(classes))})
            for row in rows for name in [str(row[field].item())]])

    def _label(self, row: Any, num_classes: int) -> int:
        label = int(row['class'].item())
        if not 1 <= label <= num_classes:
            raise ValueError(f'{self.ann_file}: class {label}, but there are {num_classes}')
        return label - 1
