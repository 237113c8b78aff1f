"""Image classifier with any number of labels per image."""
from collections.abc import Sequence

from mmengine.model import BaseModel
from mmengine.registry import MODELS
from mmengine.structures import BaseDataElement
from torch import Tensor

from ..checkpoint import adapt_model_state_dict, recorded_classes
from .heads.multilabel_head import valid_cells
from .layers import norm_form

Modes = ('tensor', 'loss', 'predict')


@MODELS.register_module()
class MultiLabelClassifier(BaseModel):
    """Backbone, optional neck, and an image-level head.

    Args:
        backbone: config of any MMEngine backbone that returns a tuple of feature maps.
        head: config of :class:`MultiLabelLinearHead`, :class:`MLDecoderHead` or another
            :class:`MultiLabelHead`. ``in_channels`` may be left out for a backbone that has
            ``out_channels`` (as :class:`TResNet` does) and no neck.
        neck: config of a module between the two.
        data_preprocessor: config; default: MMEngine's ``ImgDataPreprocessor`` from BGR images to
            RGB in [0, 1], which TResNet's published weights expect.
        init_cfg: MMEngine initialisation config.

    Attributes:
        dataset_meta (dict | None): ``dict(classes=...)`` with the class names that a published
            checkpoint held (ASL's ``idx_to_class``), once such a one is loaded.
    """

    dataset_meta: dict | None = None

    def __init__(self, backbone: dict, head: dict, neck: dict | None = None,
                 data_preprocessor: dict | None = None, init_cfg: dict | list | None = None):
        if data_preprocessor is None:
            data_preprocessor = dict(type='ImgDataPreprocessor', mean=[0.] * 3, std=[255.] * 3,
                                     bgr_to_rgb=True)
        super().__init__(data_preprocessor, init_cfg)
        self.backbone = MODELS.build(backbone)
        self.neck = None if neck is None else MODELS.build(neck)
        self.head = build_image_head(head, self.backbone if neck is None else None)

    def extract_feat(self, inputs: Tensor) -> Sequence[Tensor]:
        """Return the feature maps of images (N, 3, H, W) that the head reads."""
        feats = self.backbone(inputs)
        return feats if self.neck is None else self.neck(feats)

    def forward(self, inputs: Tensor, data_samples: Sequence[BaseDataElement] | None = None,
                mode: str = 'tensor') -> Tensor | dict[str, Tensor] | Sequence[BaseDataElement]:
        """Run in one of MMEngine's three modes.

        Args:
            inputs: (N, 3, H, W), preprocessed.
            data_samples: one per image; ``loss`` needs ``gt_labels`` (num_classes,) in them, see
                :meth:`MultiLabelHead.loss`. If None, ``predict`` makes empty ones.
            mode: ``tensor`` returns logits (N, num_classes); ``loss`` a dict with ``loss_mlc``;
                ``predict`` the data samples with ``pred_scores`` (num_classes,) probabilities.
        """
        if mode not in Modes:
            raise ValueError(f'mode must be one of {Modes}, got {mode!r}')
        feats = self.extract_feat(inputs)
        last = feats if isinstance(feats, Tensor) else feats[-1]
        valid = valid_cells(data_samples, inputs.shape[-2:], last.shape[-2:])
        if mode == 'tensor':
            return self.head(feats, valid)
        if mode == 'loss':
            return self.head.loss(feats, data_samples, valid)
        if data_samples is None:
            data_samples = [BaseDataElement() for _ in inputs]
        return self.head.predict(feats, data_samples, valid)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, local_metadata: dict,
                              *args) -> None:
        """Take published key names too, and refuse a head that is not this model's."""
        adapt_model_state_dict(self, norm_form(self), state_dict, prefix)
        if classes := recorded_classes(local_metadata):
            self.dataset_meta = dict(classes=classes)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)


def build_image_head(head: dict, backbone=None):
    """Build an image-level head whose ``in_channels`` default to the backbone's last stage."""
    if backbone is not None and 'in_channels' not in head:
        channels = getattr(backbone, 'out_channels', None)
        if channels is None:
            raise ValueError(f'head needs in_channels: {type(backbone).__name__} does not say '
                             'how many channels its last stage has')
        head = dict(head, in_channels=list(channels)[-1])
    return MODELS.build(head)
