"""Transforms of the multi-label pipelines that mmcv and mmdet lack."""

from collections.abc import Sequence

import numpy as np
import torch
from mmcv.transforms import BaseTransform, LoadImageFromFile
from mmcv.transforms.utils import cache_randomness
from mmengine.fileio import get
from mmengine.logging import print_log
from mmengine.registry import TRANSFORMS
from mmengine.structures import BaseDataElement
from PIL import UnidentifiedImageError


@TRANSFORMS.register_module()
class LoadImageChecked(LoadImageFromFile):
    """mmcv's ``LoadImageFromFile`` that names the file it cannot read.

    Pillow is the default decoder: it refuses a truncated JPEG, where OpenCV fills the rest with
    grey and says nothing.

    Args:
        on_error: ``raise``, or ``skip`` to let training go on: the dataset then draws another
            image, and a warning tells the file and how many were skipped so far (counted by each
            loader process). Testing cannot skip: mmengine's dataset refuses it.
        imdecode_backend: As in mmcv.
        **kwargs: Arguments of :class:`mmcv.transforms.LoadImageFromFile`.

    Raises:
        FileNotFoundError: The image file does not exist.
        ValueError: It is no image, or truncated.
    """

    def __init__(
        self, on_error: str = 'raise', imdecode_backend: str = 'pillow', **kwargs
    ) -> None:
        if on_error not in ('raise', 'skip'):
            raise ValueError(f"on_error must be 'raise' or 'skip', got {on_error!r}")
        super().__init__(imdecode_backend=imdecode_backend, **kwargs)
        self.on_error = on_error
        self.skipped = 0

    def transform(self, results: dict) -> dict | None:
        """Load ``results['img_path']`` to ``img`` (H, W, 3), BGR, uint8; None where skipped."""
        path = results['img_path']
        try:
            return super().transform(results)
        except FileNotFoundError:
            error = FileNotFoundError(f'image {path!r} does not exist')
        except Exception as cause:  # decoders raise many kinds, mmcv an AssertionError
            error = ValueError(f'image {path!r} cannot be read: {self._explain(path, cause)}')
        if self.on_error == 'raise':
            raise error
        self.skipped += 1
        print_log(f'{error}; skipped, {self.skipped} so far in this process', 'current', 30)
        return None

    def _explain(self, path: str, cause: Exception) -> str:
        if not get(path, backend_args=self.backend_args):
            return 'the file is empty'
        if isinstance(cause, UnidentifiedImageError):  # its text names a buffer, not the file
            return 'it is in no image format that is known'
        return f'{type(cause).__name__}: {cause}'


@TRANSFORMS.register_module()
class ColorCutout(BaseTransform):
    """Paint a square of one random colour over the image (cutout; ASL's recipe, factor 0.5).

    The centre is drawn uniformly over the image, so the square may reach over the border, where
    it is cut off.

    Required and modified key: ``img`` (H, W, C), uint8. A new array is made.

    Args:
        factor: Side of the square as a fraction of each side of the image, in (0, 1].
        prob: How often it is applied.
    """

    def __init__(self, factor: float = 0.5, prob: float = 1.0) -> None:
        if not 0 < factor <= 1:
            raise ValueError(f'factor must be in (0, 1], got {factor}')
        if not 0 <= prob <= 1:
            raise ValueError(f'prob must be in [0, 1], got {prob}')
        self.factor = factor
        self.prob = prob

    @cache_randomness
    def _draw(self, height: int, width: int, channels: int):
        """Whether to apply, the centre (y, x), and the colour."""
        apply = np.random.rand() < self.prob
        centre = np.random.randint(height), np.random.randint(width)
        return apply, centre, np.random.randint(0, 256, channels)

    def transform(self, results: dict) -> dict:
        """Cut out of ``results['img']``."""
        height, width = results['img'].shape[:2]
        apply, (y, x), color = self._draw(height, width, results['img'].shape[2])
        if apply:
            rows, cols = self._span(y, height), self._span(x, width)
            results['img'] = results['img'].copy()
            results['img'][rows, cols] = color
        return results

    def _span(self, centre: int, side: int) -> slice:
        size = int(self.factor * side + 0.5)
        start = centre - size // 2
        return slice(max(start, 0), min(start + size, side))

    def __repr__(self) -> str:
        return f'{type(self).__name__}(factor={self.factor}, prob={self.prob})'


@TRANSFORMS.register_module()
class PackMultiLabelInputs(BaseTransform):
    """Pack an image and its labels for a multi-label model.

    Required keys: ``img`` (H, W, C); ``gt_labels`` (class indices) with ``num_classes``, unless
    there are no labels, as for new images. Optional: ``unknown_labels`` (class indices).

    Gives ``inputs``, a uint8 tensor (C, H, W), and ``data_samples``, a ``BaseDataElement`` whose
    ``gt_labels`` is a float tensor (num_classes,): 1 present, 0 absent, -1 unknown.

    Args:
        meta_keys: What else of the record goes into the sample, where it is there.
    """

    def __init__(
        self,
        meta_keys: Sequence[str] = (
            'sample_idx', 'img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor',
            'flip', 'flip_direction'),
    ) -> None:  # fmt: skip
        self.meta_keys = tuple(meta_keys)

    def transform(self, results: dict) -> dict:
        """Pack ``results``."""
        img = results['img']
        img = img[..., None] if img.ndim == 2 else img
        sample = BaseDataElement(
            metainfo={key: results[key] for key in self.meta_keys if key in results}
        )
        if 'gt_labels' in results:
            sample.gt_labels = self._spread(results)
        inputs = torch.from_numpy(np.ascontiguousarray(img.transpose(2, 0, 1)))
        return dict(inputs=inputs, data_samples=sample)

    @staticmethod
    def _spread(results: dict) -> torch.Tensor:
        target = torch.zeros(results['num_classes'])
        target[list(results.get('unknown_labels', ()))] = -1
        target[list(results['gt_labels'])] = 1
        return target

    def __repr__(self) -> str:
        return f'{type(self).__name__}(meta_keys={self.meta_keys})'
