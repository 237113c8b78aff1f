"""What a YOLO description may leave out or say otherwise, and what is refused in it."""
import pytest

from tests.preparation.test_read_source import YOLO_BOXES, fill, seen
from tresnet_mm.preparation import read_source

TEXT = '1 .5 .5 .5 .5'
NAMES = 'names: [cat, dog]\n'
IMAGES = {'images/a.jpg': None, 'labels/a.txt': TEXT}


def test_the_file_itself_may_be_given(tmp_path):
    fill(tmp_path, {'other.yaml': 'names: [a]', 'my.yaml': NAMES + 'val: images', **IMAGES})
    data = read_source(tmp_path / 'my.yaml')
    assert seen(data) == {'images/a.jpg': ('val', YOLO_BOXES, {1})}
    assert data.notes == ('Read as yolo (by the suffix of my.yaml).',)


def test_texts_may_lie_beside_their_images(tmp_path):
    fill(tmp_path, {'data.yaml': NAMES + 'train: train', 'train/a.jpg': None, 'train/a.txt': TEXT})
    assert seen(read_source(tmp_path)) == {'train/a.jpg': ('train', YOLO_BOXES, {1})}


def test_a_path_below_the_description_is_followed(tmp_path):
    fill(tmp_path, {'data.yaml': NAMES + 'path: set\ntrain: images', 'set/images/a.jpg': None,
                    'set/labels/a.txt': TEXT, 'images/b.jpg': None})
    data = read_source(tmp_path)
    assert seen(data) == {'set/images/a.jpg': ('train', YOLO_BOXES, {1})}
    assert len(data.notes) == 1


@pytest.mark.parametrize('path', ['/elsewhere/set', '../set', 'missing'])
def test_a_path_that_leads_elsewhere_is_told_of(tmp_path, path):
    fill(tmp_path, {'data.yaml': f'{NAMES}path: {path}\ntrain: images', **IMAGES})
    data = read_source(tmp_path)
    assert seen(data) == {'images/a.jpg': ('train', YOLO_BOXES, {1})}
    assert data.notes[1:] == (f"path '{path}' of data.yaml was not followed: the images were "
                              'looked for beside it.',)


def test_empty_lines_of_a_list_are_no_images(tmp_path):
    fill(tmp_path, {'data.yaml': NAMES + 'train: t.txt', 't.txt': '\nimages/a.jpg\n \n', **IMAGES})
    assert list(seen(read_source(tmp_path))) == ['images/a.jpg']


@pytest.mark.parametrize('content, message', [
    ('train: images', 'it has no "names", the list of classes'),
    ('[names]', 'it has no "names", the list of classes'),
    ('names: {1: cat, 2: dog}', 'names should be numbered from 0 to 1'),
    ('names: cat', "names should be a list of the classes, got 'cat'"),
    ('names:', 'names should be a list of the classes, got None'),
    ('names: [cat, no]', 'class name False should be text: put it in quotes'),
    (NAMES, 'train, val and test name no image'),
    (NAMES + 'train: 5', 'train should be a path or a list of paths, got 5'),
    (NAMES + 'val: {a: b}', "val should be a path or a list of paths, got {'a': 'b'}"),
    (NAMES + 'train: [images, labels]', "train: no image in '.*labels'")])
def test_a_wrong_description_is_refused(tmp_path, content, message):
    fill(tmp_path, {'data.yaml': content, **IMAGES})
    with pytest.raises((ValueError, FileNotFoundError), match=r'data\.yaml: ' + message):
        read_source(tmp_path / 'data.yaml')


def test_of_two_descriptions_one_is_to_be_chosen(tmp_path):
    fill(tmp_path, {'a.yaml': NAMES, 'b.yml': NAMES, **IMAGES})
    with pytest.raises(ValueError, match=r'a\.yaml and b\.yml both have names of classes: give'):
        read_source(tmp_path)
    fill(tmp_path, {'data.yaml': NAMES + 'train: images'})
    assert list(seen(read_source(tmp_path))) == ['images/a.jpg']


def test_a_folder_without_a_description_is_no_yolo(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'no data\.yaml with names, nor classes\.txt'):
        read_source(fill(tmp_path, IMAGES), 'yolo')


def test_class_names_without_an_image_are_refused(tmp_path):
    fill(tmp_path, {'classes.txt': 'cat\ndog\n', 'labels/a.txt': TEXT})
    with pytest.raises(ValueError, match='no image with annotations was found'):
        read_source(tmp_path)
