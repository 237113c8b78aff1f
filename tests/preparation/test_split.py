"""Splits: every image once, sizes kept, groups whole, classes even."""
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tresnet_mm.preparation import folds, hold_out, missing_classes, own_parts, split
from tresnet_mm.preparation.source_data import Box, SourceData, SourceImage
from tresnet_mm.preparation.split import part_sizes

THIRDS = dict(train=0.6, val=0.2, test=0.2)


def source(labels, names=None, parts=None, boxes=False, classes=None):
    """Images with these lists of labels; a list may name a label often where boxes are made."""
    names = names or [f'{index:04}.jpg' for index in range(len(labels))]
    images = tuple(
        SourceImage(Path('/data') / name, name, 100, 100,
                    tuple(Box(label, 1, 1, 10, 10) for label in own) if boxes else None,
                    None if boxes else frozenset(own), part=parts[index] if parts else None)
        for index, (name, own) in enumerate(zip(names, labels, strict=True)))
    number = classes or 1 + max((label for own in labels for label in own), default=0)
    return SourceData('folders', Path('/data'), tuple(f'c{i}' for i in range(number)), images)


def long_tail(seed, images=300, classes=12):
    draw = np.random.default_rng(seed)
    chances = 0.6 * 0.65 ** np.arange(classes)
    return source([np.flatnonzero(row < chances).tolist()
                   for row in draw.random((images, classes))], classes=classes)


def unevenness(data, parts):
    """Mean over classes and parts of the distance between the share of a class and of the part."""
    has = np.array([[c in (im.labels or {b.label for b in im.boxes or ()})
                     for c in range(len(data.classes))] for im in data.images])
    has = has[:, has.any(0)]
    return np.mean([abs(has[members].sum(0) / has.sum(0) - len(members) / len(has))
                    for members in parts.values()])


def at_random(data, fractions, seed):
    order = list(range(len(data.images)))
    random.Random(seed).shuffle(order)
    parts, start = {}, 0
    for name, size in zip(fractions, part_sizes(len(order), list(fractions.values())),
                          strict=True):
        parts[name], start = order[start:start + size], start + size
    return parts


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(st.integers(0, 4), max_size=5), min_size=3, max_size=40),
       st.integers(0, 9), st.booleans())
def test_every_image_is_in_one_part_and_sizes_are_kept(labels, seed, boxes):
    parts = split(source(labels, boxes=boxes), THIRDS, seed)
    assert sorted(sum(parts.values(), [])) == list(range(len(labels)))
    assert [len(members) for members in parts.values()] == part_sizes(len(labels),
                                                                      [0.6, 0.2, 0.2])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 8), st.lists(st.integers(0, 3), max_size=3)),
                min_size=6, max_size=40), st.integers(0, 9))
def test_no_group_is_in_two_parts(images, seed):
    names = [f'g{group}/{index}.jpg' for index, (group, _) in enumerate(images)]
    data = source([labels for _, labels in images], names)
    groups = [group for group, _ in images]
    sizes = [groups.count(group) for group in set(groups)]
    try:
        parts = split(data, dict(train=0.7, val=0.3), seed, r'^(g\d+)/')
    except ValueError as error:
        assert 'cannot be split' in str(error) or 'would be empty' in str(error)
        return
    assert sorted(sum(parts.values(), [])) == list(range(len(images)))
    assert not {groups[i] for i in parts['train']} & {groups[i] for i in parts['val']}
    for members, size in zip(parts.values(), part_sizes(len(images), [0.7, 0.3]), strict=True):
        assert abs(len(members) - size) < max(sizes)  # of two parts one has what the other lacks


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(5, 40), min_size=1, max_size=6), st.integers(0, 99))
def test_a_class_of_five_images_is_in_each_part(numbers, seed):
    data = source([[label] for label, number in enumerate(numbers) for _ in range(number)])
    assert missing_classes(data, split(data, THIRDS, seed)) == {}


def test_single_labels_are_split_as_exactly_as_can_be():
    data = source([[0]] * 50 + [[1]] * 20 + [[2]] * 10)
    parts = split(data, THIRDS)
    counts = {part: [sum(label in data.images[i].labels for i in members) for label in range(3)]
              for part, members in parts.items()}
    assert counts == dict(train=[30, 12, 6], val=[10, 4, 2], test=[10, 4, 2])


def test_boxes_are_split_by_number_too():
    data = source([[0]] * 40 + [[0] * 16] * 10, boxes=True)
    for seed in range(5):
        val = split(data, dict(train=0.8, val=0.2), seed)['val']
        assert sorted(len(data.images[i].boxes) for i in val) == [1] * 8 + [16] * 2


def test_the_order_of_files_does_not_matter_and_the_seed_does():
    data = long_tail(0)
    turned = SourceData(data.format, data.image_root, data.classes, data.images[::-1])

    def names(data, seed):
        return {part: {data.images[i].name for i in members}
                for part, members in split(data, THIRDS, seed).items()}

    assert names(data, 3) == names(turned, 3)
    assert names(data, 3) != names(data, 4)


def test_a_long_tail_is_more_even_than_at_random_with_every_seed():
    for seed in range(12):
        data = long_tail(seed)
        assert unevenness(data, split(data, THIRDS, seed)) \
            < unevenness(data, at_random(data, THIRDS, seed))


def test_classes_too_rare_for_each_part_are_told():
    data = source([[0]] * 18 + [[0, 1]] * 2, classes=3)
    missing = missing_classes(data, split(data, THIRDS))
    assert list(missing) == ['c1'] and len(missing['c1']) >= 1


def test_folds_hold_each_image_out_once():
    data = long_tail(1, images=31)
    made = folds(data, 4)
    assert sorted(sum((fold['val'] for fold in made), [])) == list(range(31))
    for fold in made:
        assert sorted(fold['train'] + fold['val']) == list(range(31))
    assert sorted(len(fold['val']) for fold in made) == [7, 8, 8, 8]


def test_own_parts_stay_and_validation_is_taken_from_training():
    data = source([[0], [1]] * 10, parts=['train'] * 14 + ['test'] * 6)
    parts = own_parts(data)
    assert parts == dict(train=list(range(14)), test=list(range(14, 20)))
    held = hold_out(data, parts, 0.3)
    assert list(held) == ['train', 'val', 'test'] and held['test'] == parts['test']
    assert len(held['val']) == 4 and sorted(held['train'] + held['val']) == parts['train']
    assert sum(0 in data.images[i].labels for i in held['val']) == 2
    assert own_parts(source([[0]])) == {}


def test_a_mapping_says_the_groups():
    data = source([[0]] * 10)
    groups = {image.name: str(i // 2) for i, image in enumerate(data.images)}
    val = split(data, dict(train=0.8, val=0.2), group=groups)['val']
    assert len(val) == 2 and val[0] % 2 == 0 and val[1] == val[0] + 1


def test_a_part_is_held_out_by_whole_groups_where_the_parts_have_their_own():
    data = source([[0]] * 10)
    groups = {image.name: f'g{index // 2}' for index, image in enumerate(data.images)}
    parts = hold_out(data, dict(train=range(8), test=[8, 9]), 0.25, group=groups)
    assert parts['test'] == [8, 9] and sorted(parts['train'] + parts['val']) == list(range(8))
    assert len(parts['val']) == 2 and parts['val'][0] // 2 == parts['val'][1] // 2


@pytest.mark.parametrize(('call', 'told'), [
    (lambda d: split(d, dict(train=0.5, val=0.6)), 'sum to 1, got: train 0.5, val 0.6'),
    (lambda d: split(d, dict(train=1.0, val=0.0)), 'above 0'),
    (lambda d: split(d, {str(i): 1 / 9 for i in range(9)}), '8 images cannot be split into 9'),
    (lambda d: split(d, THIRDS, group='['), 'no regular expression'),
    (lambda d: split(d, THIRDS, group='x(.)'), "'x(.)' finds nothing in the name of 8 of 8"),
    (lambda d: split(d, THIRDS, group={'0000.jpg': 'a'}), '7 of 8 images; 0001.jpg'),
    (lambda d: folds(d, 1), 'at least 2 folds, got 1'),
    (lambda d: own_parts(d), '4 of 8 images are in no part'),
    (lambda d: hold_out(d, dict(test=[0])), "'val' is to be taken out of 'train'"),
    (lambda d: hold_out(d, dict(train=[0, 2, 4], test=[1, 3]), group='000'), "group '000' has"),
])
def test_what_cannot_be_is_said(call, told):
    data = source([[0]] * 8, parts=['train', None] * 4)
    with pytest.raises(ValueError) as error:
        call(data)
    assert told in str(error.value)
