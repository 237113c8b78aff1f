"""Image labels, and boxes where there are some, as mmengine's and mmdet's hooks draw them."""

from pathlib import Path
from typing import Any

import mmcv
import numpy as np
from mmdet.visualization import DetLocalVisualizer
from mmengine.dist import master_only
from mmengine.registry import VISUALIZERS
from mmengine.structures import BaseDataElement
from mmengine.visualization import Visualizer

from ..thresholds import Thresholds, load_thresholds
from .label_scores import draw_label_scores
from .named_labels import draw_named_labels
from .truth import image_targets

#: What of a data sample mmdet's visualizer draws on the image.
_DRAWN_ON_IMAGE = ('instances', 'sem_seg', 'panoptic_seg')
_SMALLEST_WIDTH, _LARGEST_WIDTH = 320, 1600


@VISUALIZERS.register_module()
class MultiLabelVisualizer(Visualizer):
    """Draws the labels of an image below it, predicted and true, see `draw_label_scores`.

    For a model that detects too (`MultiTaskDetector`), mmdet's ``DetLocalVisualizer`` draws the
    boxes on the image first, true ones on the left, predicted ones on the right. Images are
    brought to a width of 320 to 1600 pixels, so that the text is legible.

    Args:
        name: As of mmengine's ``Visualizer``, like the next three.
        image: RGB (H, W, 3).
        vis_backends: Configs of backends.
        save_dir: Folder for the backends.
        thresholds: Where the head gives no ``pred_labels``, a label is predicted where its
            probability is above this: one number, one a class, or the file of `save_thresholds`.
        top: How many labels to list at least.
        **boxes: Arguments of ``DetLocalVisualizer``, such as ``line_width``.

    Raises:
        ValueError: If there are not as many thresholds as classes.
    """

    def __init__(self, name: str = 'visualizer', image: np.ndarray | None = None,
                 vis_backends: list | dict | None = None, save_dir: str | None = None,
                 thresholds: Thresholds = 0.5, top: int = 3, **boxes: Any) -> None:
        super().__init__(name, image, vis_backends, save_dir)
        self.thresholds = thresholds
        self.top = top
        self._boxes = DetLocalVisualizer(f'{name}_boxes', **boxes)
        self._steps: dict[str, list[int]] = {}  # of each file that was written

    @master_only
    def add_datasample(self, name: str, image: np.ndarray,
                       data_sample: BaseDataElement | None = None, draw_gt: bool = True,
                       draw_pred: bool = True, show: bool = False, wait_time: float = 0,
                       out_file: str | None = None, pred_score_thr: float = 0.3,
                       step: int = 0) -> None:
        """Draw an image's predictions and truth, and show or write them.

        Args:
            name: Name of the picture for the window and the backends.
            image: uint8 (H, W, 3) in RGB.
            data_sample: With ``pred_scores`` (num_classes,) probabilities and ``gt_labels``
                (num_classes,) of 1, 0 and -1 (unknown), or what mmdet's visualizer draws, or both.
                ``pred_label`` and ``gt_label``, the index of the one class of an image, are drawn
                as labels too, and so are the fields of named image heads (`draw_named_labels`).
            draw_gt: Whether to draw the truth.
            draw_pred: Whether to draw the predictions.
            show: Open a window.
            wait_time: Seconds that the window stays.
            out_file: Write the picture there and not to the backends; that of a second step by this
                name gets ``_2`` before its suffix.
            pred_score_thr: Boxes of a lower score are left out.
            step: Step to record.
        """
        sample = BaseDataElement() if data_sample is None else data_sample.cpu()
        picture = image.clip(0, 255).astype(np.uint8)
        if any(f'{kind}_{what}' in sample for what in _DRAWN_ON_IMAGE for kind in ('gt', 'pred')):
            self._boxes.dataset_meta = self.dataset_meta or {}
            self._boxes.add_datasample(name, picture, sample, draw_gt, draw_pred,
                                       pred_score_thr=pred_score_thr)
            picture = self._boxes.get_image()
        picture = self._add_labels(picture, sample, draw_gt, draw_pred)
        width = _width(picture)
        picture = draw_named_labels(
            picture, sample, (self.dataset_meta or {}).get('image_classes') or {}, draw_gt,
            draw_pred, width, _text_size(width))
        self.set_image(picture)
        if show:
            self.show(picture, win_name=name, wait_time=wait_time)
        if out_file is not None:
            mmcv.imwrite(picture[..., ::-1], self._file_of(out_file, step))
        else:
            self.add_image(name, picture, step)

    def _file_of(self, out_file: str, step: int) -> str:
        """The file's name, with a number where another step has written it.

        mmdet's hook counts the images in steps, and names pictures after them, without folders.
        """
        steps = self._steps.setdefault(out_file, [])
        if step not in steps:
            steps.append(step)
        path, number = Path(out_file), steps.index(step) + 1
        name = path.name if number == 1 else f'{path.stem}_{number}{path.suffix}'
        return str(path.with_name(name))

    def _add_labels(self, picture: np.ndarray, sample: BaseDataElement, draw_gt: bool,
                    draw_pred: bool) -> np.ndarray:
        scores = np.asarray(sample.pred_scores) if draw_pred and 'pred_scores' in sample else None
        names = (self.dataset_meta or {}).get('classes') or [
            str(i) for i in range(0 if scores is None else len(scores))]
        targets = image_targets(sample, names) if draw_gt else None
        given = scores if scores is not None else targets
        if given is None:
            return picture
        count = len(given)
        names = names or [str(i) for i in range(count)]
        predicted: np.ndarray | None = None
        if scores is not None and ('pred_labels' in sample or 'pred_label' in sample):
            predicted = np.zeros(count, bool)
            predicted[np.asarray(sample.get('pred_labels', sample.get('pred_label')))] = True
        elif scores is not None:
            predicted = scores > load_thresholds(self.thresholds, count, names)
        width = _width(picture)
        return draw_label_scores(picture, scores, names, targets, top=self.top, width=width,
                                 predicted=predicted, text_size=_text_size(width))


def _width(picture: np.ndarray) -> int:
    """The width at which a picture has legible text below it."""
    return min(max(picture.shape[1], _SMALLEST_WIDTH), _LARGEST_WIDTH)


def _text_size(width: int) -> int:
    return max(13, width // 70)
