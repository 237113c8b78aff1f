"""The examples in docstrings, run as they stand."""

import doctest
import importlib

import pytest

#: Modules of the public functions and classes, each of which shows how it is used.
MODULES = [
    'models.losses.asymmetric_focal_loss',
    'models.losses.asymmetric_loss',
    'models.losses.asymmetric_loss_single_label',
]


@pytest.mark.parametrize('module', MODULES)
def test_examples(module):
    result = doctest.testmod(importlib.import_module(f'tresnet_mm.{module}'))
    assert result.attempted, 'no example in it'
    assert not result.failed, 'see the captured output'
