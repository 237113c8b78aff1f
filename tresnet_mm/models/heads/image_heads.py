"""Several image-level heads by name, each for labels of its own kind."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.model import ModuleDict
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from ..image_labels import fields_of_head, is_labelled
from ..shared_features import Features, of_images, to_learn_from
from .build_image_head import build_image_head
from .multilabel_head import MultiLabelHead
from .single_label_head import SingleLabelHead

#: What mmdet's samples hold under these names is something else.
_TAKEN = ('gt_instances', 'pred_instances', 'ignored_instances', 'proposals', 'gt_panoptic_seg',
          'pred_panoptic_seg', 'gt_sem_seg', 'pred_sem_seg', 'gt_labels', 'gt_label', 'pred_scores',
          'pred_labels', 'pred_label', 'raw_scores',
          'image_head', 'detector')  # these name other parts of the model


class ImageHeads(ModuleDict):
    """Image-level heads on the features of a detector, told apart by name.

    A head reads the labels in the field of its name in each sample, an element with ``gt_labels``
    or ``gt_label``, and writes its predictions there. Its losses are ``NAME.loss_...``.

    Args:
        heads: Config of a head for each name.
        detector: Whose features they read.

    Raises:
        ValueError: If a name cannot be that of a field, or as `build_image_head`.
    """

    def __init__(self, heads: Mapping[str, dict], detector: nn.Module) -> None:
        for name in heads:
            if not name.isidentifier() or name in _TAKEN or hasattr(BaseDataElement, name) or (
                    hasattr(ModuleDict, name)):
                raise ValueError(f'{name!r} cannot be the name of an image head: it names a field '
                                 'of the samples, and has to be an identifier that is free there')
        super().__init__({name: build_image_head(head, detector) for name, head in heads.items()})

    def loss(self, name: str, feats: Features, samples: Sequence[BaseDataElement],
             inputs: Tensor) -> dict[str, Tensor]:
        """The losses of a head, of the images that have labels of its kind.

        Args:
            name: The head.
            feats: Feature maps of the batch, by the part of the detector that they come from.
            samples: One per image.
            inputs: (N, 3, H, W), the batch.

        Returns:
            Empty where no image has labels.

        Raises:
            ValueError: As the head, with its name.
        """
        fields = fields_of_head(samples, name)
        head: Any = self[name]
        losses = labelled_loss(head, to_learn_from(feats, head), fields, inputs,
                               f'image head {name!r}: ')
        return {f'{name}.{key}': value for key, value in losses.items()}

    def predict(self, feats: Features, samples: Sequence[BaseDataElement],
                inputs: Tensor) -> None:
        """Write the predictions of every head into the field of its name."""
        for name, head in self.items():
            head.predict(feats[head.features], fields_of_head(samples, name), inputs)

    def logits(self, feats: Features, samples: Sequence[BaseDataElement] | Tensor | None,
               inputs: Tensor) -> dict[str, Tensor]:
        """The logits (N, num_classes) of each head."""
        return {name: head.logits(feats[head.features], samples, inputs)
                for name, head in self.items()}


def labelled_loss(head: MultiLabelHead, feats: Sequence[Tensor] | Tensor,
                  samples: Sequence[BaseDataElement], inputs: Tensor,
                  where: str = '') -> dict[str, Tensor]:
    """A head's losses of those images of a batch that have labels; empty without any.

    Raises:
        ValueError: As the head, with ``where`` before the message.
    """
    chosen = [i for i, sample in enumerate(samples) if is_labelled(sample)]
    if not chosen:
        return {}
    given = [samples[i] for i in chosen]
    try:
        if isinstance(head, SingleLabelHead):
            _require_one_label(given)
        if len(chosen) == len(samples):
            return head.loss(feats, given, inputs)
        return head.loss(of_images(feats, chosen), given, inputs[chosen])
    except ValueError as error:
        raise ValueError(f'{where}{error}') from error


def _require_one_label(samples: Sequence[BaseDataElement]) -> None:
    for sample in samples:
        if 'gt_label' not in sample:
            count = int((sample.get('gt_labels') == 1).sum())
            raise ValueError(f'{sample.metainfo.get("img_path", "an image")} has {count} labels, '
                             'and SingleLabelHead needs exactly one; MultiLabelLinearHead takes '
                             'any number')
