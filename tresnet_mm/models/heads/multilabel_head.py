"""What the image-level heads share: checks, loss, scores and thresholds."""
from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from mmengine.structures import BaseDataElement
from torch import Tensor

from ...evaluation.thresholds import Thresholds, load_thresholds

DEFAULT_LOSS = dict(type='AsymmetricLoss')


def valid_cells(data_samples: Sequence[BaseDataElement] | None, input_shape: Sequence[int],
                feature_shape: Sequence[int]) -> Tensor | None:
    """Tell which cells of a feature map see the image and which only see batch padding.

    Images of different size are padded at the right and bottom to share a batch. Pooling over the
    padding would make the scores of an image depend on its neighbours in the batch.

    Args:
        data_samples: one per image; the metainfo field ``img_shape`` (height, width) in pixels is
            read, a sample without it counts as unpadded.
        input_shape: (height, width) of the batch in pixels.
        feature_shape: (height, width) of the feature map in cells.

    Returns:
        Boolean (N, height, width), True where the cell belongs to the image, or None where no
        image is padded (the common case, which then costs nothing).
    """
    (height, width), (rows, cols) = input_shape, feature_shape
    shapes = [tuple(s.metainfo.get('img_shape', (height, width))[:2]) for s in data_samples or ()]
    if all(h >= height and w >= width for h, w in shapes):
        return None
    valid = torch.zeros(len(shapes), rows, cols, dtype=torch.bool)
    for mask, (h, w) in zip(valid, shapes, strict=True):
        mask[:max(1, -(-h * rows // height)), :max(1, -(-w * cols // width))] = True
    return valid


class MultiLabelHead(BaseModule):
    """Base of heads that give one independent logit per class and image.

    A subclass implements :meth:`forward`. The head reads the last feature map of the backbone (or
    neck), so it works with any of them.

    Args:
        num_classes: number of classes, at least 1.
        in_channels: channels of the last feature map.
        loss: config of a loss called as ``loss(logits, targets)``, and as
            ``loss(logits, targets, weight=...)`` where targets are unknown; mmdet's
            ``CrossEntropyLoss(use_sigmoid=True)`` and ``FocalLoss`` fit too.
            Default: :class:`AsymmetricLoss`.
        thresholds: if given, predictions get ``pred_labels``, the classes whose score is above
            it: a probability for all classes, one per class, or the JSON file that
            ``tools/analysis/choose_thresholds.py`` writes.
        check_finite: stop at NaN or infinite logits. Costs one reduction and reads one flag from
            the device per batch; mmengine's log does the latter in every iteration anyway.
        init_cfg: MMEngine initialisation config.
    """

    def __init__(self, num_classes: int, in_channels: int, loss: dict | None = None,
                 thresholds: Thresholds | None = None, check_finite: bool = True,
                 init_cfg: dict | list | None = None):
        super().__init__(init_cfg)
        for name, value in dict(num_classes=num_classes, in_channels=in_channels).items():
            if not isinstance(value, int) or value < 1:
                raise ValueError(f'{name} must be a positive integer, got {value!r}')
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.check_finite = check_finite
        self.loss_module = MODELS.build(loss or DEFAULT_LOSS)
        self.thresholds = None
        if thresholds is not None:
            self.thresholds = torch.from_numpy(load_thresholds(thresholds, num_classes))

    def forward(self, feats: Sequence[Tensor] | Tensor, valid: Tensor | None = None) -> Tensor:
        """Compute logits.

        Args:
            feats: feature maps; the last, (N, in_channels, H, W), is used.
            valid: boolean (N, H, W), cells that are not padding; None means all.

        Returns:
            Logits (N, num_classes).
        """
        raise NotImplementedError

    def loss(self, feats: Sequence[Tensor], data_samples: Sequence[BaseDataElement],
             valid: Tensor | None = None) -> dict[str, Tensor]:
        """Return ``dict(loss_mlc=...)``.

        Args:
            feats: as in :meth:`forward`.
            data_samples: one per image with ``gt_labels``, (num_classes,): 1 present, 0 absent,
                anything between for soft labels, -1 unknown (left out of the loss).
            valid: as in :meth:`forward`.

        Raises:
            ValueError: number of classes differs from the head's, a target outside [0, 1] that is
                not -1, or logits that are not finite.
        """
        logits = self(feats, valid)
        targets = self.stack_targets(data_samples).to(logits.device, torch.float32)
        known = targets != -1
        outside = ((targets < 0) | (targets > 1)) & known
        # one transfer for all three answers: each would make the device wait
        finite, any_outside, all_known = torch.stack(
            [logits.isfinite().all(), outside.any() | targets.isnan().any(), known.all()]).tolist()
        if any_outside:
            raise ValueError('gt_labels must lie in [0, 1] (or be -1 for unknown), got values from '
                             f'{targets.min().item():g} to {targets.max().item():g}')
        self._require_finite(finite, data_samples)
        if all_known:
            return dict(loss_mlc=self.loss_module(logits, targets))
        loss = self.loss_module(logits, targets.clamp(min=0), weight=known.to(targets.dtype))
        return dict(loss_mlc=loss)

    def predict(self, feats: Sequence[Tensor], data_samples: Sequence[BaseDataElement],
                valid: Tensor | None = None) -> Sequence[BaseDataElement]:
        """Set ``pred_scores`` (num_classes,) and, with thresholds, ``pred_labels`` (indices).

        Scores are float32 probabilities, also under autocast. Raises as :meth:`loss`.
        """
        logits = self(feats, valid).float()
        self._require_finite(bool(logits.isfinite().all()) if self.check_finite else True,
                             data_samples)
        for sample, scores in zip(data_samples, logits.sigmoid(), strict=True):
            if 'gt_labels' in sample:
                self._require_classes(sample)
            self.set_scores(sample, scores)
        return data_samples

    def set_scores(self, sample: BaseDataElement, scores: Tensor) -> None:
        """Store the probabilities (num_classes,) of one image and what they predict."""
        sample.pred_scores = scores
        if self.thresholds is not None:
            above = scores > self.thresholds.to(scores)
            sample.pred_labels = above.nonzero().flatten()

    def stack_targets(self, data_samples: Sequence[BaseDataElement]) -> Tensor:
        """Return the targets (N, num_classes) of a batch, checked for their number of classes."""
        for sample in data_samples:
            if 'gt_labels' not in sample:
                raise ValueError(f'{_name(sample)} has no gt_labels; pack them in the pipeline')
            self._require_classes(sample)
        return torch.stack([torch.as_tensor(sample.gt_labels) for sample in data_samples])

    def last_map(self, feats: Sequence[Tensor] | Tensor) -> Tensor:
        """Return the feature map the head works on, checked for its number of channels."""
        x = feats if isinstance(feats, Tensor) else feats[-1]
        if x.ndim != 4 or x.shape[1] != self.in_channels:
            raise ValueError(f'{type(self).__name__} expects a feature map (N, {self.in_channels}, '
                             f'H, W), got {tuple(x.shape)}; set in_channels to the channels of '
                             "the backbone's last stage")
        return x

    def _require_classes(self, sample: BaseDataElement) -> None:
        count = sample.gt_labels.shape
        if tuple(count) != (self.num_classes, ):
            raise ValueError(f'{type(self).__name__} has num_classes={self.num_classes}, but '
                             f'gt_labels of {_name(sample)} has shape {tuple(count)}; set '
                             'num_classes to the number of classes of the dataset')

    def _require_finite(self, finite: bool, data_samples: Sequence[BaseDataElement]) -> None:
        if self.check_finite and not finite:
            names = ', '.join(_name(sample) for sample in data_samples[:4])
            raise ValueError(
                f'{type(self).__name__} got NaN or infinite logits in a batch of '
                f'{len(data_samples)} images ({names}{", ..." if len(data_samples) > 4 else ""}); '
                'lower the learning rate, clip gradients, or check the loaded weights')


def _name(sample: BaseDataElement) -> str:
    return str(sample.metainfo.get('img_path') or sample.metainfo.get('img_id', 'an image'))
