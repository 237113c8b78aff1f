"""A model as the page uses it: an image is run once, and drawn as often as a threshold moves."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

import mmcv
import numpy as np
import torch.nn.functional as F
from mmengine.logging import print_log
from mmengine.structures import BaseDataElement

from ..inference.image_sources import ImageSource
from ..inference.inferencer import Inferencer, Prepared
from ..inference.results import Decision
from ..visualization import ClassMaps, class_maps, draw_heat

#: Pixels of the longer side of what is kept and drawn of an image.
LARGEST_SIDE = 1280
_SMALLEST_MAP = 400
#: Classes that are told of an image which has one, the highest scores first.
_CLASSES_TOLD = 5


class BadImage(ValueError):
    """An image of a visitor that has no result; the message is for the visitor."""


@dataclass
class Finding:
    """An image, and what a model says of it.

    Attributes:
        name: What the visitor calls the file.
        size: Width and height of the image as it was read, in pixels.
        image: Its ``pixels`` are uint8, BGR (h, w, 3) or grey (h, w), the longer side at most
            `LARGEST_SIDE`; its ``data`` are for the class maps.
        sample: The model's, on the CPU; its boxes are in those pixels.
        maps: Those of all classes, once one was asked for.
    """

    name: str
    size: tuple[int, int]
    image: Prepared
    sample: BaseDataElement
    maps: ClassMaps | None = None

    @property
    def path(self) -> str | None:
        """Where the file is."""
        return self.image.source.path


class WebModel:
    """A model that several visitors use, one at a time.

    It is tried on a black image at once: what it gives tells what the page has to offer.

    Args:
        name: What visitors call it.
        inferencer: The model.
        max_pixels: The largest image it reads, in pixels.

    Attributes:
        has_boxes, has_labels, has_maps (bool): What it gives.
        one_label (bool): Whether its labels are one an image, whatever the thresholds.

    Raises:
        ValueError: It gives neither boxes nor labels, or what is no number.
    """

    def __init__(self, name: str, inferencer: Inferencer, max_pixels: int) -> None:
        self.name = name
        self.inferencer = inferencer
        self.classes = inferencer.classes
        self.one_label = inferencer.one_label
        self._lock = Lock()
        inferencer.loader.files.max_pixels = max_pixels
        black = ImageSource(np.zeros((64, 64, 3), np.uint8), 0)
        image, sample = self._run(black)
        inferencer.postprocess(image, sample, self.decision(0.))
        self.has_boxes = 'pred_instances' in sample
        self.has_labels = 'pred_scores' in sample
        try:
            self._maps(image)
        except (TypeError, NotImplementedError):
            self.has_maps = False
        else:
            self.has_maps = True

    @property
    def common_threshold(self) -> float | None:
        """The threshold of all labels; None where they have different ones."""
        first, *others = self.inferencer.thresholds.tolist()
        return None if any(other != first for other in others) else first

    def decision(self, boxes_above: float, labels_above: float | None = None) -> Decision:
        """Which boxes and labels are results; None takes the model's own thresholds of labels."""
        own = self.inferencer.thresholds
        return Decision(boxes_above,
                        own if labels_above is None else np.full_like(own, labels_above),
                        1 if self.one_label else None, labels_above)

    def find(self, path: str, name: str) -> Finding:
        """Run the model on an image file.

        Raises:
            BadImage: The image cannot be read or is too large, or the model cannot run on it.
        """
        source = ImageSource(path, 0)
        try:
            with self._lock:
                image, sample = self._run(source)
        except (OSError, ValueError) as error:
            raise BadImage(_for_visitors(error, source, name)) from error
        except Exception as error:  # such as too little memory: nothing that a visitor should read
            print_log(f'{self.name} failed on {source.name}: {type(error).__name__}: {error}',
                      'current', 40)
            raise BadImage(f'{name!r} has no result: the model failed on it') from error
        height, width = image.pixels.shape[:2]
        pixels, sample = _shrink(image.pixels, sample)
        return Finding(name, (width, height), image._replace(pixels=pixels), sample)

    def describe(self, finding: Finding, decision: Decision) -> dict[str, Any]:
        """The results as `Inferencer` gives them, boxes in pixels of the image as it was read.

        Of a model that gives an image one label: the highest classes, and as ``others`` the number
        of those that are left and the sum of their scores.
        """
        if self.one_label:
            decision = replace(decision, top_k=_CLASSES_TOLD)
        result = self.inferencer.postprocess(finding.image, finding.sample, decision)
        height, width = finding.image.pixels.shape[:2]
        across, down = finding.size[0] / width, finding.size[1] / height
        for box in result.get('boxes', ()):
            left, top, right, bottom = box['bbox']
            box['bbox'] = [left * across, top * down, right * across, bottom * down]
        if self.one_label:
            left = len(self.classes) - len(result['labels'])
            told = sum(label['score'] for label in result['labels'])
            result['others'] = left, max(0., sum(result['scores'].values()) - told)
        return dict(result, width=finding.size[0], height=finding.size[1])

    def draw(self, finding: Finding, decision: Decision) -> np.ndarray:
        """The picture of the results, uint8 (height, width, 3) in RGB."""
        with self._lock:  # the visualizer has one canvas
            return self.inferencer.visualize(finding.image, finding.sample, decision)

    def draw_map(self, finding: Finding, number: int) -> tuple[np.ndarray, str]:
        """The map of a class over the image, uint8 (h, w, 3) in RGB, and what it says in a line.

        Raises:
            IndexError: There is no such class.
            TypeError: The model has no maps.
        """
        if not 0 <= number < len(self.classes):
            raise IndexError(f'class {number}, but there are {len(self.classes)}')
        if finding.maps is None:
            with self._lock:
                finding.maps = self._maps(finding.image)
        one = replace(finding.maps, cells=finding.maps.cells[number:number + 1],
                      scores=finding.maps.scores[number:number + 1])
        image = finding.image.pixels
        image = mmcv.gray2rgb(image) if image.ndim == 2 else mmcv.bgr2rgb(image)
        scale = max(1, _SMALLEST_MAP / max(image.shape[:2]))
        image = mmcv.imrescale(image, scale, interpolation='bicubic')
        return draw_heat(image, one.on_image(*image.shape[:2])[0]), one.explain(0)

    def _run(self, source: ImageSource) -> tuple[Prepared, BaseDataElement]:
        (batch,) = self.inferencer.preprocess([source], 1, False)
        (sample,) = self.inferencer.forward(batch)
        return batch[0], sample

    def _maps(self, image: Prepared) -> ClassMaps:
        return class_maps(self.inferencer.model, self.inferencer.collate_fn([image.data]))[0]


def _shrink(pixels: np.ndarray, sample: BaseDataElement) -> tuple[np.ndarray, BaseDataElement]:
    """An image of a bearable size, and its boxes and masks in the pixels of that."""
    pixels = pixels.clip(0, 255).astype(np.uint8)
    height, width = pixels.shape[:2]
    if max(height, width) <= LARGEST_SIDE:
        return pixels, sample
    small = mmcv.imrescale(pixels, LARGEST_SIDE / max(height, width), interpolation='area')
    sample = sample.clone()
    if 'pred_instances' in sample:
        instances = sample.pred_instances.clone()
        across, down = small.shape[1] / width, small.shape[0] / height
        instances.bboxes = instances.bboxes * instances.bboxes.new_tensor([across, down] * 2)
        if 'masks' in instances:
            masks = instances.masks[:, None].float()
            instances.masks = F.interpolate(masks, small.shape[:2])[:, 0] > 0.5
        sample.pred_instances = instances
    return small, sample


def _for_visitors(error: Exception, source: ImageSource, name: str) -> str:
    """What is wrong with an image, by its visitor's name and without a path of this machine."""
    text = str(error).replace(f'image {source.name}', repr(name))
    text = re.sub(r': \w+Error: ', ': ', text)
    return f'{name!r} cannot be read' if os.sep in text else text  # a path in whatever form
