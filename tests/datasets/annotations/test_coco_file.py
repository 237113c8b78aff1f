"""One reading of COCO files: what is shared, what is named, what labels mean."""

import copy
import gc
import itertools
import json
from pathlib import Path

import pytest

from tresnet_mm.datasets import CheckedCocoDataset, CocoMultiLabel
from tresnet_mm.datasets.annotations import coco_file, read_coco, release_coco_files

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
    assert coco.strays() == []


@pytest.mark.parametrize('classes', itertools.permutations(['dog', 'cat', 'hen']))
@pytest.mark.parametrize('order', itertools.permutations(range(3)))
def test_labels_are_places_in_classes(tmp_path, classes, order):
    """In both data sets, whatever the order of the file's categories."""
    coco = dict(COCO, categories=[COCO['categories'][i] for i in order])
    kwargs = dict(ann_file=write(tmp_path, coco), metainfo=dict(classes=classes),
                  data_prefix=dict(img=''))
    boxes = CheckedCocoDataset(**kwargs).get_data_info(0)['instances']
    assert [classes[box['bbox_label']] for box in boxes] == ['hen', 'dog']
    labels = CocoMultiLabel(**kwargs).get_data_info(0)['gt_labels']
    assert {classes[label] for label in labels} == {'hen', 'dog'}


def _count_readings(monkeypatch) -> list:
    readings = []
    read_text = coco_file.read_text
    monkeypatch.setattr(coco_file, 'read_text',
                        lambda *args: readings.append(args) or read_text(*args))
    return readings


def test_readers_at_the_same_time_share(tmp_path, monkeypatch):
    readings = _count_readings(monkeypatch)
    path = write(tmp_path, COCO)
    first = read_coco(path)
    assert read_coco(path) is first
    del first
    gc.collect()
    read_coco(path)
    assert len(readings) == 2


def test_kept_for_the_next_reader(tmp_path, monkeypatch):
    readings = _count_readings(monkeypatch)
    path = write(tmp_path, COCO)
    for reading in (1, 2):
        assert read_coco(path, keep=True).classes == ('dog', 'cat', 'hen')
        gc.collect()
        assert len(readings) == reading
        read_coco(path)  # takes it, and lets go of it
        gc.collect()
        assert len(readings) == reading
    read_coco(path, keep=True)
    release_coco_files()
    gc.collect()
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


def test_users_change_nothing_that_is_shared(tmp_path):
    """Data sets and metrics work on copies."""
    from mmdet.registry import METRICS
    path = write(tmp_path, COCO)
    held = read_coco(path)
    before = json.dumps([held.images, held.annotations, held.categories])
    CheckedCocoDataset(ann_file=path, metainfo=dict(classes=('cat', 'dog', 'hen')),
                       data_prefix=dict(img=''))
    CocoMultiLabel(ann_file=path)
    METRICS.build(dict(type='CocoMetric', ann_file=path))
    assert json.dumps([held.images, held.annotations, held.categories]) == before


def test_messages_are_short(tmp_path):
    """A value of any size is shown in a few words."""
    coco = dict(COCO, annotations=[dict(COCO['annotations'][0], bbox=list(range(10**5)))])
    with pytest.raises(ValueError, match='annotation 1 of image 7: bbox') as error:
        read_coco(write(tmp_path, coco))
    assert len(str(error.value)) < 300 + len(str(tmp_path))


def test_large_file_is_read_by_columns(tmp_path):
    """A field of 100,000 annotations is judged at once, not one by one."""
    from tresnet_mm.datasets.annotations import coco_values
    annotations = [dict(COCO['annotations'][0], id=i) for i in range(100_000)]
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
