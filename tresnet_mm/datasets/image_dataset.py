"""What all datasets of images share: where images may lie, and errors that name them."""
from __future__ import annotations

from typing import Any

from mmengine.dataset import BaseDataset

from .annotations import ImageFolder


class ImageDataset(BaseDataset):
    """A base of datasets whose records have an ``img_path``.

    Args:
        allow_outside: Whether file names may leave the image folder (``../x.jpg``, absolute paths,
            links to elsewhere). By default they are refused, since they let an annotation file
            from a stranger name any file of this machine.
        **kwargs: Arguments of the next class.
    """

    def __init__(self, *args: Any, allow_outside: bool = False, **kwargs: Any) -> None:
        self.allow_outside = allow_outside
        super().__init__(*args, **kwargs)

    def image_folder(self, key: str = 'img') -> ImageFolder:
        """The folder of ``data_prefix[key]``, which gives names their paths."""
        return ImageFolder(self.data_prefix.get(key, ''), self.allow_outside,
                           getattr(self, 'backend_args', None))

    def prepare_data(self, idx: int) -> Any:
        """Run the pipeline on a record.

        Raises:
            ValueError: A transform failed; the message names the image and the transform's error.
            FileNotFoundError: The image does not exist.
        """
        try:
            return super().prepare_data(idx)
        except Exception as error:
            path = self.get_data_info(idx).get('img_path')
            if str(path)[:400] in str(error):
                raise
            raise ValueError(f'image {path!r} (number {idx} of {self.ann_file}): '
                             f'{type(error).__name__}: {error}') from error
