"""Planted boxes that look wrong, each found once and with its value."""
from pathlib import Path

import pytest

from tresnet_mm.preparation.odd_boxes import KINDS, odd_boxes
from tresnet_mm.preparation.source_data import Box, SourceData, SourceImage


def source(*images):
    return SourceData('coco', Path('/d'), ('a', 'b'), tuple(
        SourceImage(Path(f'/d/{i}.jpg'), f'{i}.jpg', 200, 100, tuple(boxes), None)
        for i, boxes in enumerate(images)))


@pytest.mark.parametrize(('kind', 'boxes', 'value'), [
    ('outside', [Box(0, 150, 10, 53, 40)], 3),
    ('outside', [Box(0, -7, 10, 50, 40)], 7),
    ('tiny', [Box(0, 10, 10, 3, 20)], 3),
    ('huge', [Box(1, 0, 0, 200, 96)], 0.96),
    ('narrow', [Box(1, 10, 10, 110, 10)], 11),
    ('twice', [Box(0, 10, 10, 100, 50), Box(0, 10, 10, 100, 48)], 0.96),
    ('two_classes', [Box(0, 10, 10, 100, 50), Box(1, 10, 10, 100, 48)], 0.96),
])
def test_a_planted_box_is_found_with_its_value(kind, boxes, value):
    found = odd_boxes(source([Box(0, 20, 20, 40, 40)], boxes))
    assert {k: len(v) for k, v in found.items() if v} == {kind: 1}
    assert found[kind][0].image == 1 and found[kind][0].box == boxes[0]
    assert found[kind][0].value == pytest.approx(value)


def test_limits_are_not_odd_and_ignored_boxes_are_left_out():
    quiet = source([Box(0, 0, 0, 200, 95)], [Box(0, 5, 5, 4, 40)], [Box(1, 10, 10, 150, 15)],
                   [Box(0, 0, 0, 200.4, 90)],
                   [Box(0, -50, 0, 300, 2, ignore=True)] * 2)
    assert odd_boxes(quiet) == {kind: [] for kind in KINDS}


def test_an_unusual_size_for_its_class_is_found():
    usual = [[Box(0, 10, 10, 40 + i % 5, 40)] for i in range(30)]
    found = odd_boxes(source(*usual, [Box(0, 10, 10, 8, 8)], [Box(1, 10, 10, 8, 8)]))
    assert [(odd.image, odd.box.width) for odd in found['unusual']] == [(30, 8)]
    assert found['unusual'][0].value < -5


def test_a_box_without_an_area_is_tiny_and_of_no_size_to_compare():
    usual = [[Box(0, 10, 10, 40, 40)] for _ in range(30)]
    found = odd_boxes(source(*usual, [Box(0, 10, 10, 0, 40)]))
    assert {kind: [odd.value for odd in odds] for kind, odds in found.items() if odds} == {
        'tiny': [0]}


def test_the_worst_come_first():
    found = odd_boxes(source([Box(0, 9, 9, 3, 9), Box(0, 40, 9, 1, 9), Box(0, 70, 9, 2, 9)]))
    assert [odd.value for odd in found['tiny']] == [1, 2, 3]
