"""TResNet for the OpenMMLab stack: importing this package registers everything in it."""

from ._requirements import check_requirements, runs_the_doctor

__version__ = '0.1.0'

if not runs_the_doctor():  # who is there for environments in which the following fails
    check_requirements()

    from . import (
        _mmengine,  # noqa: F401
        datasets,
        deploy,
        engine,
        evaluation,
        models,
        visualization,
    )
    from ._mmdet import give_names
    from .backbone_swap import swap_backbone
    from .deploy import fuse
    from .inference import Inferencer
    from .preflight import preflight

    give_names()

    __all__ = ['Inferencer', 'datasets', 'deploy', 'engine', 'evaluation', 'fuse', 'models',
               'preflight', 'swap_backbone', 'visualization']
