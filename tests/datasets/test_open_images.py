"""Open Images' labels from files in their original form."""

import numpy as np
import pytest
import torch

from tresnet_mm.datasets import OpenImages
from tresnet_mm.datasets.annotations import read_class_descriptions
from tresnet_mm.datasets.pack_multilabel_inputs import label_vector

DESCRIPTIONS = ('LabelName,DisplayName\n/m/01,Cat\n/m/02,"Bread, white"\n/m/03,Tree\n'
                '/m/04,Jaguar\n/m/05,Jaguar\n')
HEADER = 'ImageID,Source,LabelName,Confidence\n'
LABELS = HEADER + (
    'aa,verification,/m/01,1\naa,verification,/m/02,0\naa,crowdsource-verification,/m/03,1\n'
    'bb,verification,/m/05,0\ncc,verification,/m/04,1\naa,verification,/m/04,0\n')


@pytest.fixture
def root(tmp_path):
    (tmp_path / 'class-descriptions.csv').write_text(DESCRIPTIONS)
    (tmp_path / 'trainable.txt').write_text('/m/03\n/m/01\n/m/02\n')
    (tmp_path / 'labels.csv').write_text(LABELS)
    return tmp_path


def build(root, **kwargs):
    return OpenImages('labels.csv', data_root=str(root), data_prefix=dict(img='train/'), **kwargs)


def vectors(dataset):
    """Image to its labels as the model gets them: 1 present, 0 absent, -1 unknown."""
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    return {info['img_id']: label_vector(info).tolist() for info in infos}


def test_what_is_not_verified_is_unknown(root):
    dataset = build(root)
    assert dataset.classes == (
        'Cat', 'Bread, white', 'Tree', 'Jaguar (/m/04)', 'Jaguar (/m/05)')
    assert vectors(dataset) == {
        'aa': [1, 0, 1, 0, -1], 'bb': [-1, -1, -1, -1, 0], 'cc': [-1, -1, -1, 1, -1]}
    assert dataset.get_data_info(0)['img_path'] == str(root / 'train/aa.jpg')
    counts = dataset.count_labels()
    assert counts.present.tolist() == [1, 0, 1, 1, 0]
    assert counts.absent.tolist() == [0, 1, 0, 1, 1]
    assert counts.unknown.tolist() == [2, 2, 2, 1, 2]


def test_chosen_classes_and_their_order(root):
    dataset = build(root, class_ids='trainable.txt')
    assert dataset.classes == ('Tree', 'Cat', 'Bread, white')
    assert vectors(dataset) == {'aa': [1, 1, 0]}  # of the others nothing is known
    assert len(build(root, class_ids='trainable.txt', keep_empty=True)) == 1
    dataset = build(root, metainfo=dict(classes=('Bread, white', 'Cat')))
    assert vectors(dataset) == {'aa': [0, 1]}


def test_dropped_labels_are_unknown_too(root):
    dataset = build(root, drop_labels=dict(type='DropLabels', mode='uniform', prob=1.0))
    assert set(sum(vectors(dataset).values(), [])) == {-1}


def test_contradictions_count_as_unknown(root, monkeypatch):
    said = []
    monkeypatch.setattr(
        'tresnet_mm.datasets.open_images.print_log', lambda *args: said.append(args))
    with open(root / 'labels.csv', 'a') as file:
        file.write('aa,crowdsource-verification,/m/01,0\naa,verification,/m/01,1\n'
                   'aa,verification,/m/03,1\n')
    assert vectors(build(root))['aa'] == [-1, 0, 1, 0, -1]
    assert ': 1 labels are verified as present and as absent' in said[0][0] and len(said) == 1


def test_descriptions_without_a_header_and_with_a_byte_order_mark(root):
    path = root / 'old.csv'
    path.write_text('/m/01,Cat\n', encoding='utf-8-sig')
    assert read_class_descriptions(str(path)) == {'/m/01': 'Cat'}
    (root / 'labels.csv').write_text(LABELS.replace('\n', '\r\n'), encoding='utf-8-sig')
    assert len(build(root)) == 3


@pytest.mark.parametrize('row, message', [
    ('aa,machine,/m/01,0.7\n', r"labels\.csv:8: Confidence should be 1 .*got '0\.7'.*machine"),
    ('aa,verification,/m/99,1\n', r"labels\.csv:8: class '/m/99' is not in class-descriptions"),
    ('aa,verification,/m/01\n', r'labels\.csv:8: 3 cells, the header has 4'),
    ('../aa,verification,/m/01,1\n', r"labels\.csv: image '\.\./aa': file name .*leaves"),
])
def test_broken_rows_are_named(root, row, message):
    with open(root / 'labels.csv', 'a') as file:
        file.write(row)
    with pytest.raises(ValueError, match=message):
        build(root)


@pytest.mark.parametrize('file, content, message', [
    ('labels.csv', b'ImageID,LabelName\n', r'labels\.csv:1: the header must have ImageID'),
    ('labels.csv', HEADER.encode() + b'aa,x,/m/01,1\n\xff', r'labels\.csv: not UTF-8 text'),
    ('labels.csv', HEADER.encode() + b'a\0a,x,/m/01,1\n', r'labels\.csv.*NUL'),
    ('class-descriptions.csv', b'Cat\n', r'class-descriptions\.csv:1: an identifier such as'),
    ('class-descriptions.csv', b'/m/01,Cat\n/m/01,Dog\n', r'\.csv:2: /m/01 is listed twice'),
    ('trainable.txt', b'/m/01\n/m/77\n', r"trainable\.txt:2: '/m/77' is not in the class desc"),
    ('trainable.txt', b'/m/01\n\n/m/01\n', r'trainable\.txt:3: /m/01 is listed twice, first in li'),
])
def test_broken_files_are_named(root, file, content, message):
    (root / file).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        build(root, class_ids='trainable.txt')


def test_classes_that_are_not_there(root):
    with pytest.raises(ValueError, match=r"the classes \['Ox'\] of metainfo are not among the 5"):
        build(root, metainfo=dict(classes=('Cat', 'Ox')))
    (root / 'labels.csv').unlink()
    with pytest.raises(FileNotFoundError, match=r'labels\.csv'):
        build(root)


def test_thousands_of_classes(tmp_path):
    """A record is small, and the vector that is made of it is right."""
    rng = np.random.default_rng(0)
    (tmp_path / 'class-descriptions.csv').write_text(
        ''.join(f'/m/{i},class {i}\n' for i in range(9600)))
    known = {f'{image:05x}': dict.fromkeys(rng.choice(9600, 12, False).tolist(), 1)
             for image in range(50)}
    rows = []
    for image, classes in known.items():
        for place in classes:
            classes[place] = int(rng.integers(2))
            rows.append(f'{image},v,/m/{place},{classes[place]}\n')
    rng.shuffle(rows)
    (tmp_path / 'labels.csv').write_text(HEADER + ''.join(rows))
    dataset = build(tmp_path)
    assert len(dataset) == 50 and dataset.data_bytes.nbytes < 50 * 500
    for i in range(50):
        info = dataset.get_data_info(i)
        expected = torch.full((9600, ), -1.0)
        for place, value in known[info['img_id']].items():
            expected[place] = value
        assert label_vector(info).float().equal(expected)
