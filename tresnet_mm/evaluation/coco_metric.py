"""COCO's metrics over a file that has been read and checked as the datasets do."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmdet.evaluation.metrics import CocoMetric
from mmengine.evaluator import BaseMetric
from mmengine.registry import METRICS

from .._compat import faster_coco_metric
from ..datasets.annotations import CocoFile, check_classes, read_coco
from .renumbered_coco import RenumberedCOCO

FasterCocoMetric: Any = faster_coco_metric()

#: Larger integers are not those that a double holds.
_LARGEST_EXACT = 2**53


class _CheckedCoco(BaseMetric):
    """What both metrics change in mmdet's: the reading of the file, and the ids.

    Result files (``outfile_prefix``) hold the annotation file's own ids, as a test server wants.
    """

    metrics: list[str]  # those asked for; mmdet's, like the next three
    cat_ids: list[int | str] | None
    img_ids: list[int] | None
    _coco_api: RenumberedCOCO | None

    def __init__(self, ann_file: str | None = None, *args: Any, backend_args: dict | None = None,
                 sort_categories: bool = False, **kwargs: Any) -> None:
        super().__init__(None, *args, backend_args=backend_args, **kwargs)
        self.file: CocoFile | None = None
        self._file_ids: list[int | str] = []
        self._new_ids: dict[Any, int] = {}
        if ann_file is not None:
            self.file = read_coco(ann_file, backend_args, outlines='segm' in self.metrics)
            self._index(self.file, self.file.category_ids())

    def _index(self, file: CocoFile, category_ids: list[int | str]) -> None:
        if self._coco_api is None or category_ids != self._file_ids:
            self._file_ids = category_ids
            self._coco_api = RenumberedCOCO(file, category_ids, 'segm' in self.metrics)
            self.img_ids = self._coco_api.get_img_ids()

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Store a batch's predictions, and of which images nobody has annotated the boxes."""
        super().process(data_batch, data_samples)
        for sample, result in zip(reversed(data_samples), reversed(self.results), strict=False):
            if sample.get('has_boxes') is False:
                result[1]['has_boxes'] = False

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Compute the metrics, labels being the places in ``dataset_meta['classes']``.

        Images whose boxes nobody has annotated are left out.

        Raises:
            ValueError: A class is not in the file, or a prediction's image is not.
        """
        results = [result for result in results if result[1].get('has_boxes', True)]
        classes = check_classes(self.dataset_meta['classes'], "dataset_meta['classes']")
        if self.file is None:
            return super().compute_metrics([self._renumber(result) for result in results])
        self._index(self.file, self.file.category_ids(classes))
        self.cat_ids = list(range(1, len(classes) + 1))
        return super().compute_metrics(results)

    def results2json(self, results: Sequence[dict], outfile_prefix: str) -> dict:
        """Write the predictions with the ids of the annotation file."""
        if self.file is None:
            return super().results2json(results, outfile_prefix)
        numbers, self.cat_ids = self.cat_ids, self._file_ids
        try:
            return super().results2json(results, outfile_prefix)
        finally:
            self.cat_ids = numbers

    def _renumber(self, result: tuple[dict, dict]) -> tuple[dict, dict]:
        """Without a file, image ids that are no exact integers are replaced by the next number."""
        image_id = result[0]['img_id']
        if self._new_ids or not isinstance(image_id, int) or abs(image_id) > _LARGEST_EXACT:
            new = self._new_ids.setdefault(image_id, len(self._new_ids) + 1)
            return {**result[0], 'img_id': new}, {**result[1], 'img_id': new}
        return result


@METRICS.register_module()
class CheckedCocoMetric(_CheckedCoco, CocoMetric):
    """mmdet's ``CocoMetric`` that agrees with the datasets about its file.

    The same numbers for a sound file. Labels stand for ``dataset_meta['classes']`` whatever the
    order of the file's categories; ids may be of any kind; a missing ``iscrowd`` is 0; the file is
    refused when it is opened, before anything trains. See `RenumberedCOCO`.

    Args:
        ann_file: The annotation file, or None to take the data set's own annotations.
        *args: As of ``CocoMetric``.
        backend_args: Arguments of mmengine's file backend.
        sort_categories: Taken for ``CocoMetric``'s sake; the order does not matter here.
        **kwargs: As of ``CocoMetric``.

    Raises:
        ValueError: As `read_coco` and
            `RenumberedCOCO`.
    """


@METRICS.register_module()
class CheckedFasterCocoMetric(_CheckedCoco, FasterCocoMetric):
    """OneDL mmdet's ``FasterCocoMetric``, changed as `CheckedCocoMetric`."""
