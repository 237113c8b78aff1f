"""The numbers of a data set, counted by hand."""

from pathlib import Path

import pytest

from tresnet_mm.preparation.measures import labels_of, measure
from tresnet_mm.preparation.source_data import Box, SourceData, SourceImage


def image(name, boxes, labels=None, size=(200, 100), unknown=()):
    return SourceImage(Path('/d') / name, name, *size, boxes, labels, frozenset(unknown))


def source(*images, classes=('cat', 'dog')):
    return SourceData('coco', Path('/d'), classes, images)


def test_boxes_are_measured_by_the_short_side():
    data = source(image('a', (Box(0, 0, 0, 40, 10), Box(1, 0, 0, 99, 99, ignore=True))),
                  image('b', (), size=(300, 100)))
    found = measure(data, data.images)
    assert (found.images, found.objects, found.empty, found.most_objects) == (2, 1, 1, 1)
    assert found.short_side == 100 and found.aspect == pytest.approx(2.95)
    assert found.small_object == pytest.approx(0.2) and found.large_object == pytest.approx(0.4)
    assert found.positives == 0.25


def test_unknown_labels_are_no_pairs():
    data = source(image('a', None, frozenset({0}), unknown={1}), image('b', None, frozenset({1})),
                  image('c', None, None))
    assert measure(data, data.images).positives == pytest.approx(2 / 3)
    assert measure(data, data.images).small_object == 0


def test_labels_come_first_and_boxes_next():
    box = Box(0, 0, 0, 5, 5)
    assert labels_of(image('a', (box,), frozenset({1}))) == {1}
    assert labels_of(image('a', (box, box._replace(label=1, ignore=True)))) == {0}
    assert labels_of(image('a', None)) is None


def test_no_image_is_an_error():
    with pytest.raises(ValueError, match='no image'):
        measure(source(), ())
