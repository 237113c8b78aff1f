"""Mistakes of boxes on hand-made images, where every kind is known, and the picture of one."""

import json
from pathlib import Path

import numpy as np
import pytest

from tresnet_mm.datasets.annotations import read_coco
from tresnet_mm.evaluation.renumbered_coco import RenumberedCOCO
from tresnet_mm.visualization import draw_box_tile, find_box_mistakes

#: Category ids and image ids that are not their places.
CAT, DOG = 7, 3


@pytest.fixture
def truth(tmp_path: Path) -> RenumberedCOCO:
    things = [  # image, category, box, crowd
        (10, CAT, [0, 0, 40, 40], 0), (10, DOG, [60, 0, 20, 40], 0), (10, CAT, [0, 60, 30, 30], 1),
        (20, DOG, [10, 10, 50, 50], 0), (20, CAT, [70, 70, 20, 20], 0)]
    content = dict(
        images=[dict(id=i, file_name=f'{i}.jpg', width=100, height=100) for i in (10, 20, 30)],
        categories=[dict(id=CAT, name='cat'), dict(id=DOG, name='dog')],
        annotations=[dict(id=n, image_id=i, category_id=c, bbox=b, area=b[2] * b[3], iscrowd=k)
                     for n, (i, c, b, k) in enumerate(things)])
    file = tmp_path / 'truth.json'
    file.write_text(json.dumps(content))
    coco = read_coco(str(file))
    return RenumberedCOCO(coco, coco.category_ids(['dog', 'cat']))  # dog is label 0


def result(image, category, box, score):
    return dict(image_id=image, category_id=category, bbox=box, score=score)


RESULTS = [
    result(10, CAT, [0, 0, 40, 40], 0.9),       # the cat
    result(10, CAT, [1, 1, 40, 40], 0.8),       # the same cat again
    result(10, CAT, [61, 0, 20, 40], 0.85),     # a cat on a dog
    result(10, CAT, [0, 60, 30, 30], 0.95),     # on the crowd: neither right nor wrong
    result(20, DOG, [10, 10, 50, 20], 0.6),     # two fifths of the dog
    result(20, DOG, [10, 10, 50, 50], 0.1),     # the dog, with too low a score
    result(30, DOG, [0, 0, 10, 10], 0.7),       # where there is nothing
]


def test_every_kind_of_mistake(truth):
    found = find_box_mistakes(truth, RESULTS, 2, score_threshold=0.3)
    alarms = [(m.image, m.label, m.score, m.kind, m.other) for m in found.false_alarms]
    assert alarms == [(0, 1, 0.85, 'other class', 0), (0, 1, 0.8, 'double', 1),
                      (2, 0, 0.7, 'nothing there', None), (1, 0, 0.6, 'misplaced', 0)]
    assert found.false_alarms[3].overlap == pytest.approx(0.4)
    assert found.false_alarms[3].box == (10, 10, 60, 30)
    assert [(m.image, m.label, m.box) for m in found.missed] == [
        (1, 0, (10, 10, 60, 60)), (0, 0, (60, 0, 80, 40)), (1, 1, (70, 70, 90, 90))]
    assert [m.kind for m in found.doubtful()] == ['other class', 'nothing there']
    # rows: dog, cat, nothing; columns: as dog, as cat, not found
    assert found.confusion.tolist() == [[0, 1, 1], [0, 1, 1], [2, 1, 0]]


def test_all_boxes_and_all_objects_are_counted_once(truth):
    found = find_box_mistakes(truth, RESULTS, 2, score_threshold=0.0)
    assert found.confusion[:2].sum() == 4  # all objects but the crowd
    assert found.confusion[:, :2].sum() == 6  # all boxes but the one on the crowd
    assert [m.label for m in found.missed] == [0, 1]
    labels, boxes = found.objects[0]
    assert labels.tolist() == [1, 0] and boxes.tolist() == [[0, 0, 40, 40], [60, 0, 80, 40]]
    assert found.objects[2][1].shape == (0, 4)


def test_a_perfect_detector_makes_no_mistake(truth):
    results = [result(10, CAT, [0, 0, 40, 40], 0.9), result(10, DOG, [60, 0, 20, 40], 0.9),
               result(20, DOG, [10, 10, 50, 50], 0.9), result(20, CAT, [70, 70, 20, 20], 0.9)]
    found = find_box_mistakes(truth, results, 2)
    assert not found.false_alarms and not found.missed
    assert found.confusion.tolist() == [[2, 0, 0], [0, 2, 0], [0, 0, 0]]


def test_nothing_to_look_at(truth):
    with pytest.raises(ValueError, match='none of the 7 predictions has a score of 0.99'):
        find_box_mistakes(truth, RESULTS, 2, score_threshold=0.99)


def test_more_boxes_than_coco_looks_at(truth):
    many = [result(30, DOG, [i % 50, i // 50, 20, 20], 0.5) for i in range(150)]
    assert len(find_box_mistakes(truth, many, 2).false_alarms) == 150


@pytest.mark.parametrize('size', [(400, 300), (40, 60), (300, 1000)])
def test_the_tile_shows_the_box_where_it_is(size):
    image = np.full((*size, 3), 90, np.uint8)
    box = (20, 10, 32, 30)
    tile = draw_box_tile(image, box, True, np.zeros((0, 4)), side=200)
    assert tile.shape == (200, 200, 3)
    red = (tile[..., 0] > 220) & (tile[..., 1] < 60)
    ys, xs = red.nonzero()
    width, height = (int(v.max() - v.min()) - 4 for v in (xs, ys))  # between the lines' middles
    assert width / height == pytest.approx(12 / 20, abs=0.1) and height >= 200 * 20 / 300
    assert not ((tile[..., 1] > 200) & (tile[..., 0] < 60)).any()
    missed = draw_box_tile(image, box, False, np.array([box]), side=200)
    yellow = (missed[..., 0] > 220) & (missed[..., 1] > 150) & (missed[..., 2] < 60)
    assert 0.3 < yellow.sum() / red.sum() < 0.95  # dashed
    beside = draw_box_tile(image, box, True, np.array([[2, 2, 12, 12]]), side=200)
    assert ((beside[..., 1] > 200) & (beside[..., 0] < 60)).any()
