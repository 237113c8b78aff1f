"""Open Images' image-level labels, in the form of its files."""

import pickle
import tracemalloc

import numpy as np
import pytest
from mmengine.registry import DATASETS

from tresnet_mm.datasets import DropLabels, OpenImages, PackMultiLabelInputs
from tresnet_mm.datasets.pack_multilabel_inputs import label_vector

DESCRIPTIONS = '/m/011k07,Tortoise\n/m/0120dh,"Crane, bird"\n/m/012074,Mouse\n/m/0242l,Mouse\n'
TRAINABLE = '/m/012074\n/m/011k07\n/m/0120dh\n'
TABLE = """ImageID,Source,LabelName,Confidence
000026e7ee790996,verification,/m/011k07,1
000026e7ee790996,crowdsource-verification,/m/012074,0
000062a39995e348,verification,/m/0242l,1
000062a39995e348,verification,/m/0120dh,0
0000c64e1253d68f,verification,/m/0242l,1
000026e7ee790996,verification,/m/0120dh,1.0
000026e7ee790996,verification,/m/011k07,1
"""


@pytest.fixture
def build(tmp_path):
    def build(table=TABLE, descriptions=DESCRIPTIONS, trainable=TRAINABLE, **kwargs):
        for name, text in {'train.csv': table, 'class-descriptions.csv': descriptions,
                           'classes-trainable.txt': trainable}.items():
            (tmp_path / name).write_text(text)
        return OpenImages(**dict(dict(
            ann_file='train.csv', class_file='class-descriptions.csv',
            class_list='classes-trainable.txt', data_root=str(tmp_path),
            data_prefix=dict(img='train')), **kwargs))
    return build


def vectors(dataset):
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    return {info['img_id']: label_vector(info).tolist() for info in infos}


def test_verified_labels_of_the_trainable_classes(build, tmp_path):
    dataset = build()
    assert dataset.classes == ('Mouse (/m/012074)', 'Tortoise', 'Crane, bird')
    assert vectors(dataset) == {
        '000026e7ee790996': [0, 1, 1], '000062a39995e348': [-1, -1, 0]}
    info = dataset.get_data_info(0)
    assert info['img_path'] == str(tmp_path / 'train/000026e7ee790996.jpg')
    assert (info['gt_labels'], info['absent_labels']) == ([1, 2], [0])
    assert dataset.get_cat_ids(1) == []
    assert vectors(build(keep_empty=True))['0000c64e1253d68f'] == [-1, -1, -1]
    counts = dataset.count_labels()
    assert [part.tolist() for part in counts] == [[0, 1, 1], [1, 0, 1], [1, 1, 0]]


def test_all_classes_and_some(build):
    assert vectors(build(class_list=None)) == {
        '000026e7ee790996': [1, 1, 0, -1], '000062a39995e348': [-1, 0, -1, 1],
        '0000c64e1253d68f': [-1, -1, -1, 1]}
    some = build(metainfo=dict(classes=('Crane, bird', 'Tortoise')))
    assert vectors(some) == {'000026e7ee790996': [1, 1], '000062a39995e348': [0, -1]}
    with pytest.raises(ValueError, match=r"among the 3: \['Dodo'\]"):
        build(metainfo=dict(classes=('Dodo', )))


def test_headers_of_newer_versions(build):
    header = 'LabelName,DisplayName\n'
    assert vectors(build(descriptions=header + DESCRIPTIONS, trainable='LabelName\n' + TRAINABLE)
                   ) == vectors(build())


def test_as_a_config_pickled_and_in_part(build):
    dataset = build()
    assert vectors(pickle.loads(pickle.dumps(dataset))) == vectors(dataset)
    assert list(vectors(build(indices=[1]))) == ['000062a39995e348']
    assert list(vectors(build(indices=-1))) == ['000062a39995e348']
    assert list(vectors(dataset.get_subset(1))) == ['000026e7ee790996']
    assert DATASETS.get('OpenImages') is OpenImages


def test_labels_of_a_machine(build):
    machine = ('ImageID,Source,LabelName,Confidence\na,machine,/m/012074,0.9\n'
               'a,machine,/m/011k07,0.5\na,machine,/m/0120dh,0.0\n')
    with pytest.raises(ValueError, match=r"train\.csv:2: Confidence '0.9' is that of a machine"):
        build(machine)
    assert vectors(build(machine, min_confidence=0.9)) == {'a': [1, -1, 0]}
    with pytest.raises(ValueError, match='min_confidence must be in'):
        build(machine, min_confidence=0)


def test_rows_that_contradict_each_other(build):
    table = TABLE + '000026e7ee790996,verification,/m/011k07,0\n'
    with pytest.raises(ValueError, match=r'train\.csv:9: contradicts line 2, .*\(1 in this file\)'):
        build(table)
    assert vectors(build(table, conflict='unknown'))['000026e7ee790996'] == [0, -1, 1]
    with pytest.raises(ValueError, match="'error' or 'unknown', got 'any'"):
        build(table, conflict='any')


@pytest.mark.parametrize('table, message', [
    ('', r'train\.csv:1: the header lacks ImageID, LabelName, Confidence'),
    ('ImageID,Source,LabelName\n', r'train\.csv:1: the header lacks Confidence'),
    (TABLE + 'a,verification,/m/dodo,1\n', r"train\.csv:9: class '/m/dodo' has no description"),
    (TABLE + 'a,verification,/m/011k07\n', r'train\.csv:9: 3 cells, the header has 4'),
    (TABLE + 'a,verification,/m/011k07,yes\n', r"train\.csv:9: Confidence 'yes' should be a numb"),
    (TABLE + 'a,verification,/m/011k07,nan\n', r"train\.csv:9: Confidence 'nan' should be a numb"),
    (TABLE + 'a,verification,/m/011k07,2\n', r"train\.csv:9: Confidence '2' should be a number"),
    (TABLE + '../a,verification,/m/011k07,1\n', r"train\.csv:9: '../a' is no ImageID"),
    (TABLE + ',verification,/m/011k07,1\n', r"train\.csv:9: '' is no ImageID"),
    ('ImageID,Source,LabelName,Confidence\na,v,/m/0242l,1\n', r'no image with a label of the 3'),
])
def test_a_broken_table_is_told_by_file_and_line(build, table, message):
    with pytest.raises(ValueError, match=message):
        build(table)


@pytest.mark.parametrize('texts, message', [
    (dict(descriptions='/m/1\n'), r'descriptions\.csv:1: expected an identifier and a name'),
    (dict(descriptions=DESCRIPTIONS + '/m/011k07,Dog\n'), r"csv:5: class '/m/011k07' is listed tw"),
    (dict(descriptions=''), r'descriptions\.csv: lists no class'),
    (dict(trainable='/m/dodo\n'), r"trainable\.txt:1: class '/m/dodo' has no description"),
    (dict(trainable=TRAINABLE + '/m/012074\n'), r"trainable\.txt:4: class '/m/012074' is listed"),
])
def test_broken_lists_of_classes(build, texts, message):
    with pytest.raises(ValueError, match=message):
        build(**texts)
    with pytest.raises(FileNotFoundError, match=r"none\.csv' does not exist"):
        build(class_file='none.csv')


def test_other_encodings(build, tmp_path):
    build()
    (tmp_path / 'train.csv').write_bytes(TABLE.replace('crowd', 'cr\xf6wd').encode('latin-1'))
    with pytest.raises(ValueError, match=r'train\.csv: not UTF-8 text'):
        OpenImages('train.csv', 'class-descriptions.csv', data_root=str(tmp_path))
    (tmp_path / 'train.csv').write_bytes(TABLE.replace('\n', '\r\n').encode('utf-8-sig'))
    dataset = OpenImages('train.csv', 'class-descriptions.csv', data_root=str(tmp_path))
    assert vectors(dataset)['000026e7ee790996'] == [1, 1, 0, -1]


def test_images_that_are_not_there(build, tmp_path):
    with pytest.raises(FileNotFoundError, match='none of the 2 images of .*train.csv is in'):
        build(skip_missing=True)
    (tmp_path / 'train').mkdir()
    (tmp_path / 'train/000062a39995e348.jpg').touch()
    assert list(vectors(build(skip_missing=True))) == ['000062a39995e348']


def test_hidden_labels(build):
    """Of an image with few known labels, present ones are hidden as unknown or as absent."""
    drop = dict(type='DropLabels', mode='positives', prob=1.0)
    assert vectors(build(drop_labels=drop))['000026e7ee790996'] == [0, -1, -1]
    assert vectors(build(drop_labels=dict(drop, unknown_as=0))) == {
        '000026e7ee790996': [0, 0, 0], '000062a39995e348': [-1, -1, 0]}
    assert 'absent_labels' not in DropLabels(mode='positives', prob=1.0)(
        build().get_data_info(0))


def test_packing(build):
    image = np.zeros((4, 4, 3), np.uint8)
    packed = PackMultiLabelInputs()(dict(build().get_data_info(1), img=image))
    assert packed['data_samples'].gt_labels.tolist() == [-1, -1, 0]


def test_memory_grows_with_the_rows_and_not_with_the_classes(build, tmp_path):
    """As dense vectors these labels would take 2,000 * 5,000 bytes, as lists of unknown 8 times."""
    classes = [f'/m/{i:05d}' for i in range(5000)]
    rows = ''.join(f'{i:016x},verification,{classes[(i * 7 + j) % 5000]},{j % 2}\n'
                   for i in range(2000) for j in range(5))
    tracemalloc.start()
    try:
        dataset = build('ImageID,Source,LabelName,Confidence\n' + rows, class_list=None,
                        descriptions=''.join(f'{mid},{mid}\n' for mid in classes))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6e6
    assert len(dataset) == 2000
    assert dataset.get_data_info(3)['gt_labels'] == [22, 24]
