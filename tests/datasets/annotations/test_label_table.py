"""Label tables: three forms, each exactly, and what is refused by file, line and field."""

import pytest

from tests.datasets.annotations.folder_backend import below
from tresnet_mm.datasets.annotations import LabelRow, LabelTable, read_label_table


def write(folder, name, text):
    path = folder / name
    path.write_bytes(text.encode())
    return str(path)


def refusal(path, **kwargs):
    with pytest.raises(ValueError) as error:
        read_label_table(path, **kwargs)
    return str(error.value)


ROW = LabelRow(2, 'a.jpg', ['dog'], [])


@pytest.mark.parametrize('text, columns, rows', [
    ('img_path,labels\na.jpg,dog;cat\nb.jpg,\n', None,
     [LabelRow(2, 'a.jpg', ['dog', 'cat'], []), LabelRow(3, 'b.jpg', [], [])]),
    ('img_path,labels\na.jpg, dog ;; cat;\n', None, [LabelRow(2, 'a.jpg', ['dog', 'cat'], [])]),
    ('img_path,labels\n"a, b.jpg","dog"\n', None, [LabelRow(2, 'a, b.jpg', ['dog'], [])]),
    ('img_path,dog,cat,hen\na.jpg,1,0,-1\nb.jpg, 1 ,1,1\n', ['dog', 'cat', 'hen'],
     [LabelRow(2, 'a.jpg', ['dog'], ['hen']), LabelRow(3, 'b.jpg', ['dog', 'cat', 'hen'], [])]),
    (' img_path , dog \na.jpg,1\n', ['dog'], [ROW]),
    ('img_path,labels,dog\na.jpg,0,1\n', ['labels', 'dog'], [ROW]),  # a class of that name
    ('img_path,labels\n', None, []),
    ('img_path,dog,cat', ['dog', 'cat'], []),
])
def test_csv(tmp_path, text, columns, rows):
    assert read_label_table(write(tmp_path, 'a.csv', text)) == LabelTable(columns, rows)


@pytest.mark.parametrize('end', ['\n', '\r\n', '\r'])
@pytest.mark.parametrize('mark', ['', '\ufeff'])
def test_line_ends_marks_and_empty_lines_of_csv(tmp_path, end, mark):
    text = mark + end.join(['img_path,labels', '', 'a.jpg,dog', '', 'b.jpg,cat', ''])
    assert read_label_table(write(tmp_path, 'a.csv', text)).rows == [
        LabelRow(3, 'a.jpg', ['dog'], []), LabelRow(5, 'b.jpg', ['cat'], [])]


def test_a_cell_over_two_lines_is_named_by_its_last(tmp_path):
    path = write(tmp_path, 'a.csv', 'img_path,dog\n"a\nb.jpg",1\nc.jpg,2\n')
    assert refusal(path) == f"{path}:4: dog must be 1, 0 or -1, got '2'"


def test_another_separator(tmp_path):
    path = write(tmp_path, 'a.csv', 'img_path,labels\na.jpg,dog;1|cat\n')
    assert read_label_table(path, '|').rows == [LabelRow(2, 'a.jpg', ['dog;1', 'cat'], [])]


def test_jsonl(tmp_path):
    text = ('\n{"img_path": "a.jpg", "labels": [" dog ", "c\u2028t"], "unknown": [" hen"]}\r\n'
            '  \n{"labels": [], "img_path": "b.jpg", "more": 1}')
    assert read_label_table(write(tmp_path, 'a.jsonl', text)) == LabelTable(None, [
        LabelRow(2, 'a.jpg', ['dog', 'c\u2028t'], ['hen']), LabelRow(4, 'b.jpg', [], [])])
    assert read_label_table(write(tmp_path, 'b.jsonl', '')) == LabelTable(None, [])


@pytest.mark.parametrize('text, message', [
    ('', '1: the header must be "img_path,labels" or "img_path,CLASS,CLASS,...", got \'\''),
    ('img_path\n', '1: the header must be "img_path,labels" or "img_path,CLASS,CLASS,...", '
     "got 'img_path'"),
    ('file,labels\n', '1: the header must be "img_path,labels" or "img_path,CLASS,CLASS,...", '
     "got 'file,labels'"),
    ('img_path;labels\n', '1: the header must be "img_path,labels" or "img_path,CLASS,CLASS,...", '
     "got 'img_path;labels' (columns are separated by commas)"),
    (f'file,{"x" * 300}\n', '1: the header must be "img_path,labels" or '
     f'"img_path,CLASS,CLASS,...", got \'file,{"x" * 195}\''),
    ('img_path,dog, ,\n', '1: column 3 of the header has no name'),
    ('img_path,dog\n\na.jpg\n', '3: 1 cells, the header has 2'),
    ('img_path,labels\na.jpg,dog,cat\n', '2: 3 cells, the header has 2'),
    ('img_path,dog\na.jpg,yes\n', "2: dog must be 1, 0 or -1, got 'yes'"),
    ('img_path,dog,cat\na.jpg,1,\n', "2: cat must be 1, 0 or -1, got ''"),
    (f'img_path,dog\na.jpg,{"9" * 70}\n', f"2: dog must be 1, 0 or -1, got '{'9' * 60}'"),
    ('img_path,dog\na.jpg,1\nb.jpg,0\na.jpg,1\n',
     "4: image 'a.jpg' is listed twice, first in line 2"),
    (f'img_path,labels\na.jpg,{"x" * 131073}\n',
     '2: not CSV: field larger than field limit (131072)'),
    # the quote would take the rest of the file for the name of a class
    ('img_path,labels\na.jpg,"dog\nb.jpg,cat\n', '3: not CSV: unexpected end of data'),
    ('img_path,labels\na.jpg,"dog";"cat"\n', '2: not CSV: \',\' expected after \'"\''),
])
def test_csv_that_is_refused(tmp_path, text, message):
    path = write(tmp_path, 'a.csv', text)
    assert refusal(path) == f'{path}:{message}'


@pytest.mark.parametrize('line, message', [
    ('{"img_path"', 'not JSON: '),
    ('[' * 100000, 'not JSON: '),
    ('[]', 'no "img_path"'),
    ('{"labels": []}', 'no "img_path"'),
    ('{"img_path": 3, "labels": []}', 'no "img_path"'),
    ('{"img_path": "b.jpg"}', '"labels" must be a list of names, got None'),
    ('{"img_path": "b.jpg", "labels": "dog"}', '"labels" must be a list of names, got \'dog\''),
    ('{"img_path": "b.jpg", "labels": ["dog", 1]}',
     '"labels" must be a list of names, got [\'dog\', 1]'),
    ('{"img_path": "b.jpg", "labels": [], "unknown": null}',
     '"unknown" must be a list of names, got None'),
    ('{"img_path": "b.jpg", "labels": [], "unknown": [null]}',
     '"unknown" must be a list of names, got [None]'),
    ('{"img_path": "a.jpg", "labels": []}', "image 'a.jpg' is listed twice, first in line 1"),
])
def test_lines_of_json_that_are_refused(tmp_path, line, message):
    path = write(tmp_path, 'a.jsonl', '{"img_path": "a.jpg", "labels": []}\n\n' + line)
    found = refusal(path)
    assert found.startswith(f'{path}:3: {message}')
    if not message.endswith(': '):
        assert found == f'{path}:3: {message}'


@pytest.mark.parametrize('name', ['a.txt', 'a.json', 'a.csv.gz'])
def test_another_suffix(tmp_path, name):
    path = write(tmp_path, name, '')
    assert refusal(path) == f'{path}: the name must end in .csv or .jsonl'


def test_another_encoding_and_no_file(tmp_path):
    path = tmp_path / 'a.csv'
    path.write_bytes(b'img_path,labels\na.jpg,k\xf6ter\n')
    assert refusal(path) == f'{path}: not UTF-8 text (byte 0xf6 in line 2): save it as UTF-8'
    with pytest.raises(FileNotFoundError, match=r"b\.csv' does not exist"):
        read_label_table(tmp_path / 'b.csv')


def test_another_backend(tmp_path):
    write(tmp_path, 'a.csv', 'img_path,labels\na.jpg,dog\n')
    assert read_label_table('a.csv', backend_args=below(tmp_path)).rows == [ROW]
