"""Where on the image the score of a class comes from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import Tensor

from ..models import MultiLabelClassifier


@dataclass(frozen=True)
class ClassMaps:
    """The maps of some classes on one image.

    Attributes:
        cells: float (K, h, w), a value for each cell of the feature map that sees the image, those
            that only see padding left out.
        scores: float (K,), probabilities of the classes.
        kind: 'logit', the logit that the head would give if all cells were like this one, whose
            mean is the logit of the image; 'best', the logit of the cell, of which the highest is
            the image's; or 'attention', shares that sum to 1.
        extent: Height and width that the image takes of the cells, in cells; the last ones may be
            partly padding.
    """

    cells: np.ndarray
    scores: np.ndarray
    kind: str
    extent: tuple[float, float]

    def on_image(self, height: int, width: int) -> np.ndarray:
        """The maps bilinearly enlarged onto the image: float32 (K, height, width).

        A cell's value stands at the cell's centre; beyond the outermost centres it goes on.
        """
        rows, columns = self.cells.shape[1:]
        # grid_sample's coordinates: -1 and 1 are the outer edges of the first and the last cell
        y, x = (((torch.arange(pixels) + 0.5) / pixels * extent / cells) * 2 - 1
                for pixels, extent, cells in zip(
                    (height, width), self.extent, (rows, columns), strict=True))
        grid = torch.stack(torch.meshgrid(x, y, indexing='xy'), dim=-1)[None].float()
        cells = torch.from_numpy(self.cells).float()[None]
        return F.grid_sample(
            cells, grid, padding_mode='border', align_corners=False)[0].numpy()

    def explain(self, number: int) -> str:
        """What the colours of `draw_heat` mean on one of the maps, in a line."""
        cells = self.cells[number]
        if self.kind != 'attention':
            low, high = (round(float(v), 1) + 0.0 for v in (cells.min(), cells.max()))  # no -0.0
            return f'logit of a cell: {low:+.1f} to {high:+.1f}; red for the class, blue against it'
        return f'attention: up to {cells.max() * cells.size:.1f} times its mean'


@torch.no_grad()
def class_maps(model: BaseModel, data: dict[str, Any], classes: Sequence[int] | None = None,
               head: str | None = None) -> list[ClassMaps]:
    """Compute class-activation maps (linear, dense head) or attention maps (ML-Decoder).

    The image passes the model once, in evaluation mode; no hook is left on it.

    Args:
        model: A `MultiLabelClassifier` or `MultiTaskDetector`.
        data: A batch as its ``test_step`` takes it: lists ``inputs`` and ``data_samples``.
        classes: Class indices, K of them; None for all.
        head: Name of one of the model's ``image_heads``; None for the head without a name.

    Returns:
        The maps of each image.

    Raises:
        TypeError: If the model has no such image-level head.
        IndexError: If there is no class of an index.
        NotImplementedError: If the head has no such maps.
    """
    own: Any = find_image_head(model, head)
    if not hasattr(own, 'class_maps'):
        which = '' if head is None else f' {head!r}'
        raise TypeError(f'{type(model).__name__} has no image-level head{which}, so no class maps')
    wanted = list(range(own.num_classes)) if classes is None else list(classes)
    training = model.training
    model.eval()
    try:
        batch = model.data_preprocessor(data, False)
        inputs, samples = batch['inputs'], batch['data_samples']
        features = (model.extract_feat(inputs) if isinstance(model, MultiLabelClassifier)
                    else model.image_features(inputs)[own.features])
        maps, valid = own.class_maps(features, wanted, samples, inputs)
        scores = own.probabilities(own.logits(features, samples, inputs).float())[:, wanted]
    finally:
        model.train(training)
    sizes = [sample.metainfo.get('img_shape', inputs.shape[-2:]) for sample in samples]
    return [_of_one(maps[i], scores[i], None if valid is None else valid[i], own.map_kind,
                    tuple(inputs.shape[-2:]), tuple(size[:2])) for i, size in enumerate(sizes)]


def find_image_head(model: BaseModel, name: str | None = None) -> Any:
    """An image-level head of a model, that of a name or the one without; None if there is none."""
    if name is None:
        return getattr(model, 'head', None)
    return dict(getattr(model, 'image_heads', {}).items()).get(name)


def _of_one(maps: Tensor, scores: Tensor, valid: Tensor | None, kind: str,
            input_size: tuple[int, int], image_size: tuple[int, int]) -> ClassMaps:
    """The maps (K, H, W) of one image of a batch, without padding."""
    extent = [min(pixels, whole) / whole * cells for pixels, whole, cells in zip(
        image_size, input_size, maps.shape[-2:], strict=True)]
    if valid is not None:
        maps = maps[:, :int(valid.any(dim=1).sum()), :int(valid.any(dim=0).sum())]
    return ClassMaps(maps.double().cpu().numpy(), scores.cpu().numpy(), kind,
                     (extent[0], extent[1]))
