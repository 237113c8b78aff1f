"""Images in, boxes and labels out, in plain Python values."""

from .image_sources import IMAGE_SUFFIXES, list_images
from .inferencer import Inferencer

__all__ = ['IMAGE_SUFFIXES', 'Inferencer', 'list_images']
