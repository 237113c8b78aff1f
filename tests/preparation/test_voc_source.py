"""VOC's XML files read as a source, small ones and the real ones that are there."""
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from tresnet_mm.datasets import VOCMultiLabel
from tresnet_mm.preparation import Box, read_source, write_dataset

DATA = Path(__file__).parents[3] / 'shared' / 'data'


def entry(name: str, corners: tuple, difficult: int = 0) -> str:
    box = ''.join(f'<{key}>{value}</{key}>'
                  for key, value in zip(('xmin', 'ymin', 'xmax', 'ymax'), corners, strict=True))
    return (f'<object><name>{name}</name><difficult>{difficult}</difficult>'
            f'<bndbox>{box}</bndbox></object>')


def write(path: Path, *entries: str, filename: str = '', size: tuple = (20, 10)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'<annotation><filename>{filename}</filename><size><width>{size[0]}</width>'
        f'<height>{size[1]}</height></size>{"".join(entries)}</annotation>')


def image(path: Path, size: tuple = (20, 10), orientation: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[274] = orientation
    Image.new('RGB', size).save(path, exif=exif)


def test_boxes(tmp_path):
    image(tmp_path / 'b.JPG')
    write(tmp_path / 'a.xml', entry('dog', (1, 1, 20, 10)), entry('cat', (3, 4, 3, 4), 1),
          filename='/home/me/b.jpg')
    data = read_source(tmp_path)
    assert (data.format, data.classes, data.image_root) == ('voc', ('cat', 'dog'), tmp_path)
    found, = data.images
    assert (found.name, found.width, found.height, found.part) == ('b.JPG', 20, 10, None)
    assert found.boxes == (Box(1, 0, 0, 20, 10), Box(0, 2, 3, 1, 1, ignore=True))
    assert (found.labels, found.unknown) == ({1}, {0})


def test_a_file_name_that_is_a_folder_gives_way_to_the_name_of_the_xml(tmp_path):
    image(tmp_path / 'a.jpg')
    write(tmp_path / 'a.xml', entry('dog', (1, 1, 20, 10)), filename='JPEGImages/')
    assert [found.name for found in read_source(tmp_path).images] == ['a.jpg']


def test_wrong_boxes_are_counted(tmp_path):
    image(tmp_path / 'a.jpg')
    write(tmp_path / 'a.xml', entry('dog', (0, 1, 25, 10)), entry('dog', (5, 5, 4, 9)),
          entry('dog', (50, 1, 60, 9)), size=(99, 99))
    data = read_source(tmp_path)
    assert data.images[0].boxes == (Box(0, 0, 0, 20, 10), )
    notes = '\n'.join(data.notes)
    for what in ('1 images of another size', '1 boxes beyond', '1 empty or inv', '1 boxes outside'):
        assert what in notes


@pytest.mark.parametrize('orientation', range(1, 9))
def test_exif_orientation(tmp_path, orientation):
    """A box annotated before turning surrounds the same pixels afterwards, by Pillow's turning."""
    from PIL import ImageOps

    from tresnet_mm.preparation.source_builder import turn_box

    picture = Image.new('L', (20, 10))
    picture.paste(255, (3, 2, 10, 6))
    picture.getexif()[274] = orientation
    left, top, right, bottom = ImageOps.exif_transpose(picture).getbbox()
    if orientation >= 5:
        assert turn_box(Box(0, 3, 2, 7, 4), orientation, (20, 10)) == Box(
            0, left, top, right - left, bottom - top)
    image(tmp_path / 'a.jpg', orientation=orientation)
    write(tmp_path / 'a.xml', entry('dog', (4, 3, 10, 6)))
    found = read_source(tmp_path).images[0]
    assert (found.width, found.height) == ((20, 10) if orientation < 5 else (10, 20))
    if orientation >= 5:
        assert found.boxes == (Box(0, left, top, right - left, bottom - top), )


DOG = entry('dog', (1, 1, 5, 5))


@pytest.mark.parametrize(('bad', 'message'), [
    ({'b.xml': (DOG, )}, r"b\.xml: no image 'b'"),
    ({'a.xml': (entry('dog', (1, 1, 'x', 5)), )}, r"a\.xml.*'dog'.*bndbox/xmax is 'x'"),
    ({'a.xml': (entry('dog', (1, 1, 'nan', 5)), )}, r"bndbox/xmax is 'nan'"),
    ({'a.xml': ('<object><name>dog</name></object>', )}, 'bndbox/xmin is missing'),
    ({'a.xml': ()}, 'none of its 1 XML files has an object'),
    ({'a.xml': ('<open>', )}, r'a\.xml: not an XML file'),
    ({'a.xml': (DOG, ), 'sub/../a2.xml': (DOG, )}, r"a2\.xml: no image 'a2'"),
])
def test_bad_sources(tmp_path, bad, message):
    image(tmp_path / 'a.jpg')
    for name, entries in bad.items():
        write(tmp_path / name, *entries)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        read_source(tmp_path)


def test_one_image_of_two_files(tmp_path):
    image(tmp_path / 'a.jpg')
    write(tmp_path / 'a.xml', DOG)
    write(tmp_path / 'b.xml', DOG, filename='a.jpg')
    with pytest.raises(ValueError, match=r"b\.xml: image 'a\.jpg' is listed twice.*a\.xml"):
        read_source(tmp_path)


def listed(folder: Path, **lists: str) -> Path:
    for name in ('a', 'b', 'c'):
        image(folder / f'JPEGImages/{name}.jpg')
        write(folder / f'Annotations/{name}.xml', DOG)
    for part, text in lists.items():
        path = folder / f'ImageSets/Main/{part}.txt'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_lists(tmp_path):
    data = read_source(listed(tmp_path, train='a\n', val='b.jpg\n', trainval='a\nb\nc\n'))
    assert {found.file.stem: found.part for found in data.images} == {
        'a': 'train', 'b': 'val', 'c': None}
    assert any(note.startswith('1 images of no part') for note in data.notes)


@pytest.mark.parametrize(('lists', 'message'), [
    (dict(train='a\n', val='b\na\n'), r"val\.txt:2: 'a' is in train\.txt too"),
    (dict(train='x\n'), r"train\.txt:1 lists 'x'"),
    (dict(train='../x\n'), r'train\.txt:1: file name .* leaves the image folder'),
])
def test_bad_lists(tmp_path, lists, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        read_source(listed(tmp_path, **lists))


def test_two_images_fit_one_name(tmp_path):
    for name in ('a.jpg', 'a.png'):
        image(tmp_path / name)
    write(tmp_path / 'a.xml', DOG)
    with pytest.raises(ValueError, match=r"a\.jpg and a\.png in .* both fit 'a'"):
        read_source(tmp_path)
    write(tmp_path / 'a.xml', DOG, filename='a.png')
    assert read_source(tmp_path).images[0].name == 'a.png'


def test_entities_are_refused(tmp_path):
    image(tmp_path / 'a.jpg')
    (tmp_path / 'a.xml').write_text('<!DOCTYPE x [<!ENTITY e "dog">]><annotation/>')
    with pytest.raises(ValueError, match='refused: it declares entities'):
        read_source(tmp_path)


@pytest.mark.parametrize(('name', 'classes', 'boxes', 'parts'), [
    ('cards', 6, 670, {'train': 296, 'test': 67}),
    ('bccd', 3, 4888, {'train': 205, 'val': 87, 'test': 72}),
])
def test_real_data(tmp_path, name, classes, boxes, parts):
    if not (DATA / name).is_dir():
        pytest.skip(f'{name} is not there')
    data = read_source(DATA / name)
    assert len(data.classes) == classes
    assert sum(len(image.boxes) for image in data.images) == boxes
    assert Counter(image.part for image in data.images) == parts
    if name == 'bccd':
        dataset = VOCMultiLabel('ImageSets/Main/test.txt', data_root=str(DATA / name),
                                metainfo=dict(classes=data.classes), test_mode=True)
        labels = {Path(record['img_path']): set(record['gt_labels']) for record in dataset}
        assert {image.file.resolve(): image.labels for image in data.images
                if image.part == 'test'} == {
                    path.resolve(): found for path, found in labels.items()}
    write_dataset(data, {'all': range(len(data.images))}, tmp_path)
    lines = (tmp_path / 'labels/all.csv').read_text().splitlines()
    assert lines[0] == ','.join(['img_path', *data.classes])
    assert len(lines) == len(data.images) + 1
