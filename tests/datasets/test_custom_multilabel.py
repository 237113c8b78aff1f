"""Own labels from CSV and JSON lines."""

import pytest

from tresnet_mm.datasets import CustomMultiLabel

JSONL = '{"img_path": "a.jpg", "labels": ["dog", "cat"], "unknown": ["bird"]}\n\n' \
        '{"img_path": "b.jpg", "labels": []}\n'
NAMES = 'img_path,labels\na.jpg,dog; cat\n"b, 2.jpg",\n'
COLUMNS = 'img_path,dog,cat,bird\na.jpg,1,1,-1\nb.jpg,0,0,0\n'


def build(folder, name, text, **kwargs):
    (folder / name).write_text(text)
    return CustomMultiLabel(name, data_root=str(folder), data_prefix=dict(img='img'), **kwargs)


def labels_of(dataset):
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    name = dataset.classes.__getitem__
    return [
        ({*map(name, info['gt_labels'])}, {*map(name, info['unknown_labels'])}) for info in infos]


@pytest.mark.parametrize('name, text, classes, unknown', [
    ('a.jsonl', JSONL, ('bird', 'cat', 'dog'), {'bird'}),
    ('a.csv', NAMES, ('cat', 'dog'), set()),
    ('a.csv', COLUMNS, ('dog', 'cat', 'bird'), {'bird'}),
])
def test_forms(tmp_path, name, text, classes, unknown):
    dataset = build(tmp_path, name, text)
    assert dataset.classes == classes
    assert labels_of(dataset) == [({'dog', 'cat'}, unknown), (set(), set())]
    assert dataset.get_data_info(0)['img_path'] == str(tmp_path / 'img' / 'a.jpg')


def test_given_classes_and_empty_images(tmp_path):
    dataset = build(
        tmp_path, 'a.csv', NAMES, metainfo=dict(classes=['cow', 'dog', 'cat']), keep_empty=False)
    assert dataset.classes == ('cow', 'dog', 'cat')
    assert len(dataset) == 1
    assert dataset.get_data_info(0)['gt_labels'] == [1, 2]


@pytest.mark.parametrize('name, text, message', [
    ('a.txt', NAMES, r'a\.txt: the name must end in'),
    ('a.csv', 'file,labels\n', r'a\.csv:1: the header'),
    ('a.csv', '', r'a\.csv:1: the header'),
    ('a.csv', 'img_path,dog\na.jpg,yes\n', r"a\.csv:2: dog must be 1, 0 or -1, got 'yes'"),
    ('a.csv', 'img_path,dog\na.jpg\n', r'a\.csv:2: 1 cells, the header has 2'),
    ('a.csv', 'img_path,dog,dog\na.jpg,1,0\n', r"repeated: \['dog'\]"),
    ('a.csv', 'img_path,labels\na.jpg,dog\na.jpg,cat\n', r"a\.csv:3: image 'a.jpg' is listed"),
    ('a.jsonl', '{"img_path": "a.jpg"}', r'a\.jsonl:1: "labels" must be a list'),
    ('a.jsonl', '{"labels": ["dog"]}', r'a\.jsonl:1: no "img_path"'),
    ('a.jsonl', '{"img_path"', r'a\.jsonl:1: not JSON'),
    ('a.jsonl', '', 'class list is empty'),
])
def test_bad_file_is_named(tmp_path, name, text, message):
    with pytest.raises(ValueError, match=message):
        build(tmp_path, name, text)


def test_unheard_name(tmp_path):
    with pytest.raises(ValueError, match=r"a\.csv:2: \['cat'\] not among the classes \['dog'\]"):
        build(tmp_path, 'a.csv', NAMES, metainfo=dict(classes=['dog']))
    with pytest.raises(ValueError, match='label_separator'):
        build(tmp_path, 'a.csv', NAMES, label_separator=',')
