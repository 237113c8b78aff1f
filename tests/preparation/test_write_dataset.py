"""Each image goes into the files of what is known of it: boxes, labels, both or nothing."""
import json
from pathlib import Path

import pytest

from tests.preparation.test_measures import image, source
from tresnet_mm.preparation import Box, write_dataset, write_yolo

BOXED = image('boxed', (Box(1, 1, 2, 3, 4.5),))
LABELLED = image('labelled', None, frozenset({0}), unknown=(1,))
BOTH = image('both', (Box(0, 0, 0, 9, 9, ignore=True),), frozenset({1}))


def written(folder, *images):
    write_dataset(source(*images), dict(train=range(len(images))), folder)
    return {path.relative_to(folder).as_posix(): path.read_text()
            for path in sorted(folder.rglob('*')) if path.is_file()}


def test_boxes_and_labels_go_where_they_are_known(tmp_path):
    files = written(tmp_path, BOXED, LABELLED, BOTH)
    assert files.keys() == {'annotations/train.json', 'classes.txt', 'labels/train.csv'}
    assert files['labels/train.csv'] == 'img_path,cat,dog\nlabelled,1,-1\nboth,0,1\n'
    content = json.loads(files['annotations/train.json'])
    assert [(entry['id'], entry['file_name']) for entry in content['images']] == [
        (1, 'boxed'), (2, 'both')]
    assert [(entry['image_id'], entry['category_id'], entry['bbox'], entry['iscrowd'])
            for entry in content['annotations']] == [(1, 2, [1, 2, 3, 4.5], 0),
                                                     (2, 1, [0, 0, 9, 9], 1)]


def test_without_boxes_there_is_no_file_of_boxes(tmp_path):
    assert written(tmp_path, LABELLED) == {
        'classes.txt': 'cat\ndog\n', 'labels/train.csv': 'img_path,cat,dog\nlabelled,1,-1\n'}


def test_yolo_leaves_out_images_without_boxes(tmp_path):
    write_yolo(source(LABELLED, BOXED), dict(val=[0, 1]), tmp_path)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob('*boxed*')) == [
        'images/val/boxed', 'labels/val/boxed.txt']
    assert not list(tmp_path.rglob('labelled*'))
    assert (tmp_path / 'images/val/boxed').readlink() == Path('/d/boxed')


@pytest.mark.parametrize('known', [(), (BOXED,)])
def test_a_part_of_nothing_has_empty_files(tmp_path, known):
    write_dataset(source(*known), dict(test=[]), tmp_path)
    assert (tmp_path / 'labels/test.csv').read_text() == 'img_path,cat,dog\n'
    assert (tmp_path / 'annotations/test.json').exists() == bool(known)
