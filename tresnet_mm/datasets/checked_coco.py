"""COCO boxes with the annotation file checked while it is read."""
from __future__ import annotations

import logging
import math
from collections import Counter
from typing import Any

from mmdet.datasets import CocoDataset
from mmdet.datasets.api_wrappers import COCO
from mmengine.logging import print_log
from mmengine.registry import DATASETS


class CheckedCOCO(COCO):
    """COCO's index over an annotation file, with an error where the file is not what it should be.

    Raises:
        ValueError: If a list is missing, an image id stands twice, an image lacks a field, or a
            class that is asked for is not among the file's categories.
    """

    def createIndex(self) -> None:
        """Index images, annotations and categories."""
        for key in ('images', 'categories'):
            if not isinstance(self.dataset.get(key), list):
                raise ValueError(f"the annotation file has no list of {key!r}: not COCO's format")
        for image in self.dataset['images']:
            lacking = [key for key in ('id', 'file_name', 'width', 'height') if key not in image]
            if lacking:
                raise ValueError(f'image {image} lacks {", ".join(lacking)}')
        twice = [key for key, count in Counter(image['id'] for image in self.dataset['images']
                                               ).items() if count > 1]
        if twice:
            raise ValueError(f'image id {twice[0]} stands more than once in the list of images')
        super().createIndex()

    def get_cat_ids(self, cat_names: Any = (), sup_names: Any = (),
                    cat_ids: Any = ()) -> list[int]:
        """Category ids in the file's order, every one of ``cat_names`` being there."""
        names = [category['name'] for category in self.dataset['categories']]
        missing = [name for name in cat_names if name not in names]
        if missing:
            # mmdet would number the classes that are left anew, and the labels would be wrong.
            raise ValueError(
                f'class {missing[0]!r} ({len(missing)} of {len(cat_names)} classes) is not among '
                f'the {len(names)} categories of the annotation file ({", ".join(names[:5])}, ...):'
                ' set metainfo=dict(classes=...) of the dataset to the names in the file')
        return super().get_cat_ids(list(cat_names), list(sup_names), list(cat_ids))


@DATASETS.register_module()
class CheckedCocoDataset(CocoDataset):
    """mmdet's ``CocoDataset`` that says what is wrong with a file, and what it leaves out.

    What mmdet drops quietly while reading (boxes without area, outside their image, of unknown
    categories) is dropped here too, counted, and told in one warning. What would make mmdet fail
    somewhere else, or train on nonsense, stops here with the file and the annotation named.
    It reads the same files and takes the same arguments.

    Raises:
        ValueError: If an annotation lacks its box or area, a box is not four finite numbers, masks
            are wanted and an object has none, or no image is left; and as :class:`CheckedCOCO`.
    """

    #: How many annotations were left out while reading, by reason.
    dropped: Counter[str]

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read and check the annotation file."""
        self.dropped = Counter()
        self._needs_masks = not self.test_mode and any(
            getattr(transform, 'with_mask', False) for transform in self.pipeline.transforms)
        try:
            data_list = super().load_data_list()
        except (ValueError, AssertionError) as error:
            raise ValueError(f'{self.ann_file}: {error}') from error
        if self.dropped:
            reasons = ', '.join(f'{count} {reason}' for reason, count in self.dropped.items())
            print_log(f'{self.ann_file}: annotations left out: {reasons}', 'current',
                      logging.WARNING)
        return data_list

    def COCOAPI(self, path: str) -> CheckedCOCO:  # the hook by which CocoDataset opens its file
        """Index the annotation file, and count the annotations that no image will ask for."""
        coco = CheckedCOCO(path)
        orphans = sum(len(found) for image_id, found in coco.imgToAnns.items()
                      if image_id not in coco.imgs)
        if orphans:
            self.dropped['of an image that is not listed'] = orphans
        return coco

    def parse_data_info(self, raw_data_info: dict[str, Any]) -> dict[str, Any]:
        """Check one image's annotations, then read them as mmdet does."""
        for annotation in raw_data_info['raw_ann_info']:
            self._check(annotation)
            reason = self._drop_reason(annotation, raw_data_info['raw_img_info'])
            if reason:
                self.dropped[reason] += 1
        return super().parse_data_info(raw_data_info)

    def filter_data(self) -> list[dict[str, Any]]:
        """The images to use; at least one."""
        data_list = super().filter_data()
        if not data_list:
            raise ValueError(
                f'{self.ann_file}: of {len(self.data_list)} images none is left to use '
                f'(filter_cfg={self.filter_cfg}, {len(self.metainfo["classes"])} classes)')
        return data_list

    def _check(self, annotation: dict[str, Any]) -> None:
        """Raise for an annotation that cannot be read."""
        which = f'annotation {annotation.get("id")} of image {annotation.get("image_id")}'
        for key in ('bbox', 'area', 'category_id'):
            if key not in annotation:
                raise ValueError(f'{which} has no {key!r}')
        box = annotation['bbox']
        if len(box) != 4 or not all(
                isinstance(side, (int, float)) and math.isfinite(side) for side in box):
            raise ValueError(f'{which}: bbox {box} should be four finite numbers x, y, w, h')
        if self._needs_masks and not annotation.get('iscrowd') and not annotation.get(
                'segmentation'):
            raise ValueError(f"{which} has no 'segmentation', and this model trains on masks")

    def _drop_reason(self, annotation: dict[str, Any], image: dict[str, Any]) -> str:
        """Why mmdet leaves an annotation out; empty if it does not."""
        x, y, w, h = annotation['bbox']
        if w < 0 or h < 0:
            return 'with a negative size'
        if w < 1 or h < 1 or annotation['area'] <= 0:
            return 'smaller than one pixel'
        if x >= image['width'] or y >= image['height'] or x + w <= 0 or y + h <= 0:
            return 'outside their image'
        if annotation['category_id'] not in self.cat_ids:
            return 'of a category that is not used'
        return ''
