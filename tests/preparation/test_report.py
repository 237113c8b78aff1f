"""The report: planted faults are told, figures are those counted by hand, links lead somewhere."""
import json
import random
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tresnet_mm.preparation import hold_out, own_parts, read_source, split, write_report
from tresnet_mm.preparation.data_figures import (
    box_counts,
    image_counts,
    size_counts,
    together,
)
from tresnet_mm.preparation.report_pictures import ReportPictures
from tresnet_mm.preparation.source_data import Box, SourceData, SourceImage

SHARED = Path(__file__).parents[3] / 'shared/data'


def scene(seed, size=(120, 90)):
    noise = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture
def data(tmp_path):
    """Two images that look the same, one that is broken, a tiny box and a box to be ignored."""
    root = tmp_path / 'images'
    root.mkdir()
    for index in range(4):
        scene(index).save(root / f'{index}.png')
    scene(0).resize((80, 60)).save(root / '4.jpg', quality=60)
    (root / '5.png').write_bytes((root / '3.png').read_bytes()[:900])
    boxes = [[Box(0, 5, 5, 20, 20), Box(1, 50, 20, 40, 50)], [Box(0, 5, 5, 2, 30)],
             [Box(1, 0, 0, 40, 40, ignore=True)], [], [Box(0, 3, 3, 13, 13)], []]
    names = ['0.png', '1.png', '2.png', '3.png', '4.jpg', '5.png']
    images = tuple(SourceImage(root / name, name, *((80, 60) if name == '4.jpg' else (120, 90)),
                               tuple(own), None) for name, own in zip(names, boxes, strict=True))
    return SourceData('coco', root, ('a|b', 'c_d', 'never'), images, ('2 things <mended>',))


PARTS = dict(train=[0, 1, 2, 3], val=[4, 5])


def test_figures_are_those_counted_by_hand(data):
    assert image_counts(data, PARTS['train']) == [2, 2, 0]
    assert box_counts(data, PARTS['train']) == [2, 1, 0]
    assert box_counts(data, PARTS['val']) == [1, 0, 0]
    assert size_counts(data, PARTS['train']) == [2, 1, 0]
    assert size_counts(data, PARTS['train'], (480, 360)) == [1, 1, 1]  # four times as long
    np.testing.assert_array_equal(together(data)[:2, :2], [[1, 1 / 3], [1 / 2, 1]])
    assert np.isnan(together(data)[2]).all()


def test_the_report_tells_what_was_planted(data, tmp_path):
    file = write_report(data, PARTS, tmp_path / 'out', (480, 360)).file
    text = file.read_text()
    assert file == tmp_path / 'out/report/report.md'
    first = text.split('## Look at these first\n\n')[1].splitlines()
    assert first[0].startswith('- **2 images in 1 groups look the same and lie in different parts')
    assert f'**1 of {len(data.images)} images cannot be read**, such as 5.png;' in text
    assert '    - 5.png: ' in text
    assert 'Class c\\_d is in no image of val.' in text
    assert 'Classes in no image at all: never.' in text
    assert '- 2 things \\<mended\\>' in text
    assert '| train | 4 | 1 | 120, 120, 120 | 90, 90, 90 | 3 | 0, 0.5, 2 |' in text
    assert '| a\\|b | 2 | 1 | 2 | 1 |' in text
    assert '| 1.png | a\\|b | 5 5 2 30 | 2 |' in text
    assert '1 boxes are to be ignored' in text
    assert 'fitted into 480 x 360 | 1 | 1 | 1 |' in text
    lists = {path.stem: json.loads(path.read_text()) for path in file.parent.glob('*.json')}
    assert lists['alike_across'] == [dict(images=['0.png', '4.jpg'], parts=['train', 'val'],
                                          same_bytes=False)]
    assert [record['image'] for record in lists['tiny']] == ['1.png']
    assert lists['groups']['4.jpg'] == '0.png' and lists['groups']['1.png'] == '1.png'


def test_copies_and_mirrored_images(data, tmp_path):
    root = data.image_root
    (root / '6.png').write_bytes((root / '1.png').read_bytes())
    Image.open(root / '2.png').transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(root / '7.png')
    more = tuple(SourceImage(root / name, name, 120, 90, (), None) for name in ('6.png', '7.png'))
    data = SourceData('coco', root, data.classes, data.images + more)
    write_report(data, dict(train=[0, 1, 2, 3, 6, 7], val=[4, 5]), tmp_path)
    assert json.loads((tmp_path / 'report/alike_within.json').read_text()) == [
        dict(images=['1.png', '6.png'], parts=['train', 'train'], same_bytes=True)]


def test_links_lead_to_files_and_an_old_report_goes(data, tmp_path):
    old = tmp_path / 'report'
    old.mkdir()
    (old / 'report.md').write_text('old')
    (old / 'old.png').write_text('old')
    file = write_report(data, PARTS, tmp_path).file
    links = re.findall(r'(?<!\\)\]\(([^)]+)\)', file.read_text())
    assert len(links) >= 6
    assert [link for link in links if not (file.parent / link).is_file()] == []
    assert not (old / 'old.png').exists() and not (tmp_path / '.report.part').exists()


def test_the_groups_of_a_report_keep_doubles_in_one_part(data, tmp_path):
    report = write_report(data, PARTS, tmp_path).file
    groups = json.loads((report.parent / 'groups.json').read_text())
    for seed in range(10):
        parts = split(data, dict(train=0.5, val=0.5), seed, groups)
        assert sum({0, 4} <= set(members) for members in parts.values()) == 1
    write_report(data, split(data, dict(train=0.5, val=0.5), 0, groups), tmp_path)
    assert 'in different parts' not in report.read_text()


def test_labels_alone_make_a_report(tmp_path):
    images = []
    for index in range(6):
        scene(index).save(tmp_path / f'{index}.png')
        images.append(SourceImage(tmp_path / f'{index}.png', f'{index}.png', 120, 90, None,
                                  frozenset({index % 2}), frozenset({2}) if index else frozenset()))
    data = SourceData('table', tmp_path, ('a', 'b', 'c'), tuple(images))
    text = write_report(data, dict(train=[0, 1, 2], val=[3, 4, 5]), tmp_path).file.read_text()
    assert '5 labels are unknown.' in text and 'Box sizes' not in text and 'boxes in' not in text
    assert '| a | 2 | 1 |' in text and '| train | 3 | 0 |' in text


def test_one_class_has_no_others_to_come_with(data, tmp_path):
    data = SourceData('coco', data.image_root, ('a',), data.images[3:4])
    file = write_report(data, dict(train=[0]), tmp_path).file
    assert 'come together' not in file.read_text()
    assert not (file.parent / 'co_occurrence.png').exists()


def test_rare_classes_are_told_by_their_share(data, tmp_path):
    """Ten images of one class and one of the other; then nine, which is not yet told."""
    first, second = data.images[4], data.images[1]
    images = [replace(first, name=f'{i}.jpg') for i in range(10)]
    images.append(replace(second, boxes=(Box(1, 9, 9, 30, 30),)))
    data = SourceData('coco', data.image_root, ('a', 'b'), tuple(images))
    told = ' '.join(write_report(data, dict(train=range(11)), tmp_path).look_first)
    assert ('The most frequent class has 10 times as many images in train as the rarest '
            '(10 and 1).') in told
    told = ' '.join(write_report(data, dict(train=range(1, 11)), tmp_path).look_first)
    assert 'most frequent' not in told


def test_boxes_of_an_unreadable_image_are_listed_on_grey(data, tmp_path):
    images = (*data.images[:5], replace(data.images[5], boxes=(Box(2, 5, 5, 2, 30),)))
    data = SourceData('coco', data.image_root, data.classes, images)
    file = write_report(data, PARTS, tmp_path).file
    found = json.loads((file.parent / 'tiny.json').read_text())
    assert [record['image'] for record in found] == ['1.png', '5.png']
    assert (np.array(Image.open(file.parent / 'tiny.png')) == 128).all(axis=-1).sum() > 10_000
    # its class has no other image that could be shown as a sample
    assert sorted(path.name for path in file.parent.glob('class_*')) == [
        'class_0.json', 'class_0.png', 'class_1.json', 'class_1.png']


def test_a_report_that_fails_leaves_the_old_one(data, tmp_path, monkeypatch):
    file = write_report(data, PARTS, tmp_path).file
    before = file.read_text()
    monkeypatch.setattr(ReportPictures, 'co_occurrence', lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_report(data, PARTS, tmp_path)
    assert file.read_text() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ['images', 'report']


def test_a_folder_of_somebody_else_stays(data, tmp_path):
    (tmp_path / 'report').mkdir()
    (tmp_path / 'report/thesis.txt').write_text('mine')
    with pytest.raises(FileExistsError, match='no report'):
        write_report(data, PARTS, tmp_path)
    assert (tmp_path / 'report/thesis.txt').read_text() == 'mine'


def assert_more_even_than_at_random(data, whole, part):
    """Boxes of the classes nearer to their share than in the mean of twenty random draws."""
    def distance(members):
        share = len(members) / len(whole)
        return sum(abs(n / of - share) for n, of in zip(
            box_counts(data, members), box_counts(data, whole), strict=True))

    draw = random.Random(0)
    drawn = [distance(draw.sample(list(whole), len(part))) for _ in range(20)]
    assert distance(part) < sum(drawn) / len(drawn)


@pytest.mark.slow
def test_cards(tmp_path):
    root = SHARED / 'cards'
    if not root.is_dir():
        pytest.skip(f'the data set cards is not at {root}')
    data = read_source(root)
    parts = hold_out(data, own_parts(data), 0.2)
    assert {part: len(members) for part, members in parts.items()} == dict(train=237, val=59,
                                                                           test=67)
    assert_more_even_than_at_random(data, own_parts(data)['train'], parts['val'])
    text = write_report(data, parts, tmp_path).file.read_text()
    assert 'IMG\\_2468.JPG' not in text  # the list is in the JSON
    across = json.loads((tmp_path / 'report/alike_across.json').read_text()) \
        + json.loads((tmp_path / 'report/alike_within.json').read_text())
    assert ['train/IMG_2468.JPG', 'train/IMG_2469.JPG'] in [group['images'] for group in across]


@pytest.mark.slow
def test_bccd(tmp_path):
    root = SHARED / 'bccd'
    if not root.is_dir():
        pytest.skip(f'the data set BCCD is not at {root}')
    data = read_source(root)
    parts = split(data, dict(train=0.7, val=0.15, test=0.15))
    assert_more_even_than_at_random(data, range(len(data.images)), parts['val'])
    text = write_report(data, parts, tmp_path).file.read_text()
    tiny = json.loads((tmp_path / 'report/tiny.json').read_text())
    assert {record['image'][-9:] for record in tiny} == {'00338.jpg', '00343.jpg'}
    assert 'Two boxes of one class at an IoU above 0.9: 7' in text
