"""The mean scores of a model as class priors."""

import numpy as np
import pytest
import torch

from tresnet_mm.class_values import read_class_values
from tresnet_mm.evaluation import DumpClassPriors


def test_means_of_scores(tmp_path):
    scores = np.random.default_rng(0).random((7, 3), np.float32)
    metric = DumpClassPriors(str(tmp_path / 'p.json'))
    metric.dataset_meta = dict(classes=('cat', 'dog', 'cow'))
    for given in (scores, scores[1:]):  # a second evaluation begins anew
        for part in np.array_split(given, 3):
            metric.process(None, [dict(pred_scores=torch.from_numpy(row)) for row in part])
        assert metric.evaluate(len(given)) == {}
        names, priors = read_class_values(tmp_path / 'p.json', 'priors')
        assert names == ['cat', 'dog', 'cow']
        np.testing.assert_allclose(priors, given.mean(0), rtol=1e-6)
    with pytest.raises(ValueError, match=r"\.json file, got 'p\.npz'"):
        DumpClassPriors('p.npz')
