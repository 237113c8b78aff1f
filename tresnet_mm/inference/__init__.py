"""Images in, boxes and labels out, in plain Python values."""

from .image_sources import list_images
from .inferencer import Inferencer

__all__ = ['Inferencer', 'list_images']
