"""Any mmdet detector and an image-level head on one backbone."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from mmdet.registry import MODELS as DETECTORS
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from .._compat import on_state_dict
from ..checkpoint import adapt_model_state_dict
from .heads import build_image_head
from .layers import norm_form
from .multilabel_classifier import MODES


@MODELS.register_module()
class MultiTaskDetector(BaseModel):
    """Detect boxes and label whole images with one pass of the backbone.

    The detector is built and run as it is; the features its backbone returns on the way also feed
    the image-level head. This needs nothing of the detector but an attribute ``backbone`` that it
    calls, so single-stage, two-stage and DETR-like detectors all fit.

    The state dict has the detector's own keys and ``image_head.*``. A detector's checkpoint
    therefore loads into its part, and this model's checkpoint into the plain detector; the
    checkpoint of a `MultiLabelClassifier` loads into backbone and image head. Attributes
    that this class lacks, such as ``bbox_head``, are the detector's.

    Args:
        detector: Config of any mmdet detector; its ``data_preprocessor`` serves both tasks.
        image_head: Config of a `MultiLabelHead` with as many classes as the detector; reads the
            last feature map of the backbone. ``in_channels`` may be left out for a backbone that
            has ``out_channels``; ``thresholds`` may be the file of `save_thresholds`.
        detector_loss_weight: Factor on every loss of the detector.
        image_loss_weight: Factor on the image head's ``loss_mlc``.
        train_detector: If False, the detector with its backbone is frozen (norm statistics too)
            and only the image head learns.
        train_image_head: If False, the image head is frozen and gives no loss.
        init_cfg: MMEngine initialisation config.

    Raises:
        ValueError: If nothing is to be trained, the detector has no ``backbone``, or the heads
            differ in their number of classes.
    """

    def __init__(self, detector: dict, image_head: dict, detector_loss_weight: float = 1.0,
                 image_loss_weight: float = 1.0, train_detector: bool = True,
                 train_image_head: bool = True, init_cfg: dict | list | None = None) -> None:
        if not (train_detector or train_image_head):
            raise ValueError('train_detector and train_image_head are both False: nothing learns')
        built = DETECTORS.build(detector)
        if not isinstance(getattr(built, 'backbone', None), nn.Module):
            raise ValueError(f'{type(built).__name__} has no backbone to share')
        super().__init__(built.data_preprocessor, init_cfg)
        self.detector = built
        self.image_head = build_image_head(image_head, built.backbone)
        self.detector_loss_weight = detector_loss_weight
        self.image_loss_weight = image_loss_weight
        self.train_detector = train_detector
        self.train_image_head = train_image_head
        self._require_same_classes()
        self.detector.requires_grad_(train_detector)
        self.image_head.requires_grad_(train_image_head)
        on_state_dict(self, _drop_detector_prefix)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == 'detector':  # not built yet
                raise
            return getattr(self.detector, name)

    @property
    def head(self) -> nn.Module:
        """The image-level head, under its name in `MultiLabelClassifier`."""
        return self.image_head

    def train(self, mode: bool = True) -> 'MultiTaskDetector':
        """Set the mode; frozen parts stay in evaluation mode."""
        super().train(mode)
        self.detector.train(mode and self.train_detector)
        self.image_head.train(mode and self.train_image_head)
        return self

    def forward(self, inputs: Tensor, data_samples: Sequence[BaseDataElement] | None = None,
                mode: str = 'tensor') -> Any:
        """Run in one of MMEngine's three modes.

        Args:
            inputs: (N, 3, H, W), preprocessed.
            data_samples: mmdet's ``DetDataSample``, one per image.
            mode: 'tensor' returns the detector's raw output and the image logits
                (N, num_classes); 'loss' the losses of both; 'predict' the data samples with
                ``pred_instances``, ``pred_scores`` (num_classes,) and, where they hold ground
                truth, ``gt_labels``.

        Raises:
            ValueError: If the mode is unknown, or data samples are missing that it needs.
        """
        if mode not in MODES:
            raise ValueError(f'mode must be one of {MODES}, got {mode!r}')
        if mode == 'tensor':
            with self._backbone_features() as features:
                output = self.detector(inputs, data_samples, mode='tensor')
            return output, self.image_head.logits(features[0], data_samples, inputs)
        if data_samples is None:
            raise ValueError(f'mode={mode!r} needs data_samples')
        return (self.loss if mode == 'loss' else self.predict)(inputs, data_samples)

    def loss(self, inputs: Tensor, data_samples: Sequence[BaseDataElement]) -> dict:
        """Return the detector's losses under their own names, and ``loss_mlc``.

        The labels of an image are the classes of the instances that its augmentations left,
        ignored ones (crowds) included.
        """
        losses = {}
        if self.train_detector:
            with self._backbone_features() as features:
                losses = self.detector(inputs, data_samples, mode='loss')
            losses = _scale_losses(losses, self.detector_loss_weight)
            feats = features[0]
        else:
            with torch.no_grad():
                feats = self.detector.backbone(inputs)
        if self.train_image_head:
            self._set_image_labels(data_samples)
            image_losses = self.image_head.loss(feats, data_samples, inputs)
            losses.update(_scale_losses(image_losses, self.image_loss_weight))
        return losses

    def predict(self, inputs: Tensor, data_samples: Sequence[BaseDataElement],
                **kwargs: Any) -> Sequence[BaseDataElement]:
        """Return the data samples with boxes and image-level scores.

        Args:
            inputs: (N, 3, H, W), preprocessed.
            data_samples: One per image.
            **kwargs: Those of the detector's ``predict``, such as ``rescale``.
        """
        with self._backbone_features() as features:
            results = self.detector.predict(inputs, data_samples, **kwargs)
        self._set_image_labels(results)
        return self.image_head.predict(features[0], results, inputs)

    @contextmanager
    def _backbone_features(self) -> Iterator[list]:
        """Collect what the backbone returns while the detector runs; the first is the images'."""
        features: list = []
        handle = self.detector.backbone.register_forward_hook(
            lambda module, args, output: features.append(output))
        try:
            yield features
        finally:
            handle.remove()

    def _load_from_state_dict(self, state_dict: dict, prefix: str, local_metadata: dict,
                              *args: Any) -> None:
        """Take this model's keys, a plain detector's, a classifier's, and published ones."""
        adapt_model_state_dict(self.image_head, norm_form(self), state_dict, prefix)
        _add_detector_prefix(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)

    def _set_image_labels(self, data_samples: Sequence[BaseDataElement]) -> None:
        for sample in data_samples:
            labels = image_labels(sample, self.image_head.num_classes)
            if labels is not None:
                sample.gt_labels = labels

    def _require_same_classes(self) -> None:
        head = getattr(getattr(self.detector, 'roi_head', self.detector), 'bbox_head', None)
        head = head[0] if isinstance(head, nn.ModuleList) else head
        boxes = getattr(head, 'num_classes', self.image_head.num_classes)
        if boxes != self.image_head.num_classes:
            raise ValueError(f'the detector has {boxes} classes, but the image head has '
                             f'{self.image_head.num_classes}; both take their labels from the '
                             'same instances')


def image_labels(sample: BaseDataElement, num_classes: int) -> Tensor | None:
    """Multi-hot labels (num_classes,) of an image: the classes of all its instances.

    Args:
        sample: With ``gt_instances`` and, optionally, ``ignored_instances`` (crowds), whose
            ``labels`` are class indices.
        num_classes: Number of classes.

    Returns:
        Float tensor of 0 and 1, or None where the sample holds no ground truth.
    """
    labels = [sample.get(field).labels for field in ('gt_instances', 'ignored_instances')
              if field in sample and 'labels' in sample.get(field)]
    if not labels:
        return None
    result = torch.zeros(num_classes, device=labels[0].device)
    result[torch.cat(labels).long()] = 1
    return result


def _scale_losses(losses: dict, weight: float) -> dict:
    """Multiply the entries that mmengine sums up: those with ``loss`` in their name."""
    def scale(value: Any) -> Any:
        return [scale(v) for v in value] if isinstance(value, (list, tuple)) else value * weight

    return {k: scale(v) if 'loss' in k else v for k, v in losses.items()}


PREFIX = 'detector.'


def _drop_detector_prefix(module: nn.Module, state_dict: dict, prefix: str, metadata: dict) -> None:
    """Rename on saving: the detector's keys are those of a plain detector.

    What a module records beside its values is found under both names, for either kind of model.
    """
    for key in [k for k in state_dict if k.startswith(prefix + PREFIX)]:
        state_dict[prefix + key[len(prefix + PREFIX):]] = state_dict.pop(key)
    recorded = getattr(state_dict, '_metadata', {})
    for name in [k for k in recorded if k.startswith(prefix + PREFIX)]:
        recorded.setdefault(prefix + name[len(prefix + PREFIX):], recorded[name])


def _add_detector_prefix(state_dict: dict, prefix: str) -> None:
    """Rename on loading: a classifier's ``head`` is the image head, the rest the detector's."""
    for key in [k for k in state_dict if k.startswith(prefix)]:
        name = key[len(prefix):]
        if name.startswith('head.'):
            state_dict[f'{prefix}image_{name}'] = state_dict.pop(key)
        elif not name.startswith('image_head.'):
            state_dict[f'{prefix}{PREFIX}{name}'] = state_dict.pop(key)
