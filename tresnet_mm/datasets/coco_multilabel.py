"""COCO's object annotations read as image labels."""

from collections.abc import Mapping

from mmengine.registry import DATASETS

from .annotations import CocoFile, read_coco
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
        **kwargs: Arguments of `MultiLabelDataset`.

    Raises:
        ValueError: As `read_coco`; an annotation's category
            or image is not in the file; a wanted class is not; a file name leaves the folder.
    """

    def load_data_list(self) -> list[dict]:
        """Read the file: one pass over the annotations, no index besides image -> labels."""
        coco = read_coco(self.ann_file, self.backend_args, outlines=False)
        if not coco.labelled:
            raise ValueError(f"{self.ann_file}: not a COCO instance file, it lacks ['annotations']")
        label_of = self._label_of_category(coco)
        labels: dict = {image['id']: set() for image in coco.images}
        for ann in coco.annotations:
            try:
                label, image_labels = label_of[ann['category_id']], labels[ann['image_id']]
            except KeyError:
                raise ValueError(self._dangling(ann, label_of, labels)) from None
            if label is not None:
                image_labels.add(label)
        folder = self.image_folder()
        return self._select([
            self._record(
                folder.path(image['file_name'], f'{self.ann_file}: image {image["id"]!r}'),
                image['id'], labels[image['id']]) for image in coco.images
        ])

    def _label_of_category(self, coco: CocoFile) -> dict[int | str, int | None]:
        """Label of each category id; None where ``metainfo`` leaves the category out."""
        ids = coco.category_ids(self._metainfo.get('classes'))
        self._set_classes(self._metainfo.get('classes') or coco.classes)
        label_of: dict[int | str, int | None] = {
            category['id']: None for category in coco.categories}
        label_of.update((category_id, label) for label, category_id in enumerate(ids))
        return label_of

    def _dangling(self, ann: dict, label_of: Mapping, labels: Mapping) -> str:
        key, known, part = ('category_id', label_of, 'categories') \
            if ann['category_id'] not in label_of else ('image_id', labels, 'images')
        like = next(iter(known), None)
        return (f'{self.ann_file}: annotation {ann["id"]!r} has {key} {ann[key]!r}, which is not '
                f'among the {len(known)} {part}' + (f' (ids such as {like!r})' if known else ''))
