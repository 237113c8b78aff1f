"""YOLO's label texts: boxes and polygons as they stand there, refusals by line and field."""

import pytest

from tresnet_mm.datasets.annotations import YOLOObject, read_yolo_text


def write(folder, text):
    path = folder / '1.txt'
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize('line, found', [
    ('2 0.5 0.25 0.125 1', YOLOObject(2, 0.5, 0.25, 0.125, 1., False)),
    ('0\t.5  .5 .5 .5 ', YOLOObject(0, 0.5, 0.5, 0.5, 0.5, False)),
    ('1.0 -0.5 2 0 0', YOLOObject(1, -0.5, 2., 0., 0., False)),
    ('0 1e6 -1e6 1000000 1', YOLOObject(0, 1e6, -1e6, 1e6, 1., False)),
    # left 0.25, right 0.75; top 0.125, bottom 0.625
    ('1 0.75 0.125 0.25 0.5 0.5 0.625', YOLOObject(1, 0.5, 0.375, 0.5, 0.5, True)),
    ('1 0.5 1 0.125 0.75 0.25 0.5 0.375 1', YOLOObject(1, 0.3125, 0.75, 0.375, 0.5, True)),
])
def test_an_object(tmp_path, line, found):
    objects = read_yolo_text(write(tmp_path, line), 3)
    assert objects == [found]
    assert type(objects[0].label) is int


def test_many_objects(tmp_path):
    path = write(tmp_path, '\n0 .5 .5 .5 .5\r\n  \n1 .25 .25 .25 .25')
    assert read_yolo_text(path, 2) == [
        YOLOObject(0, 0.5, 0.5, 0.5, 0.5), YOLOObject(1, 0.25, 0.25, 0.25, 0.25)]
    assert read_yolo_text(write(tmp_path, ''), 2) == []


def test_an_object_is_a_box_unless_said_otherwise():
    assert YOLOObject(0, 0.5, 0.5, 0.5, 0.5).outline is False


CLASS = 'should be a whole number from 0 to 2, the place in the list of names'
COUNT = ('numbers after the class, there should be four (cx cy w h) or the points of a polygon '
         '(x y, three or more)')


@pytest.mark.parametrize('line, message', [
    ('3 .5 .5 .5 .5', f"class '3' {CLASS}"),
    ('-1 .5 .5 .5 .5', f"class '-1' {CLASS}"),
    ('1.5 .5 .5 .5 .5', f"class '1.5' {CLASS}"),
    ('dog .5 .5 .5 .5', "'dog' should be a number"),
    ('0 .5 .5 .5 nan', "'nan' should be a number"),
    ('0 .5 .5 .5 inf', "'inf' should be a number"),
    ('0 .5 .5 .5 1000000.5', "'1000000.5' should be a number"),
    ('0 .5 .5 .5 -1000000.5', "'-1000000.5' should be a number"),
    ('0 .5 .5 .5 .5,', "'.5,' should be a number"),
    (f'0 {"x" * 70}', f"'{'x' * 60}' should be a number"),
    ('0', f'0 {COUNT}'),
    ('0 1 2 3', f'3 {COUNT}'),
    ('0 1 2 3 4 5', f'5 {COUNT}'),
    ('0 1 2 3 4 5 6 7', f'7 {COUNT}'),
])
def test_a_line_that_is_refused(tmp_path, line, message):
    path = write(tmp_path, f'0 .5 .5 .5 .5\n\n{line}\n')
    with pytest.raises(ValueError) as error:
        read_yolo_text(path, 3)
    assert str(error.value) == f'{path}:3: {message}'


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"1\.txt' does not exist"):
        read_yolo_text(str(tmp_path / '1.txt'), 3)
