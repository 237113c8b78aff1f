"""Class priors from saved scores, as the selective loss takes them."""

import json

import numpy as np
import pytest

from tresnet_mm.__main__ import main


def test_the_mean_score_of_each_class(tmp_path, capsys):
    scores = np.array([[0.9, 0.25, 0.5], [0.7, 0.75, 0.0]], np.float32)
    np.savez(tmp_path / 'scores.npz', scores=scores, classes=np.array(['cat', 'ox', 'tree']),
             targets=np.array([[1, -1, 0], [0, -1, -1]], np.int8), images=np.array(['a', 'b']))
    main(['class-priors', str(tmp_path / 'scores.npz'), str(tmp_path / 'priors.json'),
          '--top', '2'])
    written = json.loads((tmp_path / 'priors.json').read_text())
    assert written['classes'] == ['cat', 'ox', 'tree'] and written['images'] == 2
    np.testing.assert_allclose(written['priors'], [0.8, 0.5, 0.25], atol=1e-7)
    said = capsys.readouterr().out
    assert 'cat   prior 0.800  (0.500 of 2 images where it is known)' in said
    assert 'ox    prior 0.500  (known in no image)' in said
    assert 'tree' not in said


def test_scores_of_no_image_are_refused(tmp_path):
    empty = np.zeros((0, 2))
    np.savez(tmp_path / 'none.npz', scores=empty, targets=empty.astype(np.int8),
             classes=np.array(['cat', 'ox']), images=np.array([], str))
    with pytest.raises(SystemExit, match=r'^class-priors: error: .*none\.npz holds no image'):
        main(['class-priors', str(tmp_path / 'none.npz'), str(tmp_path / 'priors.json')])
    assert not (tmp_path / 'priors.json').exists()
