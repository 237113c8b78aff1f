"""One reading of COCO files: what is shared, what is refused and how it is named."""

import copy
import json
import re
from pathlib import Path

import pytest

from tresnet_mm.datasets.annotations import coco_file, coco_values, read_coco, release_coco_files

COCO = dict(
    images=[dict(id=i, file_name=f'{i}.jpg', height=8, width=8) for i in (7, 3)],
    categories=[dict(id=90, name='dog'), dict(id=1, name='cat'), dict(id=13, name='hen')],
    annotations=[
        dict(id=1, image_id=7, category_id=13, bbox=[0, 0, 4, 4], area=16),
        dict(id=2, image_id=7, category_id=90, bbox=[0, 0, 4, 4], area=16),
        dict(id=3, image_id=3, category_id=90, bbox=[0, 0, 4, 4], area=16)])


def write(folder: Path, coco, indent=None) -> str:
    path = folder / 'instances.json'
    path.write_text(json.dumps(coco, indent=indent))
    return str(path)


def test_content(tmp_path):
    coco = read_coco(write(tmp_path, COCO))
    coco.require_boxes()
    assert coco.classes == ('dog', 'cat', 'hen')
    assert coco.category_ids() == [90, 1, 13]
    assert coco.category_ids(['hen', 'dog']) == [13, 90]
    assert [a['id'] for a in coco.annotations_of[7]] == [1, 2]
    assert coco.objects_per_class() == dict(dog=2, cat=0, hen=1)
    assert list(coco.annotations_of) == [7, 3]
    assert coco.strays() == []
    assert coco.labelled


def test_ids_that_are_not_listed(tmp_path):
    """Annotations of other images and categories are strays or not counted, but no error."""
    stray = dict(id=4, image_id=5, category_id=2)
    coco = read_coco(write(tmp_path, dict(COCO, annotations=[*COCO['annotations'], stray])))
    assert coco.strays() == [stray]
    assert list(coco.annotations_of) == [7, 3]
    assert coco.objects_per_class() == dict(dog=2, cat=0, hen=1)


def test_test_set_has_no_annotations(tmp_path):
    coco = read_coco(write(tmp_path, {key: COCO[key] for key in ('images', 'categories')}))
    assert (coco.annotations, coco.labelled) == ([], False)
    assert coco.annotations_of == {7: [], 3: []}


@pytest.mark.parametrize('names, shown', [
    ('abcde', 'the 5 categories of the annotation file (a, b, c, d, e):'),
    ('abcdef', 'the 6 categories of the annotation file (a, b, c, d, e, ...):')])
def test_missing_classes_are_named(tmp_path, names, shown):
    coco = read_coco(write(tmp_path, dict(COCO, categories=[
        dict(id=i, name=name) for i, name in enumerate(names)])))
    with pytest.raises(ValueError) as error:
        coco.category_ids(['a', 'x', 'y'])
    assert f"class 'x' (2 of 3 classes) is not among {shown}" in str(error.value)
    with pytest.raises(ValueError, match='names are repeated'):
        coco.category_ids(['a', 'a'])


@pytest.mark.parametrize('part, field', [
    ('images', 'width'), ('images', 'height'), ('annotations', 'bbox'), ('annotations', 'area')])
def test_boxes_are_required_of_who_learns_them(tmp_path, part, field):
    entries = copy.deepcopy(COCO[part])
    del entries[1][field]
    path = write(tmp_path, {**COCO, part: entries})
    coco = read_coco(path)
    name = 'image 3' if part == 'images' else 'annotation 2 of image 7'
    with pytest.raises(ValueError, match=f"^{re.escape(path)}: {name} has no '{field}'$"):
        coco.require_boxes()


IMAGES, CATEGORIES, ANNOTATIONS = COCO['images'], COCO['categories'], COCO['annotations']
BAD = {
    'a list': ([], 'not a COCO file: it holds a list, no object'),
    'no images': (dict(categories=[]), "not a COCO file: it has no list of 'images'"),
    'no categories': (dict(images=[]), "not a COCO file: it has no list of 'categories'"),
    'images by name': (dict(COCO, images={'a': 1}), "images should be a list, got {'a': 1}"),
    'annotations null': (dict(COCO, annotations=None), 'annotations should be a list, got None'),
    'image is text': (dict(COCO, images=[IMAGES[0], 'a.jpg']),
                      "images[1] should be an object, got 'a.jpg'"),
    'image without id': (dict(COCO, images=[IMAGES[0], dict(file_name='a')]),
                         "images[1] has no 'id'"),
    'image without name': (dict(COCO, images=[*IMAGES, dict(id=5)]), "image 5 has no 'file_name'"),
    'category without name': (dict(COCO, categories=[dict(id=5)]), "category 5 has no 'name'"),
    'annotation without id': (dict(COCO, annotations=[dict(image_id=7, category_id=1)]),
                              "annotations[0] of image 7 has no 'id'"),
    'annotation without image': (dict(COCO, annotations=[dict(id=9, category_id=1)]),
                                 "annotation 9 has no 'image_id'"),
    'annotation without category': (dict(COCO, annotations=[dict(id=9, image_id=7)]),
                                    "annotation 9 of image 7 has no 'category_id'"),
    # the field of the first is right, the second has none
    'area': (dict(COCO, annotations=[
        dict(id=1, image_id=7, category_id=1, area=4), dict(id=2, image_id=7, category_id=1),
        dict(id=3, image_id=3, category_id=1, area=-4)]),
        'annotation 3 of image 3: area -4 should be a number, 0 or more'),
    'id': (dict(COCO, categories=[dict(id=1.5, name='a')]),
           'category 1.5: id 1.5 should be an integer or text'),
    'width': (dict(COCO, images=[dict(IMAGES[0], width=0)]),
              'image 7: width 0 should be a positive whole number of pixels'),
    'images twice': (dict(COCO, images=[dict(id=i, file_name='a') for i in (3, 3, 7, 5, 5)]),
                     '2 image id(s) are not unique, first [3, 5]'),
    'annotations twice': (dict(COCO, annotations=[*ANNOTATIONS, ANNOTATIONS[1]]),
                          '1 annotation id(s) are not unique, first [2]'),
    'categories twice': (dict(COCO, categories=[*CATEGORIES, dict(id=1, name='cow')]),
                         "1 category id(s) are not unique, first [1] ('cat' and 'cow')"),
    'names twice': (dict(COCO, categories=[*CATEGORIES, dict(id=2, name='cat')]),
                    "category names are repeated: ['cat'] (ids 1 and 2)"),
}


@pytest.mark.parametrize('case', BAD)
def test_refused(tmp_path, case):
    coco, message = BAD[case]
    path = write(tmp_path, coco)
    with pytest.raises(ValueError) as error:
        read_coco(path)
    assert str(error.value) == f'{path}: {message}'


@pytest.mark.parametrize('field', ['width', 'height', 'bbox', 'area', 'iscrowd', 'ignore'])
def test_what_is_not_required_is_checked_where_it_is(tmp_path, field):
    part = 'images' if field in ('width', 'height') else 'annotations'
    path = write(tmp_path, {**COCO, part: [dict(COCO[part][0], **{field: 'x'})]})
    with pytest.raises(ValueError, match=f" 7: {field} 'x' should be "):
        read_coco(path)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError, match='none.json'):
        read_coco(str(tmp_path / 'none.json'))
    with pytest.raises(ValueError, match='cannot be opened'):
        read_coco('a\0.json')
    (tmp_path / 'a.json').write_text('{')
    with pytest.raises(ValueError, match='a.json: not a JSON file'):
        read_coco(str(tmp_path / 'a.json'))


def test_other_backends_are_read_each_time(monkeypatch):
    """Nothing says whether the file is still the same."""
    monkeypatch.setattr(coco_file, 'read_text', lambda path, backend_args: json.dumps(COCO))
    first, second = (read_coco('s3://x/y.json', keep=True) for _ in range(2))
    assert first.classes == second.classes
    assert first is not second
    assert not coco_file._kept


def _count_readings(monkeypatch) -> list:
    readings = []
    read_text = coco_file.read_text
    monkeypatch.setattr(coco_file, 'read_text',
                        lambda *args: readings.append(args) or read_text(*args))
    return readings


def test_readers_at_the_same_time_share(tmp_path, monkeypatch):
    """And with its last reader it goes at once: nothing in it forms a circle."""
    readings = _count_readings(monkeypatch)
    path = write(tmp_path, COCO)
    first = read_coco(path)
    assert read_coco(path) is first
    del first
    read_coco(path)
    assert len(readings) == 2


def test_kept_for_the_next_reader(tmp_path, monkeypatch):
    readings = _count_readings(monkeypatch)
    path = write(tmp_path, COCO)
    for reading in (1, 2):
        assert read_coco(path, keep=True).classes == ('dog', 'cat', 'hen')
        assert len(readings) == reading
        read_coco(path)  # takes it, and lets go of it
        assert len(readings) == reading
    read_coco(path, keep=True)
    release_coco_files()
    read_coco(path)
    assert len(readings) == 4


def test_reading_without_outlines(tmp_path, monkeypatch):
    """The same but for the polygons; where a full reading is at hand, that one."""
    polygons = [[[1, 2, 3, 4, 5, 6], [1.5e0, 2, -3, 4, 5, 6]], [], [[]], [[1, 2]], [[[1, 2], [3]]]]
    names = ['"segmentation": [[1, 2]]', 'cat\\', 'a]}{"']
    coco = copy.deepcopy(COCO)
    for i, polygon in enumerate(polygons):
        before = dict(id=10 + i, image_id=3, segmentation=polygon, category_id=1)
        coco['annotations'] += [
            before, {**dict(id=20 + i, image_id=3, category_id=1), 'segmentation': polygon}]
    coco['annotations'].append(dict(
        id=30, image_id=3, segmentation=dict(size=[8, 8], counts=[64]), category_id=1))
    for category, name in zip(coco['categories'], names, strict=True):
        category['name'] = name
    for indent in (None, 1):
        path = write(tmp_path, coco, indent)
        short = read_coco(path, outlines=False)
        emptied = [dict(a, segmentation=[]) if isinstance(a.get('segmentation'), list) else a
                   for a in coco['annotations']]
        assert (short.annotations, short.images, short.classes) == (
            emptied, coco['images'], tuple(names))
        full = read_coco(path)
        assert full.annotations == coco['annotations']
        readings = _count_readings(monkeypatch)
        assert read_coco(path, outlines=False) is full
        assert not readings


def test_full_reading_lets_go_of_the_short_one(tmp_path):
    path = write(tmp_path, COCO)
    read_coco(path, outlines=False, keep=True)
    assert len(coco_file._kept) == 1
    read_coco(path)
    assert not coco_file._kept


def test_changed_file_is_read_anew(tmp_path):
    path = write(tmp_path, COCO)
    held = read_coco(path)
    write(tmp_path, dict(COCO, annotations=[]))
    assert len(held.annotations) == 3
    assert read_coco(path).annotations == []


def test_messages_are_short(tmp_path):
    """A value of any size is shown in a few words."""
    coco = dict(COCO, annotations=[dict(COCO['annotations'][0], bbox=list(range(10**5)))])
    with pytest.raises(ValueError, match='annotation 1 of image 7: bbox') as error:
        read_coco(write(tmp_path, coco))
    assert str(error.value).endswith(
        'bbox [0, 1, 2, 3, 4, 5, ...] should be four finite numbers x, y, w, h')


@pytest.mark.parametrize('value', ['x' * 100, 10**100])
def test_long_values_are_shown_by_sixty_characters(tmp_path, value):
    coco = dict(COCO, annotations=[dict(COCO['annotations'][0], iscrowd=value)])
    with pytest.raises(ValueError) as error:
        read_coco(write(tmp_path, coco))
    shown = re.search('iscrowd (.*) should be 0 or 1', str(error.value))[1]
    assert len(shown) == 60


def test_large_file_is_read_by_columns(tmp_path):
    """A field of all annotations is judged at once, not one by one."""
    annotations = [dict(COCO['annotations'][0], id=i) for i in range(1000)]
    calls = 0

    def counted(values):
        nonlocal calls
        calls += 1
        return coco_values.are_boxes(values)

    field = coco_file._FIELDS['annotations']
    judge = field['bbox']
    field['bbox'] = (counted, judge[1])
    try:
        read_coco(write(tmp_path, dict(COCO, annotations=annotations)))
    finally:
        field['bbox'] = judge
    assert calls == 1
