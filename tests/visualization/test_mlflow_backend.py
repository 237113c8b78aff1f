"""Where MLflow would write, and what it is handed; MLflow itself is a stand-in here."""

import io
import logging
import sys
from unittest.mock import MagicMock

import numpy as np
import pytest
from mmengine.logging import MMLogger

from tresnet_mm.visualization.mlflow_backend import MLflowBackend


@pytest.fixture
def mlflow(monkeypatch):
    stand_in = MagicMock()
    stand_in.get_tracking_uri.return_value = 'http://from-the-environment'
    monkeypatch.setitem(sys.modules, 'mlflow', stand_in)
    return stand_in


@pytest.mark.parametrize('given, used', [
    ({}, 'http://from-the-environment'), (dict(tracking_uri='http://given'), 'http://given')])
def test_the_run_goes_where_it_is_told_or_where_mlflow_writes(mlflow, given, used, tmp_path):
    backend = MLflowBackend(str(tmp_path / 'run/20240101/vis_data'), **given)
    backend.add_scalar('AP/cat (tabby)', 0.5, step=3)
    mlflow.set_tracking_uri.assert_called_once_with(used)
    mlflow.log_metric.assert_called_once_with('AP/cat _tabby_', 0.5, 3)
    backend.add_scalars({'AP/dog [2]': 0.25, 'loss': 1.5}, step=4)
    [call] = mlflow.log_metrics.call_args_list
    assert call.args == ({'AP/dog _2_': 0.25, 'loss': 1.5}, 4)


@pytest.mark.parametrize('given, name', [({}, 'run/20240101'), (dict(run_name='mine'), 'mine')])
def test_name_of_the_run(given, name, tmp_path):
    assert MLflowBackend(str(tmp_path / 'run/20240101/vis_data'), **given)._run_name == name


def test_pictures_have_a_suffix(mlflow, tmp_path):
    picture = np.zeros((4, 4, 3), np.uint8)
    MLflowBackend(str(tmp_path)).add_image('val/a', picture, step=2)
    mlflow.log_image.assert_called_once_with(picture, 'val/a/2.png')


def test_a_console_that_was_closed_is_not_opened_as_a_file(mlflow, tmp_path):
    """As that of a notebook's cell, or of a test, is."""
    console = logging.StreamHandler(io.StringIO())
    MMLogger.get_current_instance().addHandler(console)
    console.stream.close()
    MLflowBackend(str(tmp_path)).add_scalar('loss', 0.5)
    assert console.stream is sys.stdout
    mlflow.log_metric.assert_called_once()
