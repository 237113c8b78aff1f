"""COCO's object annotations read as image labels."""

from collections import Counter
from collections.abc import Mapping

from mmengine.fileio import join_path, load
from mmengine.registry import DATASETS

from .multilabel_dataset import MultiLabelDataset


@DATASETS.register_module()
class CocoMultiLabel(MultiLabelDataset):
    """Multi-label classification on a COCO instance file, 2014, 2017 or of the same form.

    The protocol of the literature, which its published figures rest on: every annotation counts
    as a label, crowd annotations too and whatever its area; images without an annotation are left
    out of training and of testing (82,081 and 40,137 remain of COCO 2014); classes stand in the
    order of the file. Image files are opened when they are used, not before.

    Args:
        ann_file: Instance file, for example ``annotations/instances_train2014.json``.
        metainfo: ``dict(classes=...)`` keeps only these categories, in this order.
        data_prefix: ``dict(img='train2014/')``, the folder that ``file_name`` is relative to.
        **kwargs: Arguments of :class:`MultiLabelDataset`.

    Raises:
        ValueError: The file is no JSON or not of COCO's form; an image or category id occurs
            twice; an annotation's category or image is not in the file; a wanted class is not.
    """

    def load_data_list(self) -> list[dict]:
        """Read the file: one pass over the annotations, no index besides image -> labels."""
        coco = self._load_json()
        label_of = self._label_of_category(coco['categories'])
        labels: dict[int, set[int]] = {}
        for image in coco['images']:
            labels[image['id']] = set()
        if len(labels) != len(coco['images']):
            raise ValueError(self._repeated('image', coco['images']))
        for ann in coco['annotations']:
            try:
                label, image_labels = label_of[ann['category_id']], labels[ann['image_id']]
            except KeyError:
                raise ValueError(self._dangling(ann, label_of, labels)) from None
            if label is not None:
                image_labels.add(label)
        folder = self.data_prefix['img']
        return self._select([
            self._record(join_path(folder, image['file_name']), image['id'], labels[image['id']])
            for image in coco['images']
        ])

    def _load_json(self) -> dict:
        try:
            coco = load(self.ann_file, file_format='json', backend_args=self.backend_args)
        except ValueError as error:  # JSON's own message does not name the file
            raise ValueError(f'{self.ann_file}: not a JSON file: {error}') from error
        parts = ('images', 'annotations', 'categories')
        missing = [k for k in parts if not isinstance(coco, Mapping) or k not in coco]
        if missing:
            raise ValueError(f'{self.ann_file}: not a COCO instance file, it lacks {missing}')
        return coco

    def _label_of_category(self, categories: list[dict]) -> dict[int, int | None]:
        """Label of each category id; None where ``metainfo`` leaves the category out."""
        wanted = self._metainfo.get('classes')
        names = [category['name'] for category in categories]
        if wanted is not None:
            absent = [name for name in wanted if name not in set(names)]
            if absent:
                raise ValueError(f'{self.ann_file}: no category named {absent}; it has {names}')
        index = self._set_classes(names if wanted is None else wanted)
        label_of = {category['id']: index.get(category['name']) for category in categories}
        if len(label_of) != len(categories):
            raise ValueError(self._repeated('category', categories))
        return label_of

    def _repeated(self, what: str, entries: list[dict]) -> str:
        ids = [i for i, n in Counter(entry['id'] for entry in entries).items() if n > 1]
        return f'{self.ann_file}: {len(ids)} {what} id(s) occur more than once, first {ids[:5]}'

    def _dangling(self, ann: dict, label_of: Mapping, labels: Mapping) -> str:
        name = f'{self.ann_file}: annotation {ann.get("id")}'
        for key, known, part in (
            ('category_id', label_of, 'categories'),
            ('image_id', labels, 'images'),
        ):
            if key not in ann:
                return f'{name} has no {key}'
            if ann[key] not in known:
                return f'{name} has {key} {ann[key]}, which is not among the {len(known)} {part}'
        raise AssertionError('unreachable: the annotation refers to what the file holds')
