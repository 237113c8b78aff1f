"""Losses of TResNet models."""

from .asymmetric_focal_loss import AsymmetricFocalLoss, asymmetric_focal_loss
from .asymmetric_loss import AsymmetricLoss, asymmetric_loss
from .asymmetric_loss_single_label import AsymmetricLossSingleLabel, asymmetric_loss_single_label

__all__ = [
    'AsymmetricFocalLoss',
    'AsymmetricLoss',
    'AsymmetricLossSingleLabel',
    'asymmetric_focal_loss',
    'asymmetric_loss',
    'asymmetric_loss_single_label',
]
