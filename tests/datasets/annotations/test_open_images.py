"""Open Images' tables, row by row: exact labels, and refusals by file, line and field."""

import numpy as np
import pytest

from tests.datasets.annotations.folder_backend import below
from tresnet_mm.datasets.annotations import (
    read_class_descriptions,
    read_class_list,
    read_image_labels,
)

HEADER = 'ImageID,Source,LabelName,Confidence\n'
INDEX = {'/m/cow': 0, '/m/dog': 1, '/m/cat': 2, '/m/elk': None}
TOO_LONG = 'field larger than field limit (131072)'


def write(folder, text):
    path = folder / 'a.csv'
    path.write_bytes(text.encode())
    return str(path)


def refusal(read, *args):
    with pytest.raises(ValueError) as error:
        read(*args)
    return str(error.value)


@pytest.mark.parametrize('text, names', [
    ('/m/1,Tortoise\n/m/0,"Crane, bird"\n', {'/m/1': 'Tortoise', '/m/0': 'Crane, bird'}),
    ('\ufeffLabelName,DisplayName\r\n\r\n/m/1, Mouse \r\n,\r\n', {'/m/1': 'Mouse'}),
    ('/m/1,Mouse\n/m/2,Bat\n/m/3,Mouse\n',
     {'/m/1': 'Mouse (/m/1)', '/m/2': 'Bat', '/m/3': 'Mouse (/m/3)'}),
])
def test_descriptions(tmp_path, text, names):
    path = write(tmp_path, text)
    assert list(read_class_descriptions(path).items()) == list(names.items())
    assert read_class_descriptions('a.csv', below(tmp_path)) == names


FORM = 'expected an identifier and a name such as "/m/011k07,Tortoise", got '


@pytest.mark.parametrize('text, message', [
    ('/m/1\n', f":1: {FORM}'/m/1'"),
    ('/m/1,Mouse\n\n/m/2,Crane, bird\n', f":3: {FORM}'/m/2,Crane, bird'"),
    ('/m/1, \n', f":1: {FORM}'/m/1, '"),
    (' ,Mouse\n', f":1: {FORM}' ,Mouse'"),
    (f'/m/1,,{"x" * 200}', f":1: {FORM}'/m/1,,{'x' * 94}'"),
    ('/m/1,Mouse\n/m/1,Bat\n', ":2: class '/m/1' is listed twice"),
    ('', ': lists no class'),
    ('LabelName,DisplayName\n\n', ': lists no class'),
    (f'/m/1,Mouse\n/m/2,{"x" * 131073}', f':2: not CSV: {TOO_LONG}'),
    ('/m/1,"Mouse\n/m/2,Bat\n', ':2: not CSV: unexpected end of data'),
])
def test_descriptions_that_are_refused(tmp_path, text, message):
    path = write(tmp_path, text)
    assert refusal(read_class_descriptions, path) == f'{path}{message}'


@pytest.mark.parametrize('text', ['/m/cat\n/m/cow\n', '\ufeffLabelName\r\n\r\n/m/cat \r\n/m/cow',
                                  ' LabelName ,more\n/m/cat,1\n/m/cow,2\n'])
def test_class_list(tmp_path, text):
    path = write(tmp_path, text)
    assert read_class_list(path, INDEX) == ['/m/cat', '/m/cow']
    assert read_class_list('a.csv', INDEX, below(tmp_path)) == ['/m/cat', '/m/cow']


@pytest.mark.parametrize('text, message', [
    ('/m/cat\n\n/m/dodo\n', ":3: class '/m/dodo' has no description"),
    (f'/m/{"x" * 70}', f":1: class '/m/{'x' * 57}' has no description"),
    ('/m/cat\n/m/cow\n/m/cat\n', ":3: class '/m/cat' is listed twice"),
    ('\nLabelName\n', ': lists no class'),
])
def test_class_lists_that_are_refused(tmp_path, text, message):
    path = write(tmp_path, text)
    assert refusal(read_class_list, path, INDEX) == f'{path}{message}'


def parts(labels):
    """Each image's name with its labels and whether they are present."""
    assert labels.images.dtype.kind == 'S'
    assert labels.starts.dtype == np.int64
    assert labels.labels.dtype == np.int32
    assert labels.present.dtype == bool
    ends = labels.starts.tolist()
    assert ends[0] == 0
    assert ends[-1] == len(labels.labels) == len(labels.present)
    pairs = list(zip(labels.labels.tolist(), labels.present.tolist(), strict=True))
    return {name.decode(): pairs[start:end] for name, start, end in zip(
        labels.images.tolist(), ends[:-1], ends[1:], strict=True)}


def read(folder, rows, *args, header=HEADER):
    return read_image_labels(write(folder, header + rows), INDEX, *args)


TABLE = ('b,v,/m/cat,1\na,v,/m/dog,0\nb,v,/m/cow,0\nc,v,/m/elk,1\na,v,/m/cow,1\n'
         'b,v,/m/cat,1.0\n\nd_-Z9,v,/m/dog,0.0\n')
LABELS = {'b': [(0, False), (2, True)], 'a': [(0, True), (1, False)], 'c': [],
          'd_-Z9': [(1, False)]}


def test_labels(tmp_path):
    """Images in the order of the file, labels in that of the classes, each once."""
    labels = read(tmp_path, TABLE)
    assert parts(labels) == LABELS
    assert list(parts(labels)) == list(LABELS)
    assert labels.conflicts == 0
    assert parts(read_image_labels('a.csv', INDEX, backend_args=below(tmp_path))) == LABELS


def test_columns_stand_anywhere(tmp_path):
    rows = ''.join(f'{mid},,{image},{confidence}\r\n' for image, _, mid, confidence in (
        row.split(',') for row in TABLE.split('\n') if row))
    header = '\ufeff LabelName,more, ImageID ,Confidence\r\n'
    assert parts(read(tmp_path, rows, header=header)) == LABELS


def test_no_labels(tmp_path):
    assert parts(read(tmp_path, '')) == {}
    assert parts(read(tmp_path, 'a,v,/m/elk,1\nb,v,/m/elk,0\n')) == {'a': [], 'b': []}


def test_images_that_are_chosen(tmp_path):
    labels = read(tmp_path, TABLE + 'b,v,/m/dog,1\nb,v,/m/dog,0\n', None, 'unknown')
    assert parts(labels.keep(np.array([True, True, True, True]))) == LABELS
    some = labels.keep(np.array([False, True, True, False]))
    assert parts(some) == {'a': LABELS['a'], 'c': []}
    assert some.conflicts == 1
    assert parts(labels.keep(np.zeros(4, bool))) == {}


@pytest.mark.parametrize('least, pairs', [
    (0.8, [(0, True), (2, False)]), (0.79, [(0, True), (1, True), (2, False)]),
    (1., [(2, False)])])
def test_confidences_of_a_machine(tmp_path, least, pairs):
    rows = 'a,m,/m/cow,0.8\na,m,/m/dog,0.79\na,m,/m/cat,0\n'
    assert parts(read(tmp_path, rows, least)) == {'a': pairs}


CONTRADICTS = ('one says that the class is present in the image, the other that it is absent; '
               "conflict='unknown' leaves such labels out")


@pytest.mark.parametrize('rows, later, earlier, count', [
    ('a,v,/m/cow,1\na,v,/m/cow,0\n', 3, 2, 1),
    ('a,v,/m/cow,0\nb,v,/m/cow,1\na,v,/m/dog,1\na,v,/m/cow,1\n', 5, 2, 1),
    ('b,v,/m/cat,0\na,v,/m/dog,1\na,v,/m/dog,1\nb,v,/m/cat,1\na,v,/m/dog,0\n', 5, 2, 2),
    # however often they stand there: the first row that says so is named
    ('b,v,/m/cow,1\n' + 'a,v,/m/cow,1\n' * 40 + 'a,v,/m/cow,0\na,v,/m/cow,1\n' * 40, 43, 3, 1),
])
def test_rows_that_contradict_each_other(tmp_path, rows, later, earlier, count):
    path = write(tmp_path, HEADER + rows)
    assert refusal(read_image_labels, path, INDEX) == (
        f'{path}:{later}: contradicts line {earlier}, {CONTRADICTS} ({count} in this file)')


def test_rows_that_contradict_each_other_are_left_out(tmp_path):
    rows = ('b,v,/m/cat,0\na,v,/m/cow,1\na,v,/m/dog,1\na,v,/m/dog,0\nb,v,/m/cat,1\n'
            'b,v,/m/dog,1\na,v,/m/dog,1\n')
    labels = read(tmp_path, rows, None, 'unknown')
    assert parts(labels) == {'b': [(1, True)], 'a': [(0, True)]}
    assert labels.conflicts == 2


def test_image_names(tmp_path):
    longest = 'x' * 64
    assert list(parts(read(tmp_path, f'{longest},v,/m/cow,1\n'))) == [longest]
    for name, shown in {longest + 'x': longest + 'x', 'x' * 90: 'x' * 80, '': '', '../a': '../a',
                        'a.jpg': 'a.jpg', 'a\u0663': 'a\u0663'}.items():
        path = write(tmp_path, f'{HEADER}a,v,/m/cow,1\n{name},v,/m/cow,1\n')
        assert refusal(read_image_labels, path, INDEX) == f'{path}:3: {shown!r} is no ImageID'


MACHINE = ('is that of a machine, people give 0 or 1: min_confidence=0.8 would take a label from '
           '0.8 on for present')


@pytest.mark.parametrize('least, text, message', [
    *((least, text, 'should be a number from 0 to 1')
      for least in (None, 0.5) for text in ('', 'yes', 'nan', '2', '1.001', '-0.001')),
    (None, '0.5', MACHINE), (None, '0.999', MACHINE)])
def test_confidences_that_are_refused(tmp_path, least, text, message):
    path = write(tmp_path, f'{HEADER}a,v,/m/cow,1\n\na,v,/m/dog,{text}\n')
    assert refusal(read_image_labels, path, INDEX, least) == (
        f'{path}:4: Confidence {text!r} {message}')


@pytest.mark.parametrize('text, message', [
    ('', "1: the header lacks ImageID, LabelName, Confidence, it is ''"),
    ('ImageID,Source,LabelName\n', '1: the header lacks Confidence, it is '
     "'ImageID,Source,LabelName'"),
    (f'ImageID,Confidence,{"x" * 100}', '1: the header lacks LabelName, it is '
     f"'ImageID,Confidence,{'x' * 81}'"),
    (HEADER + 'a,v,/m/cow\n', '2: 3 cells, the header has 4'),
    (HEADER + '\na,v,/m/cow,1,\n', '3: 5 cells, the header has 4'),
    (HEADER + 'a,v,/m/dodo,1\n', "2: class '/m/dodo' has no description"),
    (HEADER + f'a,v,{"x" * 70},1\n', f"2: class '{'x' * 60}' has no description"),
    (HEADER + f'a,v,/m/cow,{"9" * 40}\n',
     f"2: Confidence '{'9' * 30}' should be a number from 0 to 1"),
    (HEADER + f'a,{"x" * 131073},/m/cow,1\n', f'2: not CSV: {TOO_LONG}'),
    # the quote would take the rest of the table for the last cell of its row
    ('ImageID,LabelName,Confidence,Source\na,/m/cow,1,"v\nb,/m/cow,1,v\n',
     '3: not CSV: unexpected end of data'),
])
def test_a_table_that_is_refused(tmp_path, text, message):
    path = write(tmp_path, text)
    assert refusal(read_image_labels, path, INDEX) == f'{path}:{message}'


def test_no_text_and_no_file(tmp_path):
    path = tmp_path / 'a.csv'
    path.write_bytes(HEADER.encode() + b'a,k\xf6ter,/m/cow,1\n')
    assert refusal(read_image_labels, str(path), INDEX) == (
        f'{path}: not UTF-8 text (invalid start byte): save it as UTF-8')
    for reader, args in ((read_class_descriptions, ()), (read_class_list, (INDEX, )),
                         (read_image_labels, (INDEX, ))):
        with pytest.raises(FileNotFoundError, match=r"b\.csv' does not exist"):
            reader(str(tmp_path / 'b.csv'), *args)
