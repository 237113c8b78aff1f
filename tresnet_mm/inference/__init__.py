"""Images in, boxes and labels out, in plain Python values."""

from .inferencer import Inferencer

__all__ = ['Inferencer']
