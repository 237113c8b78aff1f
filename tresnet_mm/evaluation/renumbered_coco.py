"""COCO's index, as evaluation needs it, over any ids."""
from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from mmdet.datasets.api_wrappers import COCO
from mmengine.logging import print_log

from ..datasets.annotations import CocoFile, with_clean_mask


class RenumberedCOCO(COCO):
    """COCO's index over a file whose ids are replaced by 1, 2, 3, ...

    pycocotools takes an annotation id of 0 for "not matched", sorts category ids, and compares
    image ids as numbers; faster-coco-eval takes only integers that a double can hold. With new ids,
    in the order of the file's images and of the model's classes, the numbers do not depend on them.
    Predictions name the file's own ids; `loadRes` translates them.

    A missing ``iscrowd`` is 0. An object marked ``ignore`` counts as a crowd: finding it is neither
    right nor wrong, as training leaves it out.

    Args:
        file: The annotation file; it is not changed.
        category_ids: The file's category ids in the order of the labels; others follow.
        masks: Whether masks are evaluated: segmentations are checked then, and objects without an
            area in theirs are regions to ignore, as in training.

    Raises:
        ValueError: An image lacks its size, an annotation its box or area, or, with ``masks``, a
            segmentation of COCO's form.
    """

    def __init__(self, file: CocoFile, category_ids: Sequence[int | str],
                 masks: bool = False) -> None:
        super().__init__()
        file.require_boxes()
        self.path = file.path
        names = {category['id']: category for category in file.categories}
        wanted = set(category_ids)
        order = [*category_ids, *(key for key in names if key not in wanted)]
        self._categories = {key: number for number, key in enumerate(order, start=1)}
        self._images = {image['id']: number for number, image in enumerate(file.images, start=1)}
        self.dataset = dict(
            info={},
            images=[dict(image, id=self._images[image['id']]) for image in file.images],
            categories=[dict(names[key], id=number) for key, number in self._categories.items()],
            annotations=self._annotations(file, masks))
        self.createIndex()
        self.img_ann_map, self.cat_img_map = self.imgToAnns, self.catToImgs

    def _annotations(self, file: CocoFile, masks: bool) -> list[dict[str, Any]]:
        annotations: list[dict[str, Any]] = []
        without_area = 0
        for image in file.images:
            for annotation in file.annotations_of[image['id']]:
                new = dict(
                    annotation, id=len(annotations) + 1, image_id=self._images[image['id']],
                    category_id=self._categories.get(annotation['category_id'],
                                                     len(self._categories) + 1),
                    iscrowd=int(bool(annotation.get('iscrowd') or annotation.get('ignore'))))
                if masks:
                    clean, has_mask = with_clean_mask(annotation, image, file.path)
                    without_area += not has_mask
                    new['segmentation'] = clean['segmentation']
                    new['iscrowd'] = int(new['iscrowd'] or not has_mask)
                annotations.append(new)
        if without_area:
            print_log(f'{file.path}: annotations that do not count: {without_area} '
                      'without an area in their segmentation', 'current', logging.WARNING)
        return annotations

    def loadRes(self, resFile: list[dict[str, Any]]) -> COCO:  # noqa: N802, N803 - COCO's names
        """Index predictions, which name images and categories by the file's ids.

        Raises:
            ValueError: A prediction is of an image that the file does not list.
        """
        unknown = {prediction['image_id'] for prediction in resFile} - self._images.keys()
        if unknown:
            raise ValueError(
                f'predictions of {len(unknown)} image(s), such as the one with id '
                f'{next(iter(unknown))!r}, are not of an image that {self.path} lists '
                f'({len(self._images)} images): the ann_file of the evaluator should be that of '
                'the data set')
        return super().loadRes([
            dict(prediction, image_id=self._images[prediction['image_id']],
                 category_id=self._categories[prediction['category_id']])
            for prediction in resFile])
