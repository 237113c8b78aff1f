"""TResNet for the OpenMMLab stack: importing this package registers everything in it."""

from ._requirements import check_requirements

__version__ = '0.1.0'

check_requirements()

from mmengine.config.utils import MODULE2PACKAGE  # noqa: E402

from . import datasets, deploy, engine, evaluation, models, visualization  # noqa: E402
from ._mmdet import give_names  # noqa: E402
from .backbone_swap import swap_backbone  # noqa: E402
from .deploy import fuse  # noqa: E402

give_names()
# mmengine takes `_base_ = 'tresnet_mm::...'` only of the packages that this table names.
MODULE2PACKAGE.setdefault('tresnet_mm', 'tresnet_mm')

__all__ = ['datasets', 'deploy', 'engine', 'evaluation', 'fuse', 'models', 'swap_backbone',
           'visualization']
