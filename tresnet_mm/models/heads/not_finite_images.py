"""Which images of a batch bring NaN or infinite values, by name."""

from collections.abc import Sequence

from mmengine.structures import BaseDataElement
from torch import Tensor

#: Images that a message names.
MAX_NAMES = 8


def not_finite_message(head: str, logits: Tensor, data_samples: Sequence[BaseDataElement],
                       inputs: Tensor | None) -> str:
    """Name the images whose logits are not finite and, above all, those that brought it in.

    In training the statistics of a batch spread one image's NaN over all of them.

    Args:
        head: What the message calls the head.
        logits: (N, num_classes).
        data_samples: One per image, with its path or id in the metainfo.
        inputs: The batch (N, 3, H, W), to find those that brought it in; None where it is unknown.
    """
    wrong, names = _not_finite(logits, data_samples)
    message = (f'{head} got NaN or infinite logits for {wrong} of {len(data_samples)} images '
               f'({names}); ')
    if inputs is not None and not inputs.isfinite().all():
        _, names = _not_finite(inputs, data_samples)
        return f'{message}there are NaN or infinite pixels in {names}'
    return f'{message}lower the learning rate, clip gradients, or check the loaded weights'


def image_name(sample: BaseDataElement) -> str:
    """What a message calls an image: its path, or its id."""
    return str(sample.metainfo.get('img_path') or sample.metainfo.get('img_id', 'an image'))


def _not_finite(values: Tensor, data_samples: Sequence[BaseDataElement]) -> tuple[int, str]:
    """Number and names of the images for which ``values`` (N, ...) are not finite."""
    wrong = (~values.isfinite().flatten(1).all(dim=1)).tolist()
    names = [image_name(sample) for sample, bad in zip(data_samples, wrong, strict=True) if bad]
    return len(names), ', '.join(names[:MAX_NAMES] + ['...'] * (len(names) > MAX_NAMES))
