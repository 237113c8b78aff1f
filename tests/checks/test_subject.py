"""A run that is to be checked is of training or of testing."""

import pytest

from tresnet_mm import preflight


def test_another_task_is_refused(own):
    with pytest.raises(ValueError, match="task must be 'train' or 'test', got 'val'"):
        preflight(own(), task='val')
