"""The loader of images, for both tasks."""
from __future__ import annotations

from typing import Any

import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmengine.logging import print_log
from mmengine.registry import TRANSFORMS

from .image_file import MAX_PIXELS, decode_image, read_image_bytes
from .worker_memory import keep_memory_in_worker


@TRANSFORMS.register_module()
class LoadImageChecked(LoadImageFromFile):
    """mmcv's ``LoadImageFromFile`` that says what is wrong with a file, by its name.

    An image is looked at before it is decoded: only ordinary files are opened, and a size beyond
    ``max_pixels`` is refused by the header alone. Truncated files are refused, not filled with
    grey. The rules of decoding are those of `image_file`, the same for
    both decoders.

    Where the record has ``width`` and ``height``, as those with boxes do, the image has to have
    this size. Image labels hold for any size, so multi-label records need none.

    Args:
        on_error: ``raise``, or ``skip`` to let training go on: the dataset then draws another
            image, and a warning tells the file and how many were skipped so far (counted by each
            loader process). Testing cannot skip: mmengine's dataset refuses it.
        imdecode_backend: ``pillow``, ``cv2`` or another decoder of mmcv's. Detection configs take
            OpenCV, as all of mmdet; multi-label ones Pillow, as the published weights were trained.
        max_pixels: The largest image, in pixels; by default Pillow's limit for decompression bombs.
        **kwargs: Arguments of mmcv's ``LoadImageFromFile``.

    Raises:
        FileNotFoundError: The image file does not exist.
        ValueError: It is no image, no ordinary file, truncated, too large, or of another size than
            its annotations.
    """

    def __init__(
        self, on_error: str = 'raise', imdecode_backend: str = 'pillow',
        max_pixels: int = MAX_PIXELS, **kwargs: Any
    ) -> None:
        if on_error not in ('raise', 'skip'):
            raise ValueError(f"on_error must be 'raise' or 'skip', got {on_error!r}")
        if not max_pixels > 0:
            raise ValueError(f'max_pixels must be positive, got {max_pixels}')
        super().__init__(imdecode_backend=imdecode_backend, **kwargs)
        self.on_error = on_error
        self.max_pixels = max_pixels
        self.skipped = 0

    def transform(self, results: dict) -> dict | None:
        """Load ``results['img_path']`` to ``img`` (H, W, 3), BGR, uint8; None where skipped."""
        path = results['img_path']
        try:
            img = self._load(path, results)
        except FileNotFoundError:
            error: Exception = FileNotFoundError(f'image {path!r} does not exist')
        except Exception as cause:  # decoders raise many kinds
            reason = str(cause) if type(cause) is ValueError else f'{type(cause).__name__}: {cause}'
            shown = path if len(str(path)) < 500 else f'{str(path)[:500]}...'
            error = ValueError(f'image {shown!r} cannot be read: {reason}')
        else:
            results['img'] = img
            results['img_shape'] = results['ori_shape'] = img.shape[:2]
            return results
        if self.ignore_empty:
            return None
        if self.on_error == 'raise':
            raise error
        self.skipped += 1
        print_log(f'{error}; skipped, {self.skipped} so far in this process', 'current', 30)
        return None

    def _load(self, path: str, results: dict) -> np.ndarray:
        keep_memory_in_worker()
        args = self.backend_args or self.file_client_args
        data, size = read_image_bytes(path, args, self.max_pixels)
        width, height = results.get('width'), results.get('height')
        annotated = None if width is None or height is None else (width, height)
        img = decode_image(data, self.color_type, self.imdecode_backend, size, annotated)
        return img.astype(np.float32) if self.to_float32 else img

    def __repr__(self) -> str:
        return (f'{super().__repr__()[:-1]}, on_error={self.on_error!r}, '
                f'max_pixels={self.max_pixels})')


class LoadImageFromFileChecked(LoadImageChecked):
    """What mmdet's configs get as ``LoadImageFromFile``: the same arguments and pixels, checked."""

    def __init__(self, to_float32: bool = False, color_type: str = 'color',
                 imdecode_backend: str = 'cv2', **kwargs: Any) -> None:
        super().__init__(to_float32=to_float32, color_type=color_type,
                         imdecode_backend=imdecode_backend, **kwargs)
