"""What is refused, and what is taken from a source before anything is written."""

from pathlib import Path

import pytest

from tests.preparation.test_measures import image, source
from tresnet_mm.preparation.prepare import (
    Wishes,
    copy_images,
    default_task,
    plan_parts,
    prepare,
    require_apart,
    require_fit,
)
from tresnet_mm.preparation.source_data import Box, SourceData, SourceImage

BOXES = (Box(0, 0, 0, 5, 5),)


@pytest.mark.parametrize('images, task', [
    ([image('a', BOXES), image('b', None, frozenset({0, 1}))], 'detection'),
    ([image('a', None, frozenset({0})), image('b', None, frozenset({1}))], 'single-label'),
    ([image('a', None, frozenset({0})), image('b', None, frozenset())], 'multi-label')])
def test_the_default_task_fits_the_source(images, task):
    assert default_task(source(*images))[0] == task
    require_fit(source(*images), task)


@pytest.mark.parametrize('found, task, words', [
    (image('a', None, frozenset({0})), 'detection', 'no boxes'),
    (image('a', (), frozenset()), 'both', 'no boxes'),
    (image('a', None, frozenset({0, 1})), 'single-label', 'a has 2 labels'),
    (image('a', None, frozenset()), 'single-label', 'a has 0 labels'),
    (image('a', None, frozenset({0}), unknown={1}), 'single-label', '1 unknown')])
def test_a_task_that_does_not_fit_is_refused(found, task, words):
    with pytest.raises(ValueError, match=words):
        require_fit(source(found), task)


def parted(**parts):
    """A source with a number of images in each part."""
    return SourceData('voc', Path('/d'), ('cat', 'dog'), tuple(
        SourceImage(Path(f'/d/{part}{i}'), f'{part}{i}', 9, 9, None, frozenset({i % 2}), part=part)
        for part, number in parts.items() for i in range(number)))


def test_a_split_of_the_source_is_kept_and_completed():
    wishes = Wishes('multi-label', 'tiny', val=0.25)
    assert plan_parts(parted(train=4, val=2), wishes) == [dict(train=[0, 1, 2, 3], val=[4, 5])]
    [parts] = plan_parts(parted(train=8, test=2), wishes)
    assert parts['test'] == [8, 9] and len(parts['val']) == 2 and len(parts['train']) == 6


def test_a_split_of_the_source_gives_way_to_a_new_one_or_to_folds():
    data = parted(train=10, test=10)
    [parts] = plan_parts(data, Wishes('multi-label', 'tiny', val=0.2, test=0, resplit=True))
    assert {name: len(members) for name, members in parts.items()} == dict(train=16, val=4)
    assert [len(parts['val']) for parts in plan_parts(
        data, Wishes('multi-label', 'tiny', folds=4))] == [5] * 4


def test_without_a_training_part_nothing_is_written(tmp_path):
    with pytest.raises(ValueError, match='nothing to train on: the source has the parts val, test'):
        prepare(parted(val=2, test=1), Wishes('multi-label', 'tiny'), tmp_path / 'out')
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('out', ['.', 'a', 'a/b', '../s/a'])
def test_nothing_is_written_into_the_source(out, tmp_path):
    folder = tmp_path / 's'
    folder.mkdir()
    with pytest.raises(ValueError, match='lies in the source'):
        require_apart(folder, folder / out)
    require_apart(folder, tmp_path / 'sibling')


def test_an_image_is_not_copied_out_of_the_folder(tmp_path):
    (tmp_path / 'a').write_text('picture')
    data = source(SourceImage(tmp_path / 'a', '../b', 1, 1, None, None))
    with pytest.raises(ValueError, match='out of'):
        copy_images(data, tmp_path / 'images')
    assert not (tmp_path / 'b').exists()
