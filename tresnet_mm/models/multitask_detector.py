"""Any mmdet detector and image-level heads on one backbone."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmdet.registry import MODELS as DETECTORS
from mmengine.dist import get_world_size
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from .._compat import on_state_dict
from ..checkpoint import adapt_model_state_dict
from .detector_keys import add_detector_prefix, drop_detector_prefix
from .heads import build_image_head
from .heads.image_heads import ImageHeads, labelled_loss
from .image_labels import box_scores, has_boxes, labels_from_boxes
from .layers import norm_form
from .losses.task_weights import scale_losses, weights_by_name
from .losses.uncertainty_weighting import UncertaintyWeighting
from .multilabel_classifier import MODES
from .shared_features import Features, SharedFeatures, to_learn_from

#: The task of `MultiTaskDetector`'s ``image_head`` among those of the named ones.
IMAGE_HEAD = 'image_head'
LABEL_SCORES = ('head', 'boxes', 'mean')


@MODELS.register_module()
class MultiTaskDetector(BaseModel):
    """Detect boxes and label whole images with one pass of the backbone.

    The detector is built and run as it is; the features that its backbone or its neck returns on
    the way also feed the image-level heads, by the ``features`` of each. This needs nothing of the
    detector but an attribute ``backbone`` (``neck``) that it calls, so single-stage, two-stage and
    DETR-like detectors all fit.

    Labels come from the boxes' classes (``image_head``), or are annotated apart with class lists of
    their own (``image_heads``), or both. Where data are annotated in part, an image gives the
    losses that it is annotated for: none of the detector with the metainfo ``has_boxes=False``,
    none of a head without labels of its kind.

    The state dict has the detector's own keys, ``image_head.*`` and ``image_heads.NAME.*``. A
    detector's checkpoint therefore loads into its part, and this model's checkpoint into the plain
    detector; the checkpoint of a `MultiLabelClassifier` loads into backbone and image head.
    Attributes that this class lacks, such as ``bbox_head``, are the detector's.

    Args:
        detector: Config of any mmdet detector; its ``data_preprocessor`` serves all tasks.
        image_head: Config of a `MultiLabelHead` with as many classes as the detector, whose labels
            are the classes of the boxes. ``in_channels`` may be left out where the part that it
            reads has ``out_channels``; ``thresholds`` may be the file of `save_thresholds`.
        image_heads: Configs of heads by name, for labels of their own: the field of that name in a
            sample holds ``gt_labels`` or, for a `SingleLabelHead`, ``gt_label``.
        detector_loss_weight: Factor on every loss of the detector.
        image_loss_weight: Factor on the losses of the image heads, or one for each name
            (``'image_head'`` names the one of the boxes' classes; 1 where a name is missing).
        loss_weighting: 'fixed', or 'uncertainty': each task's losses are also divided by a variance
            that is learnt (`UncertaintyWeighting`, arXiv 1705.07115).
        label_scores: What a label's score is: that of the ``image_head`` ('head'), the best score
            of its class's boxes ('boxes'), or the mean of both ('mean'). What was calibrated is
            the one that was chosen.
        train_detector: If False, the detector with its backbone is frozen (norm statistics too)
            and only the image heads learn.
        train_image_head: If False, the image heads are frozen and give no loss.
        init_cfg: MMEngine initialisation config.

    Raises:
        ValueError: If there is no image head, nothing is to be trained, the detector has no
            ``backbone`` or no part that a head reads, the image head differs from it in the number
            of classes, or an argument is none of its values.
    """

    def __init__(self, detector: dict, image_head: dict | None = None,
                 detector_loss_weight: float = 1.0,
                 image_loss_weight: float | Mapping[str, float] = 1.0,
                 train_detector: bool = True, train_image_head: bool = True,
                 init_cfg: dict | list | None = None,
                 image_heads: Mapping[str, dict] | None = None, loss_weighting: str = 'fixed',
                 label_scores: str = 'head') -> None:
        if not (train_detector or train_image_head):
            raise ValueError('train_detector and train_image_head are both False: nothing learns')
        if not (image_head or image_heads):
            raise ValueError('there is no image_head and there are no image_heads: the plain '
                             'detector is the model for boxes alone')
        if loss_weighting not in ('fixed', 'uncertainty'):
            raise ValueError("loss_weighting should be 'fixed' or 'uncertainty', got "
                             f'{loss_weighting!r}')
        if label_scores not in LABEL_SCORES or (label_scores != 'head' and not image_head):
            raise ValueError(f'label_scores should be one of {LABEL_SCORES}, and those of boxes '
                             f'need an image_head, got {label_scores!r}')
        built = DETECTORS.build(detector)
        if not isinstance(getattr(built, 'backbone', None), nn.Module):
            raise ValueError(f'{type(built).__name__} has no backbone to share')
        super().__init__(built.data_preprocessor, init_cfg)
        self.detector = built
        self.image_head = build_image_head(image_head, built) if image_head else None
        self.image_heads = ImageHeads(image_heads or {}, built)
        self.shared = SharedFeatures({head.features for head in self._heads})
        self.detector_loss_weight = detector_loss_weight
        self.image_loss_weight = weights_by_name(image_loss_weight, self._image_tasks)
        self.loss_weights = UncertaintyWeighting(
            ['detector'] * train_detector + self._image_tasks * train_image_head
        ) if loss_weighting == 'uncertainty' else None
        self.label_scores = label_scores
        self.train_detector = train_detector
        self.train_image_head = train_image_head
        if self.image_head is not None:
            self._require_same_classes(self.image_head.num_classes)
        self.detector.requires_grad_(train_detector)
        for head in self._heads:
            head.requires_grad_(train_image_head)
        on_state_dict(self, drop_detector_prefix)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == 'detector':  # not built yet
                raise
            return getattr(self.detector, name)

    @property
    def head(self) -> nn.Module | None:
        """The image-level head of the boxes' classes, under its name in `MultiLabelClassifier`."""
        return self.image_head

    @property
    def _heads(self) -> list[Any]:
        own = [] if self.image_head is None else [self.image_head]
        return [*own, *self.image_heads.values()]

    @property
    def _image_tasks(self) -> list[str]:
        return [IMAGE_HEAD] * (self.image_head is not None) + list(self.image_heads)

    def train(self, mode: bool = True) -> 'MultiTaskDetector':
        """Set the mode; frozen parts stay in evaluation mode."""
        super().train(mode)
        self.detector.train(mode and self.train_detector)
        for head in self._heads:
            head.train(mode and self.train_image_head)
        return self

    def forward(self, inputs: Tensor, data_samples: Sequence[BaseDataElement] | None = None,
                mode: str = 'tensor') -> Any:
        """Run in one of MMEngine's three modes.

        Args:
            inputs: (N, 3, H, W), preprocessed.
            data_samples: mmdet's ``DetDataSample``, one per image.
            mode: 'tensor' returns the detector's raw output and the image logits
                (N, num_classes), with named heads a dict of them by name; 'loss' the losses of
                all; 'predict' the data samples with ``pred_instances``, ``pred_scores``
                (num_classes,) and, where they hold ground truth, ``gt_labels``, and a field of the
                same for each named head.

        Raises:
            ValueError: If the mode is unknown, or data samples are missing that it needs.
        """
        if mode not in MODES:
            raise ValueError(f'mode must be one of {MODES}, got {mode!r}')
        if mode == 'tensor':
            with self.shared.watched(self.detector) as feats:
                output = self.detector(inputs, data_samples, mode='tensor')
            logits: Any = self.image_heads.logits(feats, data_samples, inputs)
            if self.image_head is not None:
                own = self.image_head.logits(feats[self.image_head.features], data_samples, inputs)
                logits = {IMAGE_HEAD: own, **logits} if logits else own
            return output, logits
        if data_samples is None:
            raise ValueError(f'mode={mode!r} needs data_samples')
        return (self.loss if mode == 'loss' else self.predict)(inputs, data_samples)

    def image_features(self, inputs: Tensor) -> Features:
        """What the image heads read of a batch (N, 3, H, W), by the part of the detector."""
        return self.shared.computed(self.detector, inputs)

    def loss(self, inputs: Tensor, data_samples: Sequence[BaseDataElement]) -> dict:
        """Return the detector's losses under their own names, ``loss_mlc``, ``NAME.loss_...``.

        The labels of an image for ``image_head`` are the classes of the instances that its
        augmentations left, ignored ones (crowds) included.

        Raises:
            ValueError: If no image of the batch is annotated for anything that learns.
        """
        losses: dict[str, Any] = {}
        if self.train_detector:
            feats, of_boxes = self._detector_loss(inputs, data_samples)
            losses.update(self._weighted(of_boxes, 'detector', self.detector_loss_weight))
        else:
            with torch.no_grad():
                feats = self.image_features(inputs)
        if self.train_image_head:
            for task in self._image_tasks:
                of_labels = self._image_loss(task, feats, inputs, data_samples)
                losses.update(self._weighted(of_labels, task, self.image_loss_weight[task]))
        if not losses:
            raise ValueError(
                'no image of a batch is annotated for what learns: none has boxes or labels, such '
                f'as {data_samples[0].metainfo.get("img_path")}')
        return losses

    def predict(self, inputs: Tensor, data_samples: Sequence[BaseDataElement],
                **kwargs: Any) -> Sequence[BaseDataElement]:
        """Return the data samples with boxes and image-level scores.

        Args:
            inputs: (N, 3, H, W), preprocessed.
            data_samples: One per image.
            **kwargs: Those of the detector's ``predict``, such as ``rescale``.
        """
        with self.shared.watched(self.detector) as feats:
            results = self.detector.predict(inputs, data_samples, **kwargs)
        self.image_heads.predict(feats, results, inputs)
        if self.image_head is not None:
            labels_from_boxes(results, self.image_head.num_classes)
            self.image_head.predict(feats[self.image_head.features], results, inputs)
            self._add_box_scores(results)
        return results

    def _detector_loss(self, inputs: Tensor, data_samples: Sequence[BaseDataElement]
                       ) -> tuple[Features, dict]:
        """The features of all images, and the detector's losses of those with annotated boxes."""
        boxed = [i for i, sample in enumerate(data_samples) if has_boxes(sample)]
        if len(boxed) == len(data_samples):
            with self.shared.watched(self.detector) as seen:
                losses = self.detector(inputs, data_samples, mode='loss')
            return seen, losses
        feats = self.image_features(inputs)
        if not boxed and get_world_size() == 1:
            return feats, {}
        # Other processes wait for this one in the detector's loss: it takes part with weight 0.
        chosen = boxed or [0]
        with self.shared.answering(self.detector, feats, chosen):
            losses = self.detector(inputs[chosen], [data_samples[i] for i in chosen], mode='loss')
        return feats, losses if boxed else scale_losses(losses, 0.0)

    def _image_loss(self, task: str, feats: Features, inputs: Tensor,
                    data_samples: Sequence[BaseDataElement]) -> dict:
        if task != IMAGE_HEAD:
            head: Any = self.image_heads[task]
            losses = self.image_heads.loss(task, feats, data_samples, inputs)
        else:
            head = self.image_head
            labels_from_boxes(data_samples, head.num_classes)
            losses = labelled_loss(head, to_learn_from(feats, head), data_samples, inputs)
        if not losses and get_world_size() > 1:  # so that every process has all gradients
            losses = {f'{task}.loss_absent': head.logits(feats[head.features]).sum() * 0}
        return losses

    def _weighted(self, losses: dict, task: str, weight: float) -> dict:
        losses = scale_losses(losses, weight)
        if self.loss_weights is None or not losses:
            return losses
        return {**scale_losses(losses, self.loss_weights.factor(task)),
                f'{task}.loss_weighting': self.loss_weights.penalty(task)}

    def _add_box_scores(self, results: Sequence[BaseDataElement]) -> None:
        """Set the label scores from the boxes, as ``label_scores`` says."""
        if self.label_scores == 'head':
            return
        head: Any = self.image_head
        boxes = torch.stack([box_scores(sample, head.num_classes) for sample in results])
        raw = [sample.get('raw_scores', sample.pred_scores) for sample in results]
        head.set_raw_scores(results, self.combined_scores(torch.stack(raw), boxes))

    def combined_scores(self, head: Tensor, boxes: Tensor) -> Tensor:
        """What ``label_scores`` makes of two probabilities of a label, before any calibration.

        Args:
            head: (N, num_classes), those of the ``image_head``, not calibrated.
            boxes: (N, num_classes), the best scores of each class's boxes.
        """
        if self.label_scores == 'mean':
            return (head + boxes) / 2
        return boxes if self.label_scores == 'boxes' else head

    def _load_from_state_dict(self, state_dict: dict, prefix: str, local_metadata: dict,
                              *args: Any) -> None:
        """Take this model's keys, a plain detector's, a classifier's, and published ones."""
        adapt_model_state_dict(self.image_head or nn.Identity(), norm_form(self), state_dict,
                               prefix)
        add_detector_prefix(state_dict, prefix, (IMAGE_HEAD, 'image_heads', 'loss_weights'))
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)

    def _require_same_classes(self, num_classes: int) -> None:
        head = getattr(getattr(self.detector, 'roi_head', self.detector), 'bbox_head', None)
        head = head[0] if isinstance(head, nn.ModuleList) else head
        boxes = getattr(head, 'num_classes', num_classes)
        if boxes != num_classes:
            raise ValueError(f'the detector has {boxes} classes, but the image head has '
                             f'{num_classes}; both take their labels from the same instances. '
                             'image_heads take labels of their own')
