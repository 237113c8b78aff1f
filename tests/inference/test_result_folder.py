"""The files of a run: one pair an image, whole or not there, and none in the place of another."""

import json

import cv2
import numpy as np
import pytest

from tresnet_mm.inference import result_folder
from tresnet_mm.inference.result_folder import ResultFolder

PICTURE = np.full((16, 24, 3), (200, 30, 90), np.uint8)


def files(folder) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob('*') if path.is_file()}


def test_a_picture_and_its_results(tmp_path):
    ResultFolder(tmp_path / 'new/out').write('photo', dict(path='a/photo.jpg'), PICTURE)
    assert files(tmp_path) == {'new/out/vis/photo.jpg', 'new/out/preds/photo.json'}
    assert json.loads((tmp_path / 'new/out/preds/photo.json').read_text()) == dict(
        path='a/photo.jpg')
    picture = cv2.imread(str(tmp_path / 'new/out/vis/photo.jpg'))[..., ::-1]
    assert picture.shape == PICTURE.shape
    assert np.abs(picture.astype(int) - PICTURE).max() < 8


def test_images_of_one_name_do_not_take_each_others_place(tmp_path):
    folder = ResultFolder(tmp_path)
    for number, stem in enumerate(('a', 'a', 'a_2', 'A', 'b', 'a')):
        folder.write(stem, dict(number=number))
    found = {path.stem: json.loads(path.read_text())['number']
             for path in (tmp_path / 'preds').iterdir()}
    assert found == {'a': 0, 'a_2': 1, 'a_2_2': 2, 'A_3': 3, 'b': 4, 'a_4': 5}
    assert not (tmp_path / 'vis').exists()


def test_the_next_run_replaces_what_was_written(tmp_path):
    for number in range(2):
        ResultFolder(tmp_path).write('a', dict(number=number))
    assert json.loads((tmp_path / 'preds/a.json').read_text()) == dict(number=1)
    assert files(tmp_path) == {'preds/a.json'}


@pytest.mark.parametrize(('stem', 'name'), [
    ('../up', '_up'), ('a/b', 'a_b'), ('', 'image'), ('..', 'image'), ('x' * 300, 'x' * 200),
    ('ä' * 120, 'ä' * 100), ('a\nb', 'a_b'), ('\udcff', '\udcff')])
def test_names_of_the_web_are_names_of_files_right_there(stem, name, tmp_path):
    ResultFolder(tmp_path).write(stem, {})
    assert files(tmp_path) == {f'preds/{name}.json'}


def test_nothing_half_written_stays(tmp_path, monkeypatch):
    folder = ResultFolder(tmp_path)
    with pytest.raises(ValueError, match='not JSON compliant'):
        folder.write('a', dict(score=float('nan')), PICTURE)
    assert files(tmp_path) == set()

    def full(*args):
        raise OSError('no space left')

    monkeypatch.setattr(result_folder.os, 'replace', full)
    with pytest.raises(OSError, match='no space left'):
        folder.write('a', {}, PICTURE)
    assert files(tmp_path) == set()


def test_a_file_in_the_folders_place_is_told_at_once(tmp_path):
    (tmp_path / 'out').touch()
    with pytest.raises(ValueError, match="out' is a file, not a folder"):
        ResultFolder(tmp_path / 'out')
