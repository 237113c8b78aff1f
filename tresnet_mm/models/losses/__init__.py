"""Losses of TResNet models."""

from .asymmetric_focal_loss import AsymmetricFocalLoss, asymmetric_focal_loss
from .asymmetric_loss import AsymmetricLoss, asymmetric_loss
from .asymmetric_loss_single_label import AsymmetricLossSingleLabel, asymmetric_loss_single_label
from .hill_loss import HillLoss, hill_loss
from .partial_asymmetric_loss import PartialAsymmetricLoss, partial_asymmetric_loss
from .splc_loss import SPLCLoss, splc_loss
from .two_way_loss import TwoWayLoss, two_way_loss
from .uncertainty_weighting import UncertaintyWeighting
from .zlpr_loss import ZLPRLoss, zlpr_loss

__all__ = [
    'AsymmetricFocalLoss',
    'AsymmetricLoss',
    'AsymmetricLossSingleLabel',
    'HillLoss',
    'PartialAsymmetricLoss',
    'SPLCLoss',
    'TwoWayLoss',
    'UncertaintyWeighting',
    'ZLPRLoss',
    'asymmetric_focal_loss',
    'asymmetric_loss',
    'asymmetric_loss_single_label',
    'hill_loss',
    'partial_asymmetric_loss',
    'splc_loss',
    'two_way_loss',
    'zlpr_loss',
]
