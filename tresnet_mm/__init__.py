"""TResNet for the OpenMMLab stack: importing this package registers everything in it."""

from ._requirements import check_requirements

__version__ = '0.1.0'

check_requirements()

from . import (  # noqa: E402
    _mmengine,  # noqa: F401
    datasets,
    deploy,
    engine,
    evaluation,
    models,
    visualization,
)
from ._mmdet import give_names  # noqa: E402
from .backbone_swap import swap_backbone  # noqa: E402
from .deploy import fuse  # noqa: E402
from .inference import Inferencer  # noqa: E402
from .preflight import preflight  # noqa: E402

give_names()

__all__ = ['Inferencer', 'datasets', 'deploy', 'engine', 'evaluation', 'fuse', 'models',
           'preflight', 'swap_backbone', 'visualization']
