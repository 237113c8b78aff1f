"""The reading of an image for a model: what stands in the place of its test pipeline's loader."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmcv.transforms import LoadImageFromFile
from PIL import Image

from ..datasets import LoadImageChecked
from ..datasets.image_file import decode_image, image_size, pillow_pixels
from .image_sources import WEB, ImageSource
from .web_image import read_web_image


class ImageLoader:
    """Reads files, URLs, arrays and Pillow images to what a pipeline goes on with.

    Files and URLs are read by `LoadImageChecked`'s rules with the decoder of the pipeline's own
    loader, so that they give the pixels that the model is tested with.

    Args:
        loader: The first step of the pipeline.

    Raises:
        ValueError: If it loads no image files.
    """

    def __init__(self, loader: Any) -> None:
        if not isinstance(loader, LoadImageFromFile):
            raise ValueError(f'the test pipeline starts with {type(loader).__name__}, which does '
                             'not load an image: it should be LoadImageFromFile or '
                             'LoadImageChecked')
        self.files = LoadImageChecked(
            imdecode_backend=loader.imdecode_backend, color_type=loader.color_type,
            to_float32=loader.to_float32, backend_args=loader.backend_args)

    def __call__(self, source: ImageSource) -> dict[str, Any]:
        """The record: ``img`` (H, W, 3) in BGR, its shape, where it is from and its number.

        Raises:
            OSError: The file does not exist, or the URL cannot be had.
            ValueError: It is no image, or too large; the message names it.
        """
        record: dict[str, Any] = dict(img_path=source.path)
        if isinstance(source.value, str) and not source.value.startswith(WEB):
            record.update(self.files.transform(record) or {})
        else:
            pixels = self._pixels(source)
            record.update(img=pixels, img_shape=pixels.shape[:2], ori_shape=pixels.shape[:2])
        return dict(record, img_id=source.index)

    def _pixels(self, source: ImageSource) -> np.ndarray:
        value = source.value
        content = read_web_image(value) if isinstance(value, str) else value
        try:
            pixels = self._decode(content)
        except Exception as error:  # decoders raise many kinds
            reason = str(error) if type(error) is ValueError else f'{type(error).__name__}: {error}'
            raise ValueError(f'image {source.name} cannot be read: {reason}') from error
        return pixels.astype(np.float32) if self.files.to_float32 else pixels

    def _decode(self, content: bytes | np.ndarray | Image.Image) -> np.ndarray:
        if isinstance(content, Image.Image):
            return pillow_pixels(content)
        if isinstance(content, np.ndarray):  # a copy: a transform may write into it
            return np.array(content, order='C')
        image_size(content)
        return decode_image(content, self.files.color_type, self.files.imdecode_backend)
