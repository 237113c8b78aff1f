"""Look over the installation; `tresnet_mm.doctor` says more, where nothing else need be there."""

from ..doctor.__main__ import main

__all__ = ['main']
