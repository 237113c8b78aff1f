"""What COCO's files may have beside their boxes, and what is refused in them."""
import pytest

from tests.preparation.test_read_source import COCO, COCO_BOXES, fill, seen
from tresnet_mm.preparation import read_source


def test_a_category_that_only_groups_others_is_no_class(tmp_path):
    animals = [dict(id=0, name='animal', supercategory='none'),
               *(dict(entry, supercategory='animal') for entry in COCO['categories'])]
    data = read_source(fill(tmp_path, {'a.json': {**COCO, 'categories': animals}, 'a.jpg': None}))
    assert data.classes == ('cat', 'dog')
    assert seen(data)['a.jpg'][1] == COCO_BOXES
    assert data.notes[1:] == ('Left out of the classes, being only the supercategory of others: '
                              "['animal'].",)


def test_annotations_of_no_image_are_counted(tmp_path):
    stray = {**COCO['annotations'][0], 'id': 9, 'image_id': 8}
    fill(tmp_path, {'a.json': {**COCO, 'annotations': [*COCO['annotations'], stray]},
                    'a.jpg': None})
    data = read_source(tmp_path)
    assert seen(data)['a.jpg'][1] == COCO_BOXES
    assert data.notes[1:] == ('1 annotations of an image that is not listed: left out; first in '
                              f'{tmp_path / "a.json"}.',)


@pytest.mark.parametrize('content, message', [
    (dict(images=COCO['images'], categories=COCO['categories']), 'it has no list of annotations'),
    ({**COCO, 'images': []}, 'it lists no image'),
    ({**COCO, 'annotations': [{'id': 1, 'image_id': 7, 'category_id': 3}]},
     'annotation 1 has no bbox')])
def test_a_file_without_what_a_source_needs_is_refused(tmp_path, content, message):
    fill(tmp_path, {'a.json': content, 'a.jpg': None})
    with pytest.raises(ValueError, match=r'a\.json: ' + message):
        read_source(tmp_path / 'a.json')


@pytest.mark.parametrize('name', [' cat', 'cat\t', 'a\nb'])
def test_a_class_name_that_no_list_of_lines_can_hold_is_refused(tmp_path, name):
    content = {**COCO, 'categories': [dict(id=1, name=name), dict(id=3, name='dog')]}
    fill(tmp_path, {'a.json': content, 'a.jpg': None})
    with pytest.raises(ValueError, match='begins or ends with a blank, or has more than one line'):
        read_source(tmp_path)


def test_a_folder_without_a_file_is_no_coco(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'no COCO file \(\.json with images'):
        read_source(fill(tmp_path, {'a.jpg': None, 'a.json': '{}'}), 'coco')
