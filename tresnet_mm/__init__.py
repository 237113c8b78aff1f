"""TResNet for the OpenMMLab stack: importing this package registers everything in it."""

__version__ = '0.1.0'
