"""NUS-WIDE from files in their original form."""

import pytest

from tresnet_mm.datasets import NUSWIDE

NAMES = ['actor\\0001_12.jpg', 'actor\\0002_13.jpg', 'zebra\\0001_7.jpg']
LABELS = dict(airport=[0, 0, 0], animal=[0, 1, 1], water=[1, 0, 1])


@pytest.fixture
def root(tmp_path):
    for folder in ('ImageList', 'ConceptsList', 'Groundtruth/TrainTestLabels', 'Flickr/actor'):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / 'ConceptsList/Concepts81.txt').write_text('\r\n'.join(LABELS) + '\r\n')
    (tmp_path / 'ImageList/TrainImagelist.txt').write_text('\r\n'.join(NAMES) + '\r\n')
    for name, cells in LABELS.items():
        (tmp_path / f'Groundtruth/TrainTestLabels/Labels_{name}_Train.txt').write_text(
            ''.join(f'{cell}\n' for cell in cells))
    (tmp_path / 'Flickr/actor/0001_12.jpg').touch()
    return tmp_path


def read(root, ann_file='ImageList/TrainImagelist.txt', **kwargs):
    dataset = NUSWIDE(ann_file, data_root=str(root), **kwargs)
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    return {info['img_id']: info['gt_labels'] for info in infos}, dataset


def test_the_original_files(root):
    found, dataset = read(root)
    assert found == {'actor/0001_12.jpg': [2], 'actor/0002_13.jpg': [1],
                     'zebra/0001_7.jpg': [1, 2]}
    assert dataset.classes == ('airport', 'animal', 'water')
    assert dataset.get_data_info(0)['img_path'] == str(root / 'Flickr/actor/0001_12.jpg')
    assert dataset.get_data_info(0)['unknown_labels'] == []


def test_images_without_a_concept_are_left_out_unless_they_are_kept(root):
    classes = dict(metainfo=dict(classes=('airport', 'animal')))
    assert read(root, **classes)[0] == {'actor/0002_13.jpg': [1], 'zebra/0001_7.jpg': [1]}
    assert read(root, keep_empty=True, **classes)[0]['actor/0001_12.jpg'] == []


def test_missing_images_are_left_out_when_asked_and_counted(root, monkeypatch):
    said = []
    monkeypatch.setattr('tresnet_mm.datasets.nus_wide.print_log', lambda *args: said.append(args))
    assert list(read(root, missing_images='skip')[0]) == ['actor/0001_12.jpg']
    assert '2 of 3 images are not in' in said[0][0] and len(said) == 1
    (root / 'Flickr/actor/0001_12.jpg').unlink()
    with pytest.raises(ValueError, match='none of its 3 images is in'):
        read(root, missing_images='skip')


def test_lists_of_ones_own(root):
    (root / 'mine.txt').write_text('actor/0001_12.jpg\n')
    with pytest.raises(ValueError, match=r'mine\.txt: labels must say where'):
        read(root, 'mine.txt')
    for name in LABELS:
        (root / f'{name}.mine').write_text('1\n' if name == 'animal' else '0\n')
    assert read(root, 'mine.txt', labels='{}.mine')[0] == {'actor/0001_12.jpg': [1]}


@pytest.mark.parametrize('file, content, message', [
    ('Groundtruth/TrainTestLabels/Labels_water_Train.txt', '1\n0\n',
     r'Labels_water_Train\.txt has 2 labels for the 3 images'),
    ('Groundtruth/TrainTestLabels/Labels_water_Train.txt', '1\n2\n0\n',
     r"Labels_water_Train\.txt: label 2 should be 0 or 1, got '2'"),
    ('ImageList/TrainImagelist.txt', 'a\\b.jpg\nc.jpg\na/b.jpg\n',
     r"TrainImagelist\.txt: image 3: 'a/b\.jpg' is listed twice"),
    ('ImageList/TrainImagelist.txt', 'a.jpg\nb.jpg\n..\\c.jpg\n',
     r"TrainImagelist\.txt: image 3: file name '\.\./c\.jpg' leaves"),
])
def test_broken_files_are_named(root, file, content, message):
    (root / file).write_text(content)
    with pytest.raises(ValueError, match=message):
        read(root)


def test_bad_arguments(root):
    with pytest.raises(ValueError, match="missing_images must be 'error' or 'skip', got 'no'"):
        read(root, missing_images='no')
    with pytest.raises(ValueError, match=r"the classes \['ox'\] of metainfo are not in it"):
        read(root, metainfo=dict(classes=('ox', )))
    (root / 'Groundtruth/TrainTestLabels/Labels_water_Train.txt').unlink()
    with pytest.raises(FileNotFoundError, match='Labels_water_Train'):
        read(root)
