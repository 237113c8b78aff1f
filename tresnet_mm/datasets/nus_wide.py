"""NUS-WIDE from its own files."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from mmengine.registry import DATASETS

from .annotations import read_image_list, read_label_column
from .multilabel_dataset import MultiLabelDataset


@DATASETS.register_module()
class NUSWIDE(MultiLabelDataset):
    r"""Multi-label classification on NUS-WIDE's 81 concepts, each present or absent in each image.

    Images without any of the concepts are left out unless ``keep_empty``. Some images are no longer
    to be had from Flickr: ``skip_missing=True`` leaves out those without a file. The split is that
    of the files; for another one, list its images and labels in a table for `CustomMultiLabel`.

    Args:
        ann_file: List of images, ``actor\0001_2124494179.jpg`` a line.
        label_files: A concept's file of a 1 or 0 for each image of the list, with ``{}`` for the
            concept. Of all images: ``Groundtruth/AllLabels/Labels_{}.txt`` with
            ``ann_file='ImageList/Imagelist.txt'``.
        class_file: The concepts, one a line.
        data_prefix: ``dict(img='Flickr/')``, the folder that the names are relative to.
        **kwargs: Arguments of `MultiLabelDataset`; ``data_root`` is the folder that holds
            ``ImageList``, ``Groundtruth`` and ``ConceptsList``, and
            ``metainfo=dict(classes=...)`` keeps only these concepts, in this order.

    Raises:
        FileNotFoundError: A file is missing; with ``skip_missing``, all images are.
        ValueError: With file and line: a label is neither 1 nor 0, a file has another number of
            lines than the list, a wanted class is no concept, a name leaves the folder.
    """

    def __init__(self, ann_file: str, label_files: str,
                 class_file: str = 'ConceptsList/Concepts81.txt',
                 data_prefix: Mapping = dict(img='Flickr/'), **kwargs: Any) -> None:
        if '{}' not in label_files:
            raise ValueError('label_files should have {} in the place of the concept, such as '
                             f'Groundtruth/TrainTestLabels/Labels_{{}}_Train.txt: {label_files!r}')
        self.label_files = label_files
        self.class_file = class_file
        super().__init__(ann_file=ann_file, data_prefix=data_prefix, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Read the list of images and the file of each concept."""
        concepts_path = os.path.join(self.data_root, self.class_file)
        concepts = read_image_list(concepts_path, self.backend_args)
        classes = self._metainfo.get('classes') or concepts
        self._set_classes(classes)
        wrong = [name for name in classes if name not in concepts]
        if wrong:
            raise ValueError(f'{concepts_path}: no such concept: {wrong[:10]}')
        names = read_image_list(self.ann_file, self.backend_args)
        present = np.stack([self._read_labels(name, len(names)) for name in classes])
        folder = self.image_folder()
        return self._select([
            self._record(folder.path(name, f'{self.ann_file}:{number}'), name,
                         set(np.flatnonzero(present[:, number - 1]).tolist()))
            for number, name in enumerate(names, start=1)])

    def _read_labels(self, concept: str, count: int) -> np.ndarray:
        path = os.path.join(self.data_root, self.label_files.replace('{}', concept))
        return read_label_column(path, count, self.ann_file, self.backend_args)
