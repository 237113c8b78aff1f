"""NUS-WIDE: web images with 81 verified concepts each."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.logging import print_log
from mmengine.registry import DATASETS

from .annotations import read_text
from .multilabel_dataset import MultiLabelDataset


@DATASETS.register_module()
class NUSWIDE(MultiLabelDataset):
    """NUS-WIDE in its original files: a list of images, and for each concept a file of 0 and 1.

    The images were published as addresses, of which many are dead by now, and papers use what they
    could get: say ``missing_images='skip'`` to do so too. Results on other images are not
    comparable.

    Args:
        ann_file: List of images, such as ``ImageList/TrainImagelist.txt``; names below
            ``data_prefix['img']``, with backslashes.
        labels: Files of labels, with ``{}`` for the concept; a line an image of the list. None: the
            original ones of ``TrainImagelist.txt``, ``TestImagelist.txt`` and ``Imagelist.txt``.
        concepts: List of the concepts, in the order of the classes.
        missing_images: 'error': a missing image ends training when it is loaded. 'skip': images
            that are not there are left out, and counted in the log.
        keep_empty: Keep images without any concept. They are left out by default, in training and
            in testing.
        data_prefix: ``dict(img=FOLDER)``, the folder with a folder of images for each search term.
        **kwargs: Arguments of `MultiLabelDataset`.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: With file and line: a label that is neither 0 nor 1, a file of another length
            than the list, an image listed twice; or a list of another name without ``labels``.
    """

    _LABELS = {
        'TrainImagelist.txt': 'Groundtruth/TrainTestLabels/Labels_{}_Train.txt',
        'TestImagelist.txt': 'Groundtruth/TrainTestLabels/Labels_{}_Test.txt',
        'Imagelist.txt': 'Groundtruth/AllLabels/Labels_{}.txt',
    }

    def __init__(self, ann_file: str, labels: str | None = None,
                 concepts: str = 'ConceptsList/Concepts81.txt', missing_images: str = 'error',
                 keep_empty: bool = False, data_prefix: Mapping = dict(img='Flickr/'),
                 **kwargs: Any) -> None:
        if missing_images not in ('error', 'skip'):
            raise ValueError(f"missing_images must be 'error' or 'skip', got {missing_images!r}")
        name = os.path.basename(ann_file)
        if labels is None and name not in self._LABELS:
            raise ValueError(f'{ann_file}: labels must say where the labels of this list are, as '
                             f'it is none of {", ".join(self._LABELS)}')
        self.labels = labels or self._LABELS[name]
        self.concepts = concepts
        self.missing_images = missing_images
        super().__init__(ann_file=ann_file, keep_empty=keep_empty, data_prefix=data_prefix,
                         **kwargs)

    def load_data_list(self) -> list[dict]:
        """Read the list and the labels of every concept."""
        concepts = self._lines(os.path.join(self.data_root, self.concepts))
        classes = self._metainfo.get('classes') or tuple(concepts)
        unheard = [name for name in classes if name not in concepts]
        if unheard:
            raise ValueError(f'{self.concepts}: the classes {unheard} of metainfo are not in it')
        self._set_classes(classes)
        names = self._lines(self.ann_file)
        present: list[set[int]] = [set() for _ in names]
        for place, concept in enumerate(classes):
            path = os.path.join(self.data_root, self.labels.replace('{}', concept))
            for image in self._read_labels(path, len(names)):
                present[image].add(place)
        return self._select(list(self._records(names, present)))

    def _read_labels(self, path: str, images: int) -> Iterator[int]:
        """Which images of the list have a concept."""
        cells = self._lines(path)
        if len(cells) != images:
            raise ValueError(f'{path} has {len(cells)} labels for the {images} images of '
                             f'{self.ann_file}')
        for number, cell in enumerate(cells):
            if cell not in ('0', '1'):
                raise ValueError(f'{path}: label {number + 1} should be 0 or 1, got {cell[:30]!r}')
            if cell == '1':
                yield number

    def _records(self, names: list[str], present: list[set[int]]) -> Iterator[dict]:
        folder = self.image_folder()
        seen: set[str] = set()
        missing = 0
        for number, (name, labels) in enumerate(zip(names, present, strict=True), start=1):
            where = f'{self.ann_file}: image {number}'
            name = name.replace('\\', '/')
            if name in seen:
                raise ValueError(f'{where}: {name!r} is listed twice')
            seen.add(name)
            path = folder.path(name, where)
            if self.missing_images == 'skip' and folder.local and not os.path.isfile(path):
                missing += 1
                continue
            yield self._record(path, name, labels)
        if missing:
            print_log(f'{self.ann_file}: {missing} of {len(names)} images are not in '
                      f'{folder.folder!r} and are left out', 'current')
        if missing == len(names):
            raise ValueError(f'{self.ann_file}: none of its {missing} images is in '
                             f'{folder.folder!r}')

    def _lines(self, path: str) -> list[str]:
        text = read_text(path, self.backend_args)
        return [line.strip() for line in text.split('\n') if line.strip()]
