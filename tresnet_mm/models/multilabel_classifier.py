"""Image classifier with any number of labels per image."""

from collections.abc import Sequence
from typing import Any

from mmengine.model import BaseModel
from mmengine.registry import MODELS
from mmengine.structures import BaseDataElement
from torch import Tensor

from ..checkpoint import adapt_model_state_dict, recorded_classes
from .heads import build_image_head
from .input_format import image_preprocessor
from .layers import norm_form

MODES = ('tensor', 'loss', 'predict')


@MODELS.register_module()
class MultiLabelClassifier(BaseModel):
    """Backbone, optional neck, and an image-level head.

    Args:
        backbone: Config of any MMEngine backbone that returns a tuple of feature maps.
        head: Config of `MultiLabelLinearHead`, `MLDecoderHead` or another `MultiLabelHead`.
            ``in_channels`` may be left out for a backbone that has ``out_channels`` (as `TResNet`
            does) and no neck; ``thresholds`` may be the file of `save_thresholds`.
        neck: Config of a module between the two.
        data_preprocessor: Config; default: MMEngine's ``ImgDataPreprocessor`` from BGR images to
            RGB in [0, 1], which TResNet's published weights expect.
        init_cfg: MMEngine initialisation config.

    Attributes:
        dataset_meta (dict | None): ``dict(classes=...)`` with the class names that a published
            checkpoint held (ASL's ``idx_to_class``), once such a one is loaded.
    """

    dataset_meta: dict | None = None

    def __init__(self, backbone: dict, head: dict, neck: dict | None = None,
                 data_preprocessor: dict | None = None,
                 init_cfg: dict | list | None = None) -> None:
        if data_preprocessor is None:
            data_preprocessor = image_preprocessor()
        super().__init__(data_preprocessor, init_cfg)
        self.backbone = MODELS.build(backbone)
        self.neck = None if neck is None else MODELS.build(neck)
        self.head = build_image_head(head, self if neck is None else None)

    def extract_feat(self, inputs: Tensor) -> Sequence[Tensor]:
        """Return the feature maps of images (N, 3, H, W) that the head reads."""
        feats = self.backbone(inputs)
        return feats if self.neck is None else self.neck(feats)

    def forward(self, inputs: Tensor, data_samples: Sequence[BaseDataElement] | None = None,
                mode: str = 'tensor') -> Tensor | dict[str, Tensor] | Sequence[BaseDataElement]:
        """Run in one of MMEngine's three modes.

        Args:
            inputs: (N, 3, H, W), preprocessed.
            data_samples: One per image; ``loss`` needs ``gt_labels`` (num_classes,) in them, see
                `MultiLabelHead.loss`. If None, ``predict`` makes empty ones.
            mode: 'tensor' returns logits (N, num_classes); 'loss' a dict with ``loss_mlc``;
                'predict' the data samples with ``pred_scores`` (num_classes,) probabilities.

        Raises:
            ValueError: If the mode is unknown, ``loss`` gets no data samples, or as
                `MultiLabelHead.loss`.
        """
        if mode not in MODES:
            raise ValueError(f'mode must be one of {MODES}, got {mode!r}')
        if mode == 'loss' and data_samples is None:
            raise ValueError("mode='loss' needs data_samples with gt_labels")
        feats = self.extract_feat(inputs)
        if mode == 'tensor':
            return self.head.logits(feats, data_samples, inputs)
        if data_samples is None:
            data_samples = [BaseDataElement() for _ in inputs]
        if mode == 'loss':
            return self.head.loss(feats, data_samples, inputs)
        return self.head.predict(feats, data_samples, inputs)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, local_metadata: dict,
                              *args: Any) -> None:
        """Take published key names too, and refuse a head that is not this model's."""
        adapt_model_state_dict(self.head, norm_form(self), state_dict, prefix)
        if classes := recorded_classes(local_metadata):
            self.dataset_meta = dict(classes=classes)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)
