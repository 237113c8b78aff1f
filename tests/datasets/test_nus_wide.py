"""NUS-WIDE in the form of its files."""

import pytest

from tresnet_mm.datasets import NUSWIDE

TRAIN = 'Groundtruth/TrainTestLabels/Labels_{}_Train.txt'
IMAGES = ['actor\\0001_2124494179.jpg', 'actor\\0002_174174086.jpg', 'zoo\\0003_9.jpg']
LABELS = dict(airport='1\n0\n0\n', animal='1\n0\n1\n')


@pytest.fixture
def root(tmp_path):
    for folder in ('ImageList', 'Groundtruth/TrainTestLabels', 'ConceptsList', 'Flickr/actor'):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / 'ImageList/TrainImagelist.txt').write_text('\r\n'.join(IMAGES) + '\r\n')
    (tmp_path / 'ConceptsList/Concepts81.txt').write_text('airport\nanimal\n')
    for concept, text in LABELS.items():
        (tmp_path / TRAIN.format(concept)).write_text(text)
    return tmp_path


def build(root, **kwargs):
    return NUSWIDE('ImageList/TrainImagelist.txt', data_root=str(root),
                   **dict(dict(label_files=TRAIN), **kwargs))


def labels(dataset):
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    assert not any(info['unknown_labels'] for info in infos)
    return {info['img_id']: info['gt_labels'] for info in infos}


def test_labels_and_paths(root):
    dataset = build(root)
    assert dataset.classes == ('airport', 'animal')
    assert labels(dataset) == {IMAGES[0]: [0, 1], IMAGES[2]: [1]}
    assert labels(build(root, keep_empty=True))[IMAGES[1]] == []
    assert dataset.get_data_info(0)['img_path'] == str(root / 'Flickr/actor/0001_2124494179.jpg')
    assert labels(build(root, metainfo=dict(classes=('animal', )))) == {
        IMAGES[0]: [0], IMAGES[2]: [0]}


def test_images_that_are_not_there(root):
    with pytest.raises(FileNotFoundError, match='none of the 2 images of .*TrainImagelist.txt is'):
        build(root, skip_missing=True)
    (root / 'Flickr/actor/0001_2124494179.jpg').touch()
    assert labels(build(root, skip_missing=True)) == {IMAGES[0]: [0, 1]}
    dataset = build(root, pipeline=[dict(type='LoadImageChecked')])
    with pytest.raises(FileNotFoundError, match=r'zoo/0003_9\.jpg'):
        dataset.prepare_data(1)


@pytest.mark.parametrize('file, text, error, message', [
    (TRAIN.format('animal'), '1\n2\n1\n', ValueError, r'Train\.txt:2: a label is 1 or 0, got'),
    (TRAIN.format('animal'), '1\n\n1\n', ValueError, r'Train\.txt:2: a label is 1 or 0, got'),
    (TRAIN.format('animal'), '1\n0\n', ValueError, r'has 2 lines, but .*list\.txt lists 3 images'),
    ('ImageList/TrainImagelist.txt', '..\\a.jpg\nb\nc', ValueError, r'list\.txt:1: .*leaves the'),
    ('ImageList/TrainImagelist.txt', 'a\n\nc', ValueError, r'list\.txt:2: no name'),
    ('ConceptsList/Concepts81.txt', 'airport\ndodo', FileNotFoundError, r'Labels_dodo_Train\.txt'),
    ('ConceptsList/Concepts81.txt', 'animal\nanimal', ValueError, 'names are repeated'),
])
def test_a_broken_file_is_told(root, file, text, error, message):
    (root / file).write_text(text)
    with pytest.raises(error, match=message):
        build(root)


def test_wrong_arguments(root):
    with pytest.raises(ValueError, match=r'label_files should have \{\}'):
        build(root, label_files='Labels.txt')
    with pytest.raises(ValueError, match=r"Concepts81\.txt: no such concept: \['dodo'\]"):
        build(root, metainfo=dict(classes=('dodo', )))
