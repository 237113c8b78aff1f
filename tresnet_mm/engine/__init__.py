"""Hooks and switches that mmengine lacks."""

from . import sync_bn  # noqa: F401

__all__: list[str] = []
