"""Thresholds as values and as files: the same after writing them, and unusable ones named."""

import json

import numpy as np
import pytest

from tresnet_mm.thresholds import check_thresholds, load_thresholds, save_thresholds


def test_file_round_trip(tmp_path):
    path = tmp_path / 't.json'
    values = np.array([0.1, 1 / 3, 0.9], dtype=np.float32)
    save_thresholds(path, values, ['a', 'b', 'c'], images=7)
    np.testing.assert_array_equal(load_thresholds(path, 3), values)
    np.testing.assert_array_equal(load_thresholds(str(path), 3, ['c', 'a', 'b']), values[[2, 0, 1]])
    assert json.loads(path.read_text())['images'] == 7
    with pytest.raises(ValueError, match="no threshold for .'d'"):
        load_thresholds(path, 3, ['a', 'b', 'd'])
    with pytest.raises(FileNotFoundError, match='thresholds file .*none.json does not exist'):
        load_thresholds(tmp_path / 'none.json', 3)


@pytest.mark.parametrize('content, message', [
    ('{"classes": ["a"], ', 'is no file of thresholds'),
    ('[0.5]', 'is no file of thresholds'),
    ('{"thresholds": [0.5]}', 'is no file of thresholds'),
    ('{"classes": ["a", "b"], "thresholds": [0.5]}', 'holds 1 thresholds for 2 classes'),
    ('{"classes": ["a", "b"], "thresholds": [0.5, 0.5]}', "t.json' hold 2 values, .* 3 classes"),
    ('{"classes": ["a", "b", "c"], "thresholds": [0.5, 0.5, 2]}', r'in \[0, 1\], got .*t.json'),
])
def test_files_that_cannot_be_used_are_named(content, message, tmp_path):
    path = tmp_path / 't.json'
    path.write_text(content)
    with pytest.raises(ValueError, match=message) as caught:
        load_thresholds(path, 3)
    assert 't.json' in str(caught.value)


def test_one_number_is_for_all_classes():
    assert check_thresholds(0.25, 3).tolist() == [0.25] * 3
    assert load_thresholds(0.25, 3).dtype == np.float32


@pytest.mark.parametrize('thresholds, error, message', [
    ([0.5, 0.5], ValueError, r'\[0.5, 0.5\] hold 2 values, but there are 3 classes'),
    (1.5, ValueError, r'probabilities in \[0, 1\], got 1.5'),
    ([0.5, float('nan'), 0.5], ValueError, r'probabilities in \[0, 1\]'),
    ('t.json', TypeError, "one number or one per class, got 't.json'"),
    (dict(a=0.5), TypeError, 'one number or one per class'),
])
def test_values_that_are_no_thresholds(thresholds, error, message):
    with pytest.raises(error, match=message):
        check_thresholds(thresholds, 3)
