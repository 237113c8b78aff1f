"""The Python door: images in, boxes and labels out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.infer import BaseInferencer
from mmengine.logging import print_log
from mmengine.registry import TRANSFORMS, DefaultScope
from mmengine.structures import BaseDataElement
from rich.progress import track
from torch import nn

from ..checkpoint import CheckpointMismatch
from ..checks.weights import compare_weights, weights_of
from ..config_tree import type_name
from ..deploy import with_onnx_model
from ..thresholds import Thresholds, load_thresholds
from .class_names import dataset_meta
from .image_loader import ImageLoader
from .image_sources import ImageSource, list_images
from .model_source import find_model
from .pictures import draw, visualizer_config
from .result_folder import ResultFolder
from .results import DEFAULT_THRESHOLD, Decision, describe


class Prepared(NamedTuple):
    """An image on its way into the model."""

    source: ImageSource
    pixels: np.ndarray
    """As it was read, BGR (H, W, 3)."""
    data: dict[str, Any]
    """What the pipeline makes of it: ``inputs`` and ``data_samples``."""


class Inferencer(BaseInferencer):
    """Runs a detector, a multi-label classifier, or a model that is both, on images.

    Args:
        model: A config, by the name of one that comes with this package, its path,
            ``package::path``, or as a ``Config``; or, alone, a published file or a checkpoint of
            mmengine's runner, which say by themselves what model they are of.
        weights: Its checkpoint: path, URL, ``tresnet://`` or ``hf://`` name; or the ``.onnx`` file
            that was exported from it, which onnxruntime runs.
        device: Such as 'cpu' or 'cuda:0'; None takes what there is.
        show_progress: Whether a bar shows how far a call with several images is.

    Attributes:
        classes (tuple[str, ...]): Names of the classes: the checkpoint's, or else the config's.
        thresholds (np.ndarray): (num_classes,) probabilities above which a label is predicted
            where a call gives none: the head's, the published file's, or 0.5.
        skipped (list[str]): What is wrong with each image that the last call left out.

    Raises:
        FileNotFoundError: There is no such config or checkpoint.
        CheckpointMismatch: The weights are not this model's, all of them.
        ValueError: The config cannot be read or has no test pipeline, there are no weights, or
            the number of class names is not the model's.

    Examples:
        >>> from tresnet_mm import Inferencer
        >>> inferencer = Inferencer('fcos_tresnet_m', 'epoch_12.pth')  # doctest: +SKIP
        >>> result = inferencer('photo.jpg', out_dir='out')[0]         # doctest: +SKIP
        >>> result['boxes'][0]                                         # doctest: +SKIP
        {'label': 'cat', 'label_id': 15, 'score': 0.93, 'bbox': [12.5, 40.0, 310.2, 280.9]}
    """

    def __init__(self, model: Any, weights: str | os.PathLike | None = None,
                 device: str | None = None, show_progress: bool = True) -> None:
        self.source = find_model(model, weights)
        self.skipped: list[str] = []
        cfg, file, exported = self.source.cfg, self.source.file, self.source.exported
        with self._scope():
            super().__init__(
                with_onnx_model(cfg, file) if exported else cfg, None if exported else file,
                'cpu' if exported else device, self.source.scope, show_progress)

    def __call__(self, images: Any, out_dir: str | os.PathLike | None = None, batch_size: int = 1,
                 score_thr: float = 0.3, threshold: Thresholds | None = None,
                 top_k: int | None = None, skip_bad: bool = False,
                 no_save_vis: bool = False) -> list[dict[str, Any]]:
        """Predict on images.

        Images of another size are never padded to a common one: a batch is run in groups of equal
        size, so that each image gets what it gets alone.

        Args:
            images: A path, a folder, a pattern such as ``photos/**/*.jpg``, a URL, pixels uint8
                (H, W, 3) in **BGR** as OpenCV and mmdet have them, a Pillow image, or a list of any
                of these.
            out_dir: Write ``vis/NAME.jpg`` and ``preds/NAME.json`` below it, see `ResultFolder`.
            batch_size: Images at once.
            score_thr: Give the boxes of a higher score.
            threshold: Probability above which a label is predicted: one, one for each class, or
                the file of `save_thresholds`; None takes ``self.thresholds``. Named image heads
                go by one for all classes too, and else by their own or 0.5.
            top_k: Predict the labels of the ``top_k`` highest scores, whatever the threshold. With
                a `SingleLabelHead` it is 1 where no ``threshold`` is given either; a named one
                always predicts one label.
            skip_bad: Leave out images that cannot be read, with a warning, instead of stopping.
            no_save_vis: Write no pictures.

        Returns:
            For each image, in order, a dict of plain values: ``path`` (None for pixels), ``width``
            and ``height`` of the image as it was read, and what `describe` says: ``boxes`` of a
            detector, ``labels`` and ``scores`` of a classifier, all three of a joint model, and
            ``image_labels`` of named image heads.

        Raises:
            FileNotFoundError: An image does not exist.
            OSError: A URL cannot be had.
            TypeError, ValueError: An image cannot be read, or an argument is none; the message
                names it. What was written before is whole.
        """
        return list(self.stream(images, out_dir, batch_size, score_thr, threshold, top_k, skip_bad,
                                no_save_vis))

    def stream(self, images: Any, out_dir: str | os.PathLike | None = None, batch_size: int = 1,
               score_thr: float = 0.3, threshold: Thresholds | None = None,
               top_k: int | None = None, skip_bad: bool = False,
               no_save_vis: bool = False) -> Iterator[dict[str, Any]]:
        """Predict as a call does and give each result when it is there.

        For more images than whose results should be held at once.
        """
        if batch_size < 1:
            raise ValueError(f'batch_size must be at least 1, got {batch_size}')
        decision = self.decision(score_thr, threshold, top_k)
        self.skipped = []
        folder = None if out_dir is None else ResultFolder(out_dir)
        return self._run(list_images(images, skip_bad), batch_size, skip_bad, decision, folder,
                         not no_save_vis)

    def decision(self, score_thr: float = 0.3, threshold: Thresholds | None = None,
                 top_k: int | None = None) -> Decision:
        """What of the scores is predicted, by the arguments of a call."""
        if top_k is not None and top_k < 1:
            raise ValueError(f'top_k must be at least 1, got {top_k}')
        if top_k is None and threshold is None and self.one_label:
            top_k = 1
        thresholds = self.thresholds if threshold is None else load_thresholds(
            threshold, len(self.classes), self.classes)
        named = float(threshold) if isinstance(threshold, (int, float)) else None
        return Decision(score_thr, thresholds, top_k, named)

    def _run(self, sources: Sequence[ImageSource], batch_size: int, skip_bad: bool,
             decision: Decision, folder: ResultFolder | None, pictures: bool
             ) -> Iterator[dict[str, Any]]:
        shown = self.show_progress and len(sources) > 1
        steps = track(sources, description='Predicting') if shown else sources
        for batch in self.preprocess(steps, batch_size, skip_bad):
            for image, sample in zip(batch, self.forward(batch), strict=True):
                result = self.postprocess(image, sample, decision)
                if folder is not None:
                    picture = self.visualize(image, sample, decision) if pictures else None
                    folder.write(image.source.stem, result, picture)
                yield result
        if self.skipped:
            print_log(f'{len(self.skipped)} of {len(sources)} images are left out, since they '
                      'cannot be read', 'current', 30)

    def preprocess(self, inputs: Iterable[ImageSource], batch_size: int, skip_bad: bool
                   ) -> Iterator[list[Prepared]]:
        """Read images and run the pipeline on them, batch by batch."""
        for chunk in self._get_chunk_data(inputs, batch_size):
            batch = []
            for source in chunk:
                try:
                    batch.append(self._prepare(source))
                except (OSError, ValueError) as error:
                    if not skip_bad:
                        raise
                    self.skipped.append(str(error))
                    print_log(f'left out: {error}', 'current', 30)
            yield batch

    def _prepare(self, source: ImageSource) -> Prepared:
        with self._scope():
            record = self.loader(source)
            pixels = record['img']
            try:
                data = self.pipeline(record)
                if data is None:
                    raise ValueError('a transform of the test pipeline drops it')
                return Prepared(source, pixels, data)
            except Exception as error:
                raise ValueError(f'image {source.name} cannot be made an input of the model: '
                                 f'{type(error).__name__}: {error}') from error

    @torch.no_grad()
    def forward(self, inputs: Sequence[Prepared]) -> list[BaseDataElement]:
        """The model's data samples of a batch, on the CPU.

        Padding would reach what is beside it (the means of squeeze-and-excitation, convolutions at
        the border), so only images that are padded alone as they are together share a pass.
        """
        divisor = getattr(self.model.data_preprocessor, 'pad_size_divisor', 1)
        groups: dict[tuple[int, ...], list[int]] = {}
        for number, image in enumerate(inputs):
            size = tuple(-(-side // divisor) for side in image.data['inputs'].shape[-2:])
            groups.setdefault(size, []).append(number)
        samples: dict[int, BaseDataElement] = {}
        with self._scope():
            for numbers in groups.values():
                data = self.collate_fn([inputs[number].data for number in numbers])
                found = self.model.test_step(data)
                samples.update(zip(numbers, (sample.cpu() for sample in found), strict=True))
        return [samples[number] for number in range(len(inputs))]

    def visualize(self, image: Prepared, sample: BaseDataElement, decision: Decision
                  ) -> np.ndarray:
        """The picture of one image's results, uint8 (height, width, 3) in RGB."""
        return draw(self.visualizer, image.pixels, sample, decision)

    def postprocess(self, image: Prepared, sample: BaseDataElement, decision: Decision
                    ) -> dict[str, Any]:
        """The results of one image, in plain values."""
        height, width = image.pixels.shape[:2]
        try:
            described = describe(sample, self.classes, decision,
                                 self.dataset_meta['image_classes'])
        except ValueError as error:
            raise ValueError(f'image {image.source.name}: {error}') from error
        return dict(path=image.source.path, width=width, height=height, **described)

    def _scope(self) -> Any:
        """The registries' scope of this model, for as long as it is needed and no longer."""
        return DefaultScope.overwrite_default_scope(self.source.scope)

    def _load_weights_to_model(self, model: nn.Module, checkpoint: dict | None,
                               cfg: Config | None) -> None:
        """Load all weights or none, and take names and thresholds from where they are."""
        if checkpoint is not None:
            report = compare_weights(model, weights_of(checkpoint))
            if report.incomplete:
                raise CheckpointMismatch(f'{self.source.weights}: {report.incomplete}')
            super()._load_weights_to_model(model, checkpoint, cfg)
        meta = dataset_meta(self.source, checkpoint or {}, getattr(model, 'dataset_meta', None))
        self.dataset_meta = meta
        self.classes: tuple[str, ...] = meta['classes']
        self.thresholds = load_thresholds(
            self._own_thresholds(model), len(self.classes), self.classes)

    @property
    def one_label(self) -> bool:
        """Whether the model gives each image exactly one label."""
        head = self.source.cfg.model.get('head') or {}
        return type_name(head.get('type')) == 'SingleLabelHead'

    def _own_thresholds(self, model: nn.Module) -> Thresholds:
        if self.source.exported:
            own = (self.source.cfg.model.get('head') or {}).get('thresholds')
            own = getattr(model, 'thresholds', None) if own is None else own
        else:
            own = getattr(getattr(model, 'head', None), 'thresholds', None)
            if own is None:  # a joint model's, where the checkpoint has them
                own = getattr(getattr(model, 'image_head', None), 'thresholds', None)
            own = own.cpu().numpy() if isinstance(own, torch.Tensor) else own
        if own is None and self.source.published is not None:
            own = self.source.published.thresholds
        return DEFAULT_THRESHOLD if own is None else own

    def _init_pipeline(self, cfg: Config) -> Callable[[dict], dict]:
        """The test pipeline behind its loader, whose place `ImageLoader` takes."""
        loader, *steps = deepcopy(cfg.test_pipeline)
        self.loader = ImageLoader(TRANSFORMS.build(loader))
        return Compose(steps)

    def _init_collate(self, cfg: Config) -> Callable[[list], Any]:
        return pseudo_collate

    def _init_visualizer(self, cfg: Config) -> Any:
        visualizer = super()._init_visualizer(Config(dict(visualizer=visualizer_config(cfg))))
        visualizer.dataset_meta = self.dataset_meta
        return visualizer
