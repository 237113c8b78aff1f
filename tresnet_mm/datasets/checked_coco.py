"""COCO boxes with the annotation file checked while it is read."""
from __future__ import annotations

import logging
from collections import Counter
from typing import Any

from mmdet.datasets import CocoDataset
from mmengine.logging import print_log
from mmengine.registry import DATASETS

from .annotations import drop_reason, read_coco, with_clean_mask, without_collection
from .joint_dataset import JointDataset


@DATASETS.register_module()
class CheckedCocoDataset(JointDataset, CocoDataset):
    """mmdet's ``CocoDataset`` that says what is wrong with a file, and what it leaves out.

    It reads the same files and takes the same arguments, and those of `JointDataset`, which add
    labels of whole images. Labels are the places of the names in ``metainfo['classes']``, whatever
    the order of the file's categories; mmdet takes the file's order.

    What mmdet drops quietly while reading (boxes without area, outside their image, marked
    ``ignore``, of categories that are not used) is dropped here too, counted, and told in one
    warning. Where a model learns masks, objects whose polygons have less than three points are
    counted too, and kept as regions to ignore. So are crowds, told of where they are most of the
    objects. What would make mmdet fail somewhere else, or train on nonsense, stops here with file
    and entry named.

    Raises:
        ValueError: As `read_coco`; an image lacks its size,
            an annotation its box or area; a segmentation is not of COCO's form, where masks are
            learnt; a class is not in the file; a file name leaves the image folder; no image, or
            no object to learn, is left.
    """

    #: How many annotations were left out while reading, by reason.
    dropped: Counter[str]
    #: How many annotations are crowds, kept as regions to ignore.
    crowds: int

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read and check the annotation file."""
        if 'img' not in self.data_prefix:
            raise ValueError('data_prefix must name the image folder as dict(img=FOLDER), got '
                             f'{self.data_prefix}')
        self.dropped = Counter()
        self.crowds = 0
        self._folder = self.image_folder()
        self._needs_masks = not self.test_mode and any(
            getattr(transform, 'with_mask', False) for transform in self.pipeline.transforms)
        coco = read_coco(self.ann_file, self.backend_args)
        coco.require_boxes()
        self.cat_ids = coco.category_ids(self.metainfo['classes'])
        self.cat2label = {category_id: label for label, category_id in enumerate(self.cat_ids)}
        self.cat_img_map: dict[int | str, list[int | str]] = {
            category['id']: [] for category in coco.categories}
        for annotation in coco.annotations:
            self.cat_img_map.setdefault(annotation['category_id'], []).append(
                annotation['image_id'])
        strays = coco.strays()
        if strays:
            self.dropped['of an image that is not listed'] = len(strays)
        with without_collection():
            data_list = [
                self.parse_data_info(dict(
                    raw_img_info=dict(image, img_id=image['id']),
                    raw_ann_info=coco.annotations_of[image['id']]))
                for image in coco.images]
        del self._folder
        self._tell(strays[:1])
        self.join(data_list, self.ann_file)
        return data_list

    def parse_data_info(self, raw_data_info: dict[str, Any]) -> dict[str, Any]:
        """Leave out what cannot be used, then read the rest as mmdet does."""
        image = raw_data_info['raw_img_info']
        path = self._folder.path(
            image['file_name'], f'{self.ann_file}: image {image["img_id"]!r}')
        annotations = []
        for annotation in raw_data_info['raw_ann_info']:
            reason = drop_reason(annotation, image, self.cat2label)
            if reason:
                self.dropped[reason] += 1
                continue
            self.crowds += bool(annotation.get('iscrowd'))
            if self._needs_masks:
                annotation, has_mask = with_clean_mask(annotation, image, self.ann_file)
                if not has_mask:  # kept as a region to ignore
                    self.dropped['without an area in their segmentation'] += 1
            annotations.append(annotation)
        info = super().parse_data_info(dict(raw_img_info=image, raw_ann_info=annotations))
        info['img_path'] = path
        return info

    def filter_data(self) -> list[dict[str, Any]]:
        """The images to use; at least one, with at least one object to learn.

        Images with labels of their own are used without an object too, and images whose boxes
        nobody has annotated only where they have such labels.
        """
        data_list = super().filter_data()
        if self.is_joint:
            data_list = self._keep_labelled(data_list)
            self.tell_parts(data_list, self.ann_file)
        used = f'(filter_cfg={self.filter_cfg}, {len(self.metainfo["classes"])} classes)'
        if not data_list:
            raise ValueError(f'{self.ann_file}: of {len(self.data_list)} images none is left to '
                             f'use {used}{self._reasons(": ")}')
        if self.test_mode:
            return data_list
        annotated = self.crowds + sum(self.dropped.values())
        if self.boxes is not False and annotated and all(
                instance['ignore_flag'] for info in data_list for instance in info['instances']):
            raise ValueError(f'{self.ann_file}: of {annotated} annotations no object is left to '
                             f'learn from {used}{self._reasons(": ")}')
        min_size = (self.filter_cfg or {}).get('min_size', 0)
        small = sum(min(info['width'], info['height']) < min_size for info in self.data_list)
        if small:
            print_log(f'{self.ann_file}: {small} of {len(self.data_list)} images are left out: '
                      f'smaller than min_size={min_size}', 'current', logging.WARNING)
        return data_list

    def _keep_labelled(self, kept: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Put images back that have labels, and take those out of which nothing is known."""
        if self.test_mode:
            return kept
        names = {info['img_id'] for info in kept}
        return [info for info in self.data_list if info['image_labels']
                or (info['has_boxes'] and info['img_id'] in names)]

    def _reasons(self, before: str) -> str:
        reasons = [f'{count} {reason}' for reason, count in self.dropped.items()]
        if self.crowds:
            reasons.append(f'{self.crowds} are crowds')
        return before + ', '.join(reasons) if reasons else ''

    def _tell(self, stray: list[dict]) -> None:
        """Warn once of what is left out."""
        reasons = [f'{count} {reason}' for reason, count in self.dropped.items()]
        if stray:
            reasons[0] += f' ({stray[0]["image_id"]!r})'
        if reasons:
            print_log(f'{self.ann_file}: annotations left out: {", ".join(reasons)}', 'current',
                      logging.WARNING)
        total = sum(len(images) for images in self.cat_img_map.values())
        if 2 * self.crowds > total:
            print_log(f'{self.ann_file}: {self.crowds} of {total} annotations are crowds '
                      '(iscrowd=1), which are regions to ignore and no objects to learn',
                      'current', logging.WARNING)
