"""Every format is told apart, read, and refused by one clear message."""
import json
import shutil
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tresnet_mm.datasets import CocoMultiLabel, CustomMultiLabel
from tresnet_mm.preparation import (
    Box,
    SourceData,
    SourceImage,
    read_source,
    write_dataset,
    write_yolo,
)

DATA = Path(__file__).parents[3] / 'shared' / 'data'
VOC = ('<annotation><object><name>dog</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax>'
       '<ymax>5</ymax></bndbox></object></annotation>')
COCO = dict(
    images=[dict(id=7, file_name='a.jpg', width=20, height=10)],
    annotations=[dict(id=1, image_id=7, category_id=3, bbox=[2, 3, 4, 5], area=20, iscrowd=0),
                 dict(id=2, image_id=7, category_id=1, bbox=[0, 0, 9, 9], area=81, iscrowd=1)],
    categories=[dict(id=1, name='cat'), dict(id=3, name='dog')])


def fill(root: Path, files: dict) -> Path:
    """A folder of files: text as it is, None for an image of 20 x 10 pixels."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            Image.new('RGB', (20, 10)).save(path)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content))
    return root


def seen(data: SourceData) -> dict:
    return {image.name: (image.part, image.boxes, image.labels) for image in data.images}


YOLO_BOXES = (Box(1, 5, 2.5, 10, 5), )
COCO_BOXES = (Box(1, 2, 3, 4, 5), Box(0, 0, 0, 9, 9, True))
GOOD = {
    'yolo': ({'data.yaml': 'names: [cat, dog]\ntrain: ../train/images\nval: val/images\nnc: 2',
              'train/images/a.jpg': None, 'train/labels/a.txt': '1 .5 .5 .5 .5\n',
              'val/images/b.PNG': None},
             {'train/images/a.jpg': ('train', YOLO_BOXES, {1}),
              'val/images/b.PNG': ('val', (), set())}),
    'yolo lists': ({'data.yaml': 'names: {0: cat, 1: dog}\ntrain: t.txt', 't.txt': './images/a.jpg',
                    'images/a.jpg': None,
                    'labels/a.txt': '1 .25 .25 .75 .25 .75 .75 .25 .75\n'},
                   {'images/a.jpg': ('train', YOLO_BOXES, {1})}),
    'yolo classes': ({'classes.txt': 'cat\ndog\n', 'images/a.jpg': None,
                      'labels/a.txt': '1 .5 .5 .5 .5'}, {'images/a.jpg': (None, YOLO_BOXES, {1})}),
    'coco': ({'annotations/instances_train2017.json': COCO, 'train2017/a.jpg': None},
             {'train2017/a.jpg': ('train', COCO_BOXES, {0, 1})}),
    'coco roboflow': ({'train/_annotations.coco.json': COCO, 'train/a.jpg': None,
                       'valid/_annotations.coco.json': COCO, 'valid/a.jpg': None},
                      {'train/a.jpg': ('train', COCO_BOXES, {0, 1}),
                       'valid/a.jpg': ('val', COCO_BOXES, {0, 1})}),
    'table': ({'train.csv': 'img_path,cat,dog\na.jpg,0,1\n', 'a.jpg': None,
               'val.csv': 'img_path,cat,dog\nb.jpg,-1,0\n', 'images/b.jpg': None},
              {'a.jpg': ('train', None, {1}), 'images/b.jpg': ('val', None, set())}),
    'table jsonl': ({'x.jsonl': '{"img_path": "a.jpg", "labels": ["dog"], "unknown": ["cat"]}',
                     'a.jpg': None}, {'a.jpg': (None, None, {1})}),
    'folders': ({'cat/a.jpg': None, 'dog/a.jpg': None},
                {'cat/a.jpg': (None, None, {0}), 'dog/a.jpg': (None, None, {1})}),
    'folders parts': ({'train/cat/a.jpg': None, 'val/dog/a.jpg': None},
                      {'train/cat/a.jpg': ('train', None, {0}),
                       'val/dog/a.jpg': ('val', None, {1})}),
}


@pytest.mark.parametrize('name', GOOD)
def test_told_apart_and_read(tmp_path, name):
    files, expected = GOOD[name]
    data = read_source(fill(tmp_path, files))
    assert data.format == name.split()[0]
    assert data.classes == ('cat', 'dog')
    assert seen(data) == expected
    assert data.notes[0].startswith(f'Read as {data.format} (')
    assert seen(read_source(tmp_path, data.format)) == expected


def test_yolo_absolute_paths(tmp_path):
    fill(tmp_path, {'data.yaml': f'path: {tmp_path}\nnames: [cat, dog]\ntrain: {tmp_path}/t.txt',
                    't.txt': f'{tmp_path}/images/a.jpg\n', 'images/a.jpg': None,
                    'labels/a.txt': '1 .5 .5 .5 .5'})
    assert seen(read_source(tmp_path)) == {'images/a.jpg': ('train', YOLO_BOXES, {1})}


YAML = 'names: [cat, dog]\ntrain: images'
BAD = {
    'nothing': ({'a.doc': ''}, r'no format is told apart.*Found: 1 \.doc'),
    'two': ({'a.jpg': None, 'a.xml': VOC, 't.csv': 'img_path,cat\na.jpg,1'},
            r'could be voc \(a\.xml\) and table \(t\.csv\).*--format voc'),
    'class id': ({'data.yaml': YAML, 'images/a.jpg': None, 'labels/a.txt': '\n2 .5 .5 .5 .5'},
                 r"a\.txt:2: class '2' should be a whole number from 0 to 1"),
    'number': ({'data.yaml': YAML, 'images/a.jpg': None, 'labels/a.txt': '1 .5 nan .5 .5'},
               r"a\.txt:1: 'nan' should be a number"),
    'count': ({'data.yaml': YAML, 'images/a.jpg': None, 'labels/a.txt': '1 .5 .5'},
              r'a\.txt:1: 2 numbers after the class'),
    'nc': ({'data.yaml': YAML + '\nnc: 3', 'images/a.jpg': None}, 'nc is 3, but there are 2 names'),
    'yaml code': ({'data.yaml': 'names: !!python/name:os.system'}, 'not a YAML file of plain'),
    'no folder': ({'data.yaml': YAML}, r"data\.yaml: train: '.*images' should be a folder"),
    'outside': ({'data.yaml': 'names: [a]\ntrain: /etc'}, 'train: file name .*absolute'),
    'no texts': ({'data.yaml': YAML, 'images/a.jpg': None}, 'none of its 1 images has a text file'),
    'coco image': ({'a.json': COCO}, r"a\.json: image 7: no image 'a\.jpg' in"),
    'coco category': ({'a.json': {**COCO, 'categories': COCO['categories'][:1]}, 'a.jpg': None},
                      'annotation 1 has category_id 3, which is not among'),
    'coco outside': ({'a.json': {**COCO, 'images': [dict(id=7, file_name='../a.jpg')]}},
                     r"image 7: file name '\.\./a\.jpg' leaves"),
    'two coco': ({'a.json': COCO, 'b.json': COCO, 'a.jpg': None}, 'each should be of another part'),
    'table image': ({'t.csv': 'img_path,cat\nx.jpg,1'}, r"t\.csv:2: image '.*x\.jpg' does not exi"),
    'table columns': ({'train.csv': 'img_path,cat\na.jpg,1', 'val.csv': 'img_path,dog\nb.jpg,1'},
                      'its columns are not those of'),
    'two tables': ({'a.csv': 'img_path,cat\na.jpg,1', 'val.csv': 'img_path,cat\na.jpg,1'},
                   r'a\.csv, val\.csv: of several tables each should be of another part'),
    'two parts': ({'train.csv': 'img_path,cat\na.jpg,1', 'val.csv': 'img_path,cat\na.jpg,1',
                   'a.jpg': None}, r"val\.csv:2: image 'a\.jpg' is listed twice, first by.*train"),
    'no image': ({'cat/a.jpg': 'text'}, r"image '.*a\.jpg' cannot be read"),
    'mixed': ({'train/cat/a.jpg': None, 'dog/a.jpg': None}, "'train' is named after a part and 'd"),
}


@pytest.mark.parametrize('name', BAD)
def test_refused(tmp_path, name):
    files, message = BAD[name]
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        read_source(fill(tmp_path, files))


@pytest.mark.parametrize('source_format, message', [
    ('voc', r'no XML file \(\.xml\) below it'),
    ('table', r'no label table \(\.csv or \.jsonl with img_path\) in it'),
    ('folders', 'no image in folders named after classes')])
def test_a_format_of_which_there_is_nothing_is_refused(tmp_path, source_format, message):
    with pytest.raises(FileNotFoundError, match=message):
        read_source(fill(tmp_path, {'a.jpg': None, 'a.csv': 'name\n'}), source_format)


def test_images_outside_the_folders_of_classes_are_counted(tmp_path):
    data = read_source(fill(tmp_path, {'cat/a.jpg': None, 'b.jpg': None, 'c.jpg': None}))
    assert list(seen(data)) == ['cat/a.jpg']
    assert data.notes[1:] == ('2 images outside the folders of the classes: left out; first in '
                              f'{tmp_path / "b.jpg"}.',)


def test_no_source_and_no_format(tmp_path):
    with pytest.raises(FileNotFoundError, match='no such folder or file'):
        read_source(tmp_path / 'none')
    with pytest.raises(ValueError, match="format 'png' should be one of voc, yolo"):
        read_source(tmp_path, 'png')
    fill(tmp_path, {'a.txt': ''})
    with pytest.raises(ValueError, match='a file should be'):
        read_source(tmp_path / 'a.txt')


def test_one_file(tmp_path):
    fill(tmp_path, {'annotations/train.json': COCO, 'a.jpg': None,
                    't.csv': 'img_path,cat\na.jpg,1'})
    assert read_source(tmp_path / 'annotations/train.json').image_root == tmp_path
    assert read_source(tmp_path / 't.csv').format == 'table'


def test_written_is_read_by_the_datasets(tmp_path):
    root = fill(tmp_path / 'in', {'a.jpg': None})
    data = SourceData('voc', root, ('a,b "c"', 'dog', 'ox'), (SourceImage(
        root / 'a.jpg', 'a.jpg', 20, 10, (Box(1, 1, 2, 3, 4.5), Box(2, 0, 0, 5, 5, True)),
        frozenset([1]), frozenset([2])), ))
    write_dataset(data, {'train': [0]}, tmp_path / 'out')
    table = CustomMultiLabel('labels/train.csv', data_root=str(tmp_path / 'out'),
                             data_prefix=dict(img=str(root)))
    assert tuple(table.classes) == data.classes
    assert table.get_data_info(0)['gt_labels'] == [1]
    assert table.get_data_info(0)['unknown_labels'] == [2]
    boxes = json.loads((tmp_path / 'out/annotations/train.json').read_text())['annotations']
    assert [(box['id'], box['bbox'], box['iscrowd']) for box in boxes] == [
        (1, [1, 2, 3, 4.5], 0), (2, [0, 0, 5, 5], 1)]


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.integers(0, 1), st.floats(0, 9000), st.floats(0, 4000),
                          st.floats(0.01, 999), st.floats(0.01, 999)), max_size=8))
def test_yolo_and_coco_keep_boxes(tmp_path_factory, boxes):
    folder = tmp_path_factory.mktemp('round')
    Image.new('1', (10000, 5000)).save(folder / 'a.png')
    image = SourceImage(folder / 'a.png', 'a.png', 10000, 5000,
                        tuple(Box(*box) for box in boxes), None)
    data = SourceData('voc', folder, ('cat', 'dog'), (image, ))
    write_yolo(data, {'train': [0]}, folder / 'yolo')
    first = read_source(folder / 'yolo')
    write_dataset(first, {'train': [0]}, folder / 'yolo')
    link = folder / 'yolo/images/train/a.png'
    link.unlink()  # a link to elsewhere is refused in COCO's file as the data sets refuse it
    link.hardlink_to(folder / 'a.png')
    second = read_source(folder / 'yolo/annotations/train.json')
    for read in (first, second):
        assert [box.label for box in read.images[0].boxes] == [box[0] for box in boxes]
        for found, box in zip(read.images[0].boxes, boxes, strict=True):
            assert found[1:5] == pytest.approx(box[1:], abs=1e-4)


def test_yolo_names(tmp_path):
    """Names of one stem and names in folders called images get text files of their own."""
    root = fill(tmp_path / 'in', {'images/a.jpg': None, 'images/a.png': None})
    images = [SourceImage(root / name, name, 20, 10, (Box(0, 0, 0, 5, 5 + i), ), None)
              for i, name in enumerate(('images/a.jpg', 'images/a.png'))]
    write_yolo(SourceData('voc', root, ('no', ), tuple(images)), {'train': [0, 1]}, tmp_path / 'y')
    assert yaml.safe_load((tmp_path / 'y/data.yaml').read_text()) == {
        'train': 'images/train', 'names': {0: 'no'}}
    read = read_source(tmp_path / 'y').images
    assert sorted(round(image.boxes[0].height, 6) for image in read) == [5, 6]
    with pytest.raises(FileExistsError, match='images is there already'):
        write_yolo(SourceData('voc', root, ('no', ), ()), {}, tmp_path / 'y')


def test_real_boxes_by_yolo(tmp_path):
    if not (DATA / 'cards').is_dir():
        pytest.skip('cards is not there')
    data = read_source(DATA / 'cards')
    members = [index for index, image in enumerate(data.images) if image.part == 'test']
    write_yolo(data, {'test': members}, tmp_path / 'yolo')
    back = {image.name.removeprefix('images/test/'): image
            for image in read_source(tmp_path / 'yolo').images}
    assert len(back) == len(members) == 67
    for image in (data.images[index] for index in members):
        found = back[image.name.replace('/', '__')]
        assert (found.width, found.height, found.part) == (image.width, image.height, 'test')
        assert len(found.boxes) == len(image.boxes)
        for box, other in zip(image.boxes, found.boxes, strict=True):
            assert other == pytest.approx(box, abs=1e-4)


@pytest.mark.parametrize('name, images, boxes', [('cards', 363, 670), ('bccd', 364, 4888)])
def test_real_boxes_from_voc_to_coco_to_yolo_to_coco(tmp_path, name, images, boxes):
    """The same boxes, classes and parts come out; images that are links stand for the real ones."""
    if not (DATA / name).is_dir():
        pytest.skip(f'{name} is not there')

    def parts_of(data):
        return {part: [i for i, image in enumerate(data.images) if image.part == part]
                for part in dict.fromkeys(image.part for image in data.images)}

    def boxes_of(folder):
        found = {}
        for file in sorted((folder / 'annotations').glob('*.json')):
            content = json.loads(file.read_text())
            names = {entry['id']: entry['name'] for entry in content['categories']}
            files = {entry['id']: (file.stem, entry['width'], entry['height'], entry['file_name'])
                     for entry in content['images']}
            found |= {files[key]: [] for key in files}
            for entry in content['annotations']:
                found[files[entry['image_id']]].append((names[entry['category_id']],
                                                        entry['iscrowd'], *entry['bbox']))
        return found

    voc = read_source(DATA / name)
    coco = tmp_path / 'coco'
    write_dataset(voc, parts_of(voc), coco)
    for image in voc.images:
        place = coco / image.name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(image.file, place)
    read = read_source(coco, 'coco')
    write_yolo(read, parts_of(read), tmp_path / 'yolo')
    yolo = read_source(tmp_path / 'yolo')
    write_dataset(yolo, parts_of(yolo), tmp_path / 'back')

    first, last = boxes_of(coco), boxes_of(tmp_path / 'back')
    assert len(first) == images and sum(map(len, first.values())) == boxes
    assert len(last) == images
    last = {Path(key[3]).stem: (key[:3], values) for key, values in last.items()}
    for (part, width, height, file), values in first.items():
        place, found = last[Path(file.replace('/', '__')).stem]
        assert place == (part, width, height)
        assert [value[:2] for value in found] == [value[:2] for value in values]
        for value, other in zip(values, found, strict=True):
            assert other[2:] == pytest.approx(value[2:], abs=1e-4)


def test_real_coco():
    root = DATA / 'coco_tiny'
    if not root.is_dir():
        pytest.skip('coco_tiny is not there')
    data = read_source(root)
    assert (len(data.images), len(data.classes)) == (160, 80)
    assert sum(box.ignore for image in data.images for box in image.boxes) == 17
    dataset = CocoMultiLabel('annotations/instances_val2017.json', data_root=str(root),
                             data_prefix=dict(img='val2017/'), test_mode=True)
    expected = {Path(record['img_path']).name: set(record['gt_labels'])
                for record in (dataset.get_data_info(i) for i in range(len(dataset)))}
    assert {image.file.name: image.labels for image in data.images
            if image.part == 'val'} == expected
