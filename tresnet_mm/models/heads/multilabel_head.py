"""What the image-level heads share: checks, loss, scores and thresholds."""

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from mmengine.structures import BaseDataElement
from torch import Tensor

from ...thresholds import check_thresholds
from .calibration import Calibration
from .not_finite_images import image_name, not_finite_message
from .unknown_targets import UNKNOWN, loss_of_known
from .valid_cells import valid_cells

DEFAULT_LOSS = dict(type='AsymmetricLoss')


class MultiLabelHead(BaseModule):
    """Base of heads that give one independent logit per class and image.

    A subclass implements `forward`. Most heads read the last feature map alone, so that they work
    with any backbone or neck.

    Args:
        num_classes: Number of classes, at least 1.
        in_channels: Channels of the last feature map.
        loss: Config of a loss, called as ``loss(logits, targets)``. Unknown targets reach one whose
            ``ignore_index`` is -1, such as `AsymmetricLoss`. Any other is called with 0 in their
            place and ``weight`` 0, and where its ``reduction`` is 'mean' with the number of known
            targets as ``avg_factor``: mmdet's ``CrossEntropyLoss(use_sigmoid=True)`` and
            ``FocalLoss`` fit too. Default: `AsymmetricLoss`.
        thresholds: If given, predictions get ``pred_labels``, the classes whose score is above it:
            a probability for all classes, or one per class. (In the config of a model the file of
            `save_thresholds` serves too, see `build_image_head`.) Those of the checkpoint, which
            ``tresnet-mm calibrate`` writes, serve where none are given.
        calibrated: Whether what ``tresnet-mm calibrate`` wrote into the checkpoint is used:
            scaled scores, and thresholds for them.
        class_weight: What all entries of a class are weighted by in the loss, one number of at
            least 0 per class. `ClassWeightHook` sets it from the training data.
        check_finite: Stop at NaN or infinite logits. Costs one reduction and reads one flag from
            the device per batch; mmengine's log does the latter in every iteration anyway.
        features: Of a joint model: the part of the detector whose feature maps are read,
            'backbone' or 'neck'. A classifier's head reads the neck where there is one.
        detach_features: Of a joint model: learn from the features without changing them, so that
            the detector becomes what it would be without the head.
        init_cfg: MMEngine initialisation config.

    Raises:
        ValueError: If a number is not positive, the thresholds are not as many as the classes or
            outside [0, 1], or the class weights are not as many as the classes or negative.
        TypeError: If the thresholds are no numbers.

    Attributes:
        map_kind: What the values of `class_maps` are. ``logit``: what the logit would be if all
            cells were like this one; their mean over the cells that are no padding is the image's
            logit. ``best``: logits of the cells, of which the highest is the image's.
            ``attention``: shares of the attention, which sum to 1 over these cells.
    """

    map_kind: str = 'logit'

    def __init__(self, num_classes: int, in_channels: int, loss: dict | None = None,
                 thresholds: float | Sequence[float] | np.ndarray | None = None,
                 check_finite: bool = True, init_cfg: dict | list | None = None,
                 class_weight: Sequence[float] | None = None, calibrated: bool = True,
                 features: str = 'backbone', detach_features: bool = False) -> None:
        super().__init__(init_cfg)
        for name, value in dict(num_classes=num_classes, in_channels=in_channels).items():
            if not isinstance(value, int) or value < 1:
                raise ValueError(f'{name} must be a positive integer, got {value!r}')
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.check_finite = check_finite
        self.features = features
        self.detach_features = detach_features
        self.loss_module = MODELS.build(loss or DEFAULT_LOSS)
        self.calibrated = calibrated
        self.calibration = Calibration(num_classes)
        self._thresholds: Tensor | None = None
        if thresholds is not None:
            self._thresholds = torch.from_numpy(check_thresholds(thresholds, num_classes))
        self.class_weight: Tensor | None = None
        if class_weight is not None:
            self.set_class_weight(class_weight)

    @property
    def thresholds(self) -> Tensor | None:
        """Probabilities (num_classes,) above which a class is predicted; None if there are none."""
        if self._thresholds is None and self.calibrated:
            return self.calibration.thresholds
        return self._thresholds

    @thresholds.setter
    def thresholds(self, values: Tensor | None) -> None:
        self._thresholds = values

    def set_class_weight(self, class_weight: Sequence[float]) -> None:
        """Weight the classes in the loss from now on; errors of the argument."""
        weight = torch.tensor(class_weight, dtype=torch.float32)
        if weight.shape != (self.num_classes, ):
            raise ValueError(f'class_weight must be {self.num_classes} numbers, one per class, got '
                             f'{tuple(weight.shape)}')
        if not (weight.isfinite() & (weight >= 0)).all():
            raise ValueError(f'class_weight must be finite and at least 0, got {class_weight}')
        self.class_weight = weight

    def forward(self, feats: Sequence[Tensor] | Tensor, valid: Tensor | None = None) -> Tensor:
        """Compute logits.

        Args:
            feats: Feature maps; the last, (N, in_channels, H, W), is used.
            valid: Boolean (N, H, W), cells that are not padding; None means all.

        Returns:
            Logits (N, num_classes).
        """
        raise NotImplementedError

    def logits(self, feats: Sequence[Tensor] | Tensor,
               data_samples: Sequence[BaseDataElement] | Tensor | None = None,
               inputs: Tensor | None = None) -> Tensor:
        """Compute the logits (N, num_classes) of images of any size in one batch.

        Args:
            feats: As in `forward`.
            data_samples: One per image, their ``img_shape`` tells an image from its padding. Or
                the heights and widths themselves, integers (N, 2).
            inputs: The batch (N, 3, H, W) that the features are of; None means without padding.
        """
        return self(feats, self._valid(feats, data_samples, inputs))

    def class_maps(self, feats: Sequence[Tensor] | Tensor, classes: Sequence[int],
                   data_samples: Sequence[BaseDataElement] | None = None,
                   inputs: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Say which cells of the feature map the logits of some classes come from.

        Args:
            feats: As in `forward`.
            classes: Class indices, K of them.
            data_samples: As in `logits`.
            inputs: As in `logits`.

        Returns:
            Maps (N, K, H, W), 0 in padding, whose values `map_kind` explains, and which cells are
            no padding: boolean (N, H, W), or None where all are.

        Raises:
            IndexError: If there is no class of an index.
            NotImplementedError: If the head has no such maps.
        """
        self.require_class_indices(classes)
        valid = self._valid(feats, data_samples, inputs)
        maps = self.maps_of_cells(self.last_map(feats), classes, valid)
        return (maps if valid is None else maps * valid.to(maps).unsqueeze(1)), valid

    def require_class_indices(self, classes: Sequence[int]) -> None:
        """IndexError if there is no class of an index."""
        for index in classes:
            if not 0 <= index < self.num_classes:
                raise IndexError(f'class {index} of a head with {self.num_classes} classes')

    def maps_of_cells(self, x: Tensor, classes: Sequence[int], valid: Tensor | None) -> Tensor:
        """The maps (N, K, H, W) of `class_maps` from the feature map (N, C, H, W)."""
        raise NotImplementedError(f'{type(self).__name__} has no class maps')

    def loss(self, feats: Sequence[Tensor] | Tensor, data_samples: Sequence[BaseDataElement],
             inputs: Tensor | None = None) -> dict[str, Tensor]:
        """Return ``dict(loss_mlc=...)``.

        Args:
            feats: As in `forward`.
            data_samples: One per image with ``gt_labels``, (num_classes,): 1 present, 0 absent,
                anything between for soft labels, -1 unknown (left out of the loss).
            inputs: As in `logits`.

        Raises:
            ValueError: If the number of classes differs from the head's, a target is outside [0, 1]
                and not -1, or logits are not finite.
        """
        if self.training and self.calibration.holds:
            self.calibration.forget()
        logits = self.logits(feats, data_samples, inputs)
        targets = self.stack_targets(data_samples).to(logits.device, torch.float32)
        known = targets != UNKNOWN
        inside = (targets >= 0) & (targets <= 1)
        # one transfer for all three answers: the host waits for the device in each
        finite, in_range, all_known = torch.stack(
            [logits.isfinite().all(), (inside | ~known).all(), known.all()]).tolist()
        if not in_range:
            raise ValueError('gt_labels must lie in [0, 1] (or be -1 for unknown), got values from '
                             f'{targets.min().item():g} to {targets.max().item():g}')
        if self.check_finite and not finite:
            raise ValueError(
                not_finite_message(type(self).__name__, logits, data_samples, inputs))
        if self.class_weight is not None:
            self.class_weight = self.class_weight.to(targets)  # stays there for the next step
        weight = None if self.class_weight is None else self.class_weight.expand_as(targets)
        return dict(loss_mlc=loss_of_known(
            self.loss_module, logits, targets, None if all_known else known, weight))

    def predict(self, feats: Sequence[Tensor] | Tensor, data_samples: Sequence[BaseDataElement],
                inputs: Tensor | None = None) -> Sequence[BaseDataElement]:
        """Set ``pred_scores`` (num_classes,) and, with thresholds, ``pred_labels`` (indices).

        Scores are float32 probabilities, also under autocast. Where the checkpoint calibrates them,
        ``raw_scores`` are what they would be without. Takes and raises what `loss` does.
        """
        logits = self.logits(feats, data_samples, inputs).float()
        if self.check_finite and not logits.isfinite().all():
            raise ValueError(
                not_finite_message(type(self).__name__, logits, data_samples, inputs))
        for sample in data_samples:
            if 'gt_labels' in sample:
                self._require_classes(sample)
        self.set_scores(data_samples, self.probabilities(logits))
        self._keep_raw(data_samples, logits.sigmoid())
        return data_samples

    def set_raw_scores(self, data_samples: Sequence[BaseDataElement], scores: Tensor) -> None:
        """Store probabilities (N, num_classes) that are not calibrated, as `predict` its own.

        They may be any that rank the labels: the calibration is fitted to what a model predicts.
        """
        self.set_scores(data_samples, self.calibrated_scores(scores))
        self._keep_raw(data_samples, scores)

    def calibrated_scores(self, scores: Tensor) -> Tensor:
        """Probabilities (N, num_classes), calibrated where the checkpoint says how."""
        return self.probabilities(_logits(scores)) if self.is_calibrated else scores

    def _keep_raw(self, data_samples: Sequence[BaseDataElement], scores: Tensor) -> None:
        if self.is_calibrated:
            for sample, raw in zip(data_samples, scores, strict=True):
                sample.raw_scores = raw

    @property
    def is_calibrated(self) -> bool:
        """Whether a checkpoint calibrates the scores, which then differ from the raw ones."""
        return self.calibrated and self.calibration.fitted

    def probabilities(self, logits: Tensor) -> Tensor:
        """The scores (N, num_classes) of logits, calibrated where the checkpoint says how."""
        return (self.calibration(logits) if self.calibrated else logits).sigmoid()

    def set_scores(self, data_samples: Sequence[BaseDataElement], scores: Tensor) -> None:
        """Store the probabilities (N, num_classes) of N images and what they predict.

        ``pred_labels`` are on the CPU: how many there are has to be known there, and all images'
        are fetched by one transfer.
        """
        for sample, row in zip(data_samples, scores, strict=True):
            sample.pred_scores = row
            sample.pop('raw_scores', None)  # of one view, where several are merged
        if self.thresholds is None:
            return
        if self._thresholds is not None:
            self._thresholds = self._thresholds.to(scores.device)  # stays there for the next batch
        above = scores > self.thresholds.to(scores)
        for sample, row in zip(data_samples, above.cpu(), strict=True):
            sample.pred_labels = row.nonzero().flatten()

    def stack_targets(self, data_samples: Sequence[BaseDataElement]) -> Tensor:
        """Return the targets (N, num_classes) of a batch, checked for their number of classes."""
        for sample in data_samples:
            if 'gt_labels' not in sample:
                raise ValueError(
                    f'{image_name(sample)} has no gt_labels; pack them in the pipeline')
            self._require_classes(sample)
        return torch.stack([torch.as_tensor(sample.gt_labels) for sample in data_samples])

    def last_map(self, feats: Sequence[Tensor] | Tensor) -> Tensor:
        """Return the feature map the head works on, checked for its number of channels."""
        x = _last(feats)
        if x.ndim != 4 or x.shape[1] != self.in_channels:
            raise ValueError(f'{type(self).__name__} expects a feature map (N, {self.in_channels}, '
                             f'H, W), got {tuple(x.shape)}; set in_channels to the channels of '
                             "the backbone's last stage")
        return x

    def _valid(self, feats: Sequence[Tensor] | Tensor,
               data_samples: Sequence[BaseDataElement] | Tensor | None,
               inputs: Tensor | None) -> Tensor | None:
        if inputs is None:
            return None
        x = _last(feats)
        return valid_cells(data_samples, inputs.shape[-2:], x.shape[-2:], x.device)

    def _require_classes(self, sample: BaseDataElement) -> None:
        count = sample.gt_labels.shape
        if tuple(count) != (self.num_classes, ):
            raise ValueError(f'{type(self).__name__} has num_classes={self.num_classes}, but '
                             f'gt_labels of {image_name(sample)} has shape {tuple(count)}; set '
                             'num_classes to the number of classes of the dataset')


def _logits(scores: Tensor) -> Tensor:
    """Finite logits of probabilities; what is 0 or 1 gets the one that would be rounded to it."""
    smallest, largest = torch.finfo(torch.float32).tiny, 1 - 2.0 ** -25
    return torch.logit(scores.double().clamp(smallest, largest)).float()


def _last(feats: Sequence[Tensor] | Tensor) -> Tensor:
    return feats if isinstance(feats, Tensor) else feats[-1]
