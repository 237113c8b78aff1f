"""A small data set, to be read from somewhere else."""

import pytest

from tresnet_mm.datasets.shapes import ShapesSpec, make_shapes


@pytest.fixture(scope='session')
def shapes_root(tmp_path_factory):
    """The synthetic data, with 8 images to validate on."""
    root = tmp_path_factory.mktemp('shapes')
    make_shapes(root, ShapesSpec(num_train=1, num_val=8))
    return root
