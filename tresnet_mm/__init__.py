"""TResNet for the OpenMMLab stack: importing this package registers everything in it."""

from ._requirements import check_requirements

__version__ = '0.1.0'

check_requirements()

from . import datasets, engine, evaluation, models, visualization  # noqa: E402

__all__ = ['datasets', 'engine', 'evaluation', 'models', 'visualization']
