"""The examples in docstrings, run as they stand."""

import doctest
import importlib

import pytest
from mmengine.logging import MMLogger

#: Modules of the public functions and classes, each of which shows how it is used.
MODULES = [
    'archs',
    'backbone_swap.config_changes',
    'backbone_swap.swap',
    'checkpoint.config_text',
    'checkpoint.conversion',
    'config_tree',
    'deploy.fuse',
    'evaluation.multilabel_metric',
    'evaluation.multilabel_scores',
    'evaluation.single_label_metric',
    'inference.inferencer',
    'models.complexity',
    'models.layers.inplace_abn',
    'models.losses.asymmetric_focal_loss',
    'models.losses.asymmetric_loss',
    'models.losses.asymmetric_loss_single_label',
    'models.losses.hill_loss',
    'models.losses.partial_asymmetric_loss',
    'models.losses.splc_loss',
    'models.losses.two_way_loss',
    'models.losses.zlpr_loss',
    'models.icnet_tresnet',
    'models.tresnet',
    'preflight',
    'visualization.mlflow_backend',
]


@pytest.fixture(autouse=True)
def _quiet():
    """What is logged is no output of an example."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel('ERROR')
    yield
    logger.setLevel(level)


@pytest.mark.parametrize('module', MODULES)
def test_examples(module):
    result = doctest.testmod(importlib.import_module(f'tresnet_mm.{module}'))
    assert result.attempted, 'no example in it'
    assert not result.failed, 'see the captured output'
