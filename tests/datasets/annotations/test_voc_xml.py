"""PASCAL VOC's lists and XML files: what they mean, and refusals by file, object and field."""

import pytest

from tests.datasets.annotations.folder_backend import below
from tresnet_mm.datasets.annotations import (
    ImageFolder,
    VOCFile,
    VOCObject,
    read_voc_file,
    read_voc_list,
    read_voc_objects,
)

BOX = '<bndbox><ymin>2</ymin><xmin>1.5</xmin><xmax> 8 </xmax><ymax>16</ymax></bndbox>'
CORNERS = (1.5, 2., 8., 16.)


def write(folder, text, encoding='utf-8'):
    path = folder / 'a.xml'
    path.write_bytes(text.encode(encoding))
    return str(path)


def annotation(*parts):
    return f'<annotation>{"".join(parts)}</annotation>'


def an_object(name='dog', more='', box=BOX):
    return f'<object><name>{name}</name>{more}{box}</object>'


def refusal(read, path):
    with pytest.raises(ValueError) as error:
        read(path)
    return str(error.value)


@pytest.fixture
def folder(tmp_path):
    """Lists are beside the folder ``xml``, which has one file for each name."""
    (tmp_path / 'xml/sub').mkdir(parents=True)

    def make(text, *names):
        (tmp_path / 'list.txt').write_bytes(text.encode())
        for name in names:
            (tmp_path / f'xml/{name}.xml').touch()
        return str(tmp_path / 'list.txt'), ImageFolder(str(tmp_path / 'xml'))
    return make


@pytest.mark.parametrize('text, names', [
    ('000001\n000002', ['000001', '000002']),
    ('\ufeff000001\r\n\r\n  000002 \n', ['000001', '000002']),
    ('000001 1\n000002  -1\n000003\t0\n', ['000001', '000002', '000003']),
    ('000001.jpg\n000002.jpg  1\n', ['000001', '000002']),
    ('a dog\na dog -1\n', ['a dog', 'a dog']),
    ('sub/000001', ['sub/000001']),
    ('', []),
])
def test_lists(folder, tmp_path, text, names):
    path, xml_folder = folder(text, *names)
    lines = [number for number, line in enumerate(text.split('\n'), start=1) if line.strip()]
    assert list(read_voc_list(path, xml_folder)) == [
        (name, f'{tmp_path}/xml/{name}.xml', f'{path}:{line}')
        for name, line in zip(names, lines, strict=True)]


@pytest.mark.parametrize('line, files, name', [
    ('dog 1', ['dog 1', 'dog'], 'dog 1'),
    ('dog.jpg', ['dog.jpg', 'dog'], 'dog.jpg'),
    ('dog.jpg 1', ['dog.jpg', 'dog'], 'dog.jpg'),
    ('dog.jpg 1', ['dog', 'dog.jpg 1'], 'dog.jpg 1'),
])
def test_the_first_reading_that_has_a_file_is_taken(folder, line, files, name):
    assert [found[0] for found in read_voc_list(*folder(line, *files))] == [name]


def test_another_suffix_of_images(folder):
    path, xml_folder = folder('a.png', 'a')
    assert [found[0] for found in read_voc_list(path, xml_folder, '.png')] == ['a']


@pytest.mark.parametrize('line, suffix, last, tried', [
    ('b', '.jpg', 'b', "'b'"),
    ('b -1', '.jpg', 'b', "'b -1' or 'b'"),
    ('b.jpg 1', '.jpg', 'b', "'b.jpg 1' or 'b.jpg' or 'b'"),
    ('b 2', '.jpg', 'b 2', "'b 2'"),
    ('b.jpg', '.png', 'b.jpg', "'b.jpg'"),
    ('b.jpg', '', 'b.jpg', "'b.jpg'"),
    ('.jpg', '.jpg', '.jpg', "'.jpg'"),
])
def test_an_image_without_a_file(folder, tmp_path, line, suffix, last, tried):
    path, xml_folder = folder(f'a\n\n{line}\n', 'a')
    found = read_voc_list(path, xml_folder, suffix)
    assert next(found)[0] == 'a'
    with pytest.raises(FileNotFoundError) as error:
        next(found)
    assert str(error.value) == (
        f'{tmp_path}/xml/{last}.xml: no such file, but {path}:3 lists {tried}')


def test_lists_that_are_refused(folder):
    path, xml_folder = folder('a\n../b\n', 'a')
    found = read_voc_list(path, xml_folder)
    next(found)
    with pytest.raises(ValueError, match=r"list\.txt:2: file name '\.\./b\.xml' leaves the image"):
        next(found)
    with pytest.raises(FileNotFoundError, match=r"none\.txt' does not exist"):
        next(read_voc_list(path.replace('list', 'none'), xml_folder))


def test_a_list_by_another_backend(folder, tmp_path):
    folder('b.jpg 1', 'b')
    backend_args = below(tmp_path)
    xml_folder = ImageFolder('xml', backend_args=backend_args)
    assert list(read_voc_list('list.txt', xml_folder, backend_args=backend_args)) == [
        ('b', 'xml/b.xml', 'list.txt:1')]


def test_objects_whatever_their_boxes_are(tmp_path):
    path = write(tmp_path, annotation(
        an_object(' dog '), an_object('cat', '<difficult>1</difficult>', ''),
        an_object('hen', '<difficult> 0 </difficult>', '<bndbox>none</bndbox>'),
        an_object('cow', '<part><name>head</name></part>', '')))
    expected = [VOCObject('dog', False), VOCObject('cat', True), VOCObject('hen', False),
                VOCObject('cow', False)]
    assert read_voc_objects(path) == expected
    assert all(found.corners is None for found in expected)
    assert read_voc_objects('a.xml', below(tmp_path)) == expected


def test_a_file(tmp_path):
    path = write(tmp_path, annotation(
        '<filename> a.jpg\n</filename><size><height>6</height><width>5.9</width></size>',
        an_object(), an_object('cat', '<difficult>1</difficult>')))
    expected = VOCFile('a.jpg', (5, 6), [
        VOCObject('dog', False, CORNERS), VOCObject('cat', True, CORNERS)])
    assert read_voc_file(path) == expected
    assert read_voc_file('a.xml', below(tmp_path)) == expected


@pytest.mark.parametrize('width, height, size', [
    (1, 1, (1, 1)), (0, 0, None), (1, 0, None), (0, 1, None), (0.5, 4, None),
    (1000000000, 1, (10**9, 1))])
def test_sizes(tmp_path, width, height, size):
    path = write(tmp_path, annotation(
        f'<size><width>{width}</width><height>{height}</height></size>'))
    assert read_voc_file(path) == VOCFile('', size, [])


def test_an_empty_file(tmp_path):
    assert read_voc_file(write(tmp_path, '<annotation/>')) == VOCFile('', None, [])


@pytest.mark.parametrize('head, encoding', [
    ('', 'utf-8'), ('', 'utf-8-sig'), ('', 'utf-16'),
    ('<?xml version="1.0" encoding="iso-8859-1"?>', 'iso-8859-1'),
    ('<!DOCTYPE annotation>', 'utf-8'),
    ('<!DOCTYPE annotation SYSTEM "http://localhost:1/voc.dtd">', 'utf-8')])  # never fetched
def test_encodings_and_heads(tmp_path, head, encoding):
    path = write(tmp_path, head + annotation(an_object('k\xf6ter')), encoding)
    assert read_voc_objects(path) == [VOCObject('k\xf6ter', False)]


@pytest.mark.parametrize('read', [read_voc_objects, read_voc_file])
@pytest.mark.parametrize('text, message', [
    ('', 'not an XML file: no element found: line 1, column 0'),
    ('<annotation>\n<object>', 'not an XML file: no element found: line 2, column 8'),
    ('<?xml version="1.0" encoding="klingon"?><annotation/>', 'not an XML file: '),
    ('<!DOCTYPE a [<!ENTITY b "c">]><annotation/>',
     'refused: it declares entities or external parts (EntitiesForbidden('),
    ('<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><annotation/>',
     'refused: it declares entities or external parts (EntitiesForbidden('),
    (annotation(an_object(), '<object><name/></object>'), 'object 2 has no name'),
    (annotation('<object/>'), 'object 1 has no name'),
    (annotation(an_object(), an_object('cat', '<difficult>2</difficult>')),
     "object 2 ('cat'): difficult '2' should be 0 or 1"),
    (annotation(an_object(more=f'<difficult>{"x" * 70}</difficult>')),
     f"object 1 ('dog'): difficult '{'x' * 60}' should be 0 or 1"),
])
def test_a_file_that_is_refused(tmp_path, read, text, message):
    path = write(tmp_path, text)
    found = refusal(read, path)
    assert found.startswith(f'{path}: {message}')
    assert message.endswith((': ', '(')) or found == f'{path}: {message}'


def test_another_kind_of_xml(tmp_path):
    path = write(tmp_path, '<html/>')
    assert refusal(read_voc_file, path) == (
        f'{path}: not a VOC file: it holds <html>, not <annotation>')


@pytest.mark.parametrize('number', ['1000000000', '-1e9', '0', ' 3.5 '])
@pytest.mark.parametrize('place', range(4))
def test_corners(tmp_path, number, place):
    keys, numbers = ('xmin', 'ymin', 'xmax', 'ymax'), ['1', '2', '3', '4']
    numbers[place] = number
    box = ''.join(f'<{key}>{text}</{key}>' for key, text in zip(keys, numbers, strict=True))
    path = write(tmp_path, annotation(an_object(box=f'<bndbox>{box}</bndbox>')))
    assert read_voc_file(path).objects[0].corners == tuple(map(float, numbers))


@pytest.mark.parametrize('number, found', [
    ('1000000000.5', "is '1000000000.5'"), ('-1000000000.5', "is '-1000000000.5'"),
    ('nan', "is 'nan'"), ('inf', "is 'inf'"), ('8px', "is '8px'"), (' ', 'is missing'),
    ('x' * 70, f"is '{'x' * 60}'"), (None, 'is missing')])
def test_numbers_that_are_refused(tmp_path, number, found):
    expected = f'{found}, it should be a number of pixels'

    def field(key):
        return '' if number is None else f'<{key}>{number}</{key}>'

    size = f'<size><width>4</width>{field("height")}</size>'
    path = write(tmp_path, annotation(size, an_object()))
    assert refusal(read_voc_file, path) == f'{path}: size/height {expected}'
    box = BOX.replace('<ymin>2</ymin>', field('ymin'))
    path = write(tmp_path, annotation(an_object(), an_object('cat', box=box)))
    assert refusal(read_voc_file, path) == f"{path}: object 2 ('cat'): bndbox/ymin {expected}"
    assert len(read_voc_objects(path)) == 2


def test_no_ordinary_file(tmp_path):
    for read in (read_voc_objects, read_voc_file):
        with pytest.raises(FileNotFoundError, match=r"a\.xml' does not exist"):
            read(str(tmp_path / 'a.xml'))
        assert refusal(read, str(tmp_path)) == f'{str(tmp_path)!r} is a folder, no ordinary file'
