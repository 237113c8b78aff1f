"""Which of the norm's backends can be used here."""
from __future__ import annotations

import torch

from tresnet_mm.models.layers import InPlaceABN

from .settings import Settings


def unusable(backend: str, settings: Settings, dtype: torch.dtype | None = None) -> str | None:
    """Why a backend of `InPlaceABN` cannot train here; None where it can.

    Args:
        backend: 'torch', 'triton' or 'inplace_abn'.
        settings: Its device is tried.
        dtype: Of the features; that of mixed precision by default.
    """
    try:
        layer = InPlaceABN(4, backend=backend).to(settings.device)
        x = torch.randn(2, 4, 3, 3, device=settings.device, dtype=dtype or settings.half)
        layer(x.requires_grad_() * 1).sum().backward()
        return None
    except Exception as error:  # a compiled package may lack a GPU's kernels in any manner
        return f'{type(error).__name__}: {error}'.splitlines()[0]
