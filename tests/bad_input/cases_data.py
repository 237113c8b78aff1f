# ruff: noqa: E501 - a case is one line
"""Bad images, COCO files, label tables and VOC folders."""

import copy
import json
import os
import struct
import zlib
from pathlib import Path

import numpy as np
from mmengine.registry import DATASETS, TRANSFORMS, init_default_scope
from PIL import Image

import tresnet_mm  # noqa: F401
from tests.bad_input.case import Case, handled, refused

SIDE = 64
POLYGON = [[5, 5, 25, 5, 25, 25, 5, 25]]
GOOD = dict(
    images=[dict(id=1, file_name='1.png', width=SIDE, height=SIDE),
            dict(id=2, file_name='2.png', width=SIDE, height=SIDE)],
    categories=[dict(id=1, name='cat'), dict(id=3, name='dog')],
    annotations=[dict(id=i, image_id=i, category_id=c, bbox=[5, 5, 20, 20], area=400, iscrowd=0,
                      segmentation=POLYGON) for i, c in ((1, 1), (2, 3))])


# What is made.

def image(**size):
    """The file x.png with a picture of a size."""
    def make(folder):
        array = np.full((size.get('h', SIDE), size.get('w', SIDE), 3), 127, np.uint8)
        Image.fromarray(array).save(folder / 'x.png')
    return make


def file(name: str, content: bytes):
    return lambda folder: (folder / name).write_bytes(content)


def pillow(name: str, array, mode=None, **kwargs):
    return lambda folder: Image.fromarray(array, mode).save(folder / name, **kwargs)


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and has no pixels to speak of."""
    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack(
            '>I', zlib.crc32(kind + data))
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0))
            + chunk(b'IDAT', zlib.compress(bytes(1000))) + chunk(b'IEND', b''))


def cut(name: str, share: float):
    """A picture with detail whose file ends early."""
    def make(folder):
        noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / name)
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:int(len(content) * share)])
    return make


def coco(change=lambda data: None, **top):
    """Two images and instances.json, changed."""
    def make(folder):
        data = copy.deepcopy(GOOD)
        change(data)
        data.update(top)
        for name in ('1.png', '2.png'):
            Image.new('RGB', (SIDE, SIDE)).save(folder / name)
        (folder / 'instances.json').write_text(json.dumps(data))
    return make


def field(part: str, key: str, value):
    """The first entry of a list has another value in a field."""
    return coco(lambda data: data[part][0].update({key: value}))


def lacks(part: str, key: str):
    return coco(lambda data: data[part][0].pop(key))


def voc(listed: str, xml: str = '<annotation><object><name>cat</name></object></annotation>',
        name: str = 'a'):
    def make(folder):
        (folder / 'Annotations').mkdir()
        (folder / 'JPEGImages').mkdir()
        (folder / 'list.txt').write_bytes(listed.encode())
        (folder / 'Annotations' / f'{name}.xml').write_bytes(xml.encode())
    return make


BOMB = ('<!DOCTYPE a [<!ENTITY a "ha">' + ''.join(
    f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip('abcdefgh', 'bcdefghi', strict=True))
    + ']><annotation>&i;</annotation>')
EXTERNAL = ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
            '<annotation><object><name>&x;</name></object></annotation>')


# What a user does with it.

def load(folder: Path, backends=('cv2', 'pillow'), **results):
    """The image by the loaders of both tasks, which have to agree: its shape and middle pixel."""
    init_default_scope('mmdet')
    path = next(str(p) for p in folder.iterdir() if p.name.startswith('x'))
    images = [TRANSFORMS.build(dict(type='LoadImageChecked', imdecode_backend=backend))(
        dict(img_path=path, **results))['img'] for backend in backends]
    shape = images[0].shape
    pixels = [tuple(img[shape[0] // 2, shape[1] // 2].tolist()) for img in images]
    assert all(img.shape == shape for img in images)
    assert len(set(pixels)) == 1, f'the decoders disagree: {pixels}'
    return shape, pixels[0]


def load_named(name: str):
    return lambda folder: TRANSFORMS.build(dict(type='LoadImageChecked'))(dict(img_path=name))


def detect(folder: Path, with_mask=False, classes=('cat', 'dog'), **kwargs):
    """A detector's training data: labels of each image, and what was left out."""
    init_default_scope('mmdet')
    dataset = DATASETS.build({**dict(
        type='CheckedCocoDataset', ann_file=str(folder / 'instances.json'),
        data_prefix=dict(img=str(folder)), metainfo=dict(classes=classes),
        filter_cfg=dict(filter_empty_gt=True, min_size=32),
        pipeline=[dict(type='LoadImageFromFile'),
                  dict(type='LoadAnnotations', with_bbox=True, with_mask=with_mask),
                  dict(type='PackDetInputs')]), **kwargs})
    labels = [dataset[i]['data_samples'].gt_instances.labels.tolist() for i in range(len(dataset))]
    return labels, dict(dataset.dropped)


def masks(folder: Path):
    return detect(folder, with_mask=True)


def outside(folder: Path):
    return detect(folder, allow_outside=True)


def label(folder: Path):
    """A classifier's data: labels of each image."""
    dataset = DATASETS.build(dict(type='CocoMultiLabel', ann_file=str(folder / 'instances.json'),
                                  data_prefix=dict(img=str(folder))))
    return [dataset.get_data_info(i)['gt_labels'] for i in range(len(dataset))]


def both(folder: Path):
    """Both tasks; their errors have to be the same."""
    errors = []
    for task in (detect, label):
        try:
            task(folder)
        except ValueError as error:
            errors.append(error)
    if errors:
        assert len({str(error) for error in errors}) == 1, f'{len(errors)} of 2 refuse: {errors}'
        assert len(errors) == 2, f'one task alone refuses: {errors}'
        raise errors[0]
    return detect(folder)[0], label(folder)


def segm(folder: Path):
    """The metric of masks opens the file."""
    from mmdet.registry import METRICS
    METRICS.build(dict(type='CocoMetric', ann_file=str(folder / 'instances.json'),
                       metric=['bbox', 'segm']))


def masks_alike(folder: Path):
    """Training and evaluation of masks; their errors have to be the same."""
    errors = []
    for use in (masks, segm):
        try:
            use(folder)
        except ValueError as error:
            errors.append(error)
    assert len({str(error) for error in errors}) == 1 and len(errors) == 2, errors
    raise errors[0]


def table(folder: Path):
    name = next(p.name for p in folder.iterdir())
    dataset = DATASETS.build(dict(
        type='CustomMultiLabel', ann_file=name, data_root=str(folder), data_prefix=dict(img='img')))
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    return dataset.classes, [(Path(i['img_path']).name, i['gt_labels']) for i in infos]


def read_voc(folder: Path):
    dataset = DATASETS.build(dict(
        type='VOCMultiLabel', ann_file='list.txt', data_root=str(folder),
        metainfo=dict(classes=('cat', 'dog'))))
    return [(dataset.get_data_info(i)['img_id'], dataset.get_data_info(i)['gt_labels'])
            for i in range(len(dataset))]


def outward_link(folder: Path):
    coco()(folder)
    (folder / '1.png').rename(folder.parent / 'secret.png')
    (folder / '1.png').symlink_to(folder.parent / 'secret.png')


def fifo(folder: Path):
    os.mkfifo(folder / 'x.png')


def turned(folder: Path, save_size=(60, 40)):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new('RGB', save_size, (10, 20, 30)).save(folder / 'x.png', exif=exif)


RAMP = np.full((SIDE, SIDE), 200 * 256, np.uint16)
GREY_ALPHA = np.stack([np.full((SIDE, SIDE), 200), np.full((SIDE, SIDE), 0)], -1).astype(np.uint8)
NOTHING = '\N{BYTE ORDER MARK}'

IMAGES = [
    Case('image: empty file', file('x.png', b''), load, refused(ValueError, 'x.png', 'empty')),
    Case('image: text', file('x.png', b'hello'), load, refused(ValueError, 'x.png', 'no image')),
    Case('image: EPS, which starts a program', file('x.eps', b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n'), load, refused(ValueError, 'x.eps', 'no image')),
    Case('image: SVG', file('x.svg', b'<svg xmlns="http://www.w3.org/2000/svg"/>'), load, refused(ValueError, 'x.svg', 'no image')),
    Case('image: missing', image(), load_named('/no/such/a.png'), refused(FileNotFoundError, '/no/such/a.png')),
    Case('image: cut JPEG', cut('x.jpg', .5), load, refused(ValueError, 'x.jpg', 'truncated')),
    Case('image: cut JPEG, by Pillow', cut('x.jpg', .9), lambda f: load(f, ['pillow']), refused(ValueError, 'x.jpg', 'truncated')),
    Case('image: cut PNG', cut('x.png', .5), load, refused(ValueError, 'x.png', 'cannot be read')),
    Case('image: cut BMP', cut('x.bmp', .5), load, refused(ValueError, 'x.bmp', 'cannot be read')),
    Case('image: 30,000 x 30,000 px', file('x.png', png_header(30_000, 30_000)), load, refused(ValueError, 'x.png', '30000 x 30000', 'max_pixels')),
    Case('image: 2**31 px wide', file('x.png', png_header(2**31 - 1, 1)), load, refused(ValueError, 'x.png', 'max_pixels')),
    Case('image: claims a size it has no pixels for', file('x.png', png_header(9000, 9000)), load, refused(ValueError, 'x.png', 'cannot be read')),
    Case('image: named pipe', fifo, load, refused(ValueError, 'x.png', 'a named pipe')),
    Case('image: device', image(), load_named('/dev/zero'), refused(ValueError, '/dev/zero', 'a device')),
    Case('image: folder', lambda f: (f / 'x.png').mkdir(), load, refused(ValueError, 'x.png', 'a folder')),
    Case('image: link to itself', lambda f: (f / 'x.png').symlink_to(f / 'x.png'), load, refused(ValueError, 'x.png', 'cannot be opened')),
    Case('image: no name', image(), load_named(''), refused(FileNotFoundError, "''")),
    Case('image: NUL in the name', image(), load_named('a\0b'), refused(ValueError, r'a\x00b', 'null')),
    Case('image: name of 4,000 characters', image(), load_named('a' * 4000), refused(ValueError, 'aaa', 'too long')),
    Case('image: http without a backend', image(), load_named('ftp://x/a.png'), refused(ValueError, 'ftp://x/a.png')),
    Case('image: other size than annotated', image(), lambda f: load(f, width=128, height=128), refused(ValueError, 'x.png', '64 x 64', '128 x 128')),
    Case('image: turned by EXIF, annotated unturned', turned, lambda f: load(f, width=60, height=40), handled(((40, 60, 3), (30, 20, 10)))),
    Case('image: turned by EXIF, annotated turned', turned, lambda f: load(f, width=40, height=60), handled(((60, 40, 3), (30, 20, 10)))),
    Case('image: turned by EXIF, not annotated', turned, load, handled(((60, 40, 3), (30, 20, 10)))),
    Case('image: 16 bits', pillow('x.png', RAMP), load, handled(((SIDE, SIDE, 3), (200, 200, 200)))),
    Case('image: grey with alpha', pillow('x.png', GREY_ALPHA, 'LA'), load, handled(((SIDE, SIDE, 3), (200, 200, 200)))),
    Case('image: 1 bit', lambda f: Image.new('1', (SIDE, SIDE), 1).save(f / 'x.png'), load, handled(((SIDE, SIDE, 3), (255, 255, 255)))),
    Case('image: palette with alpha', lambda f: Image.new('RGB', (SIDE, SIDE), (9, 8, 7)).quantize(4).save(f / 'x.png', transparency=0), load, handled(((SIDE, SIDE, 3), (7, 8, 9)))),
    Case('image: animated', lambda f: Image.new('L', (SIDE, SIDE), 7).save(f / 'x.gif', save_all=True, append_images=[Image.new('L', (SIDE, SIDE), 99)]), load, handled(((SIDE, SIDE, 3), (7, 7, 7)))),
    Case('image: CMYK', lambda f: Image.new('CMYK', (SIDE, SIDE), (0, 0, 0, 255)).save(f / 'x.jpg'), load, handled(((SIDE, SIDE, 3), (0, 0, 0)))),
    Case('image: floating point', pillow('x.tiff', np.ones((SIDE, SIDE), np.float32)), lambda f: load(f, ['pillow']), refused(ValueError, 'x.tiff', 'mode F')),
]

COCO = [
    Case('coco: sound', coco(), both, handled(([[0], [1]], [[0], [1]]))),
    Case('coco: not JSON', file('instances.json', b'{"images": ['), both, refused(ValueError, 'instances.json', 'not a JSON file')),
    Case('coco: empty file', file('instances.json', b''), both, refused(ValueError, 'instances.json', 'not a JSON file')),
    Case('coco: a list', file('instances.json', b'[]'), both, refused(ValueError, 'instances.json', 'not a COCO file')),
    Case('coco: nested 100,000 times', file('instances.json', b'[' * 100_000), both, refused(ValueError, 'instances.json', 'nested')),
    Case('coco: byte order mark', lambda f: (coco()(f), (f / 'instances.json').write_text(NOTHING + (f / 'instances.json').read_text())), both, handled(([[0], [1]], [[0], [1]]))),
    Case('coco: UTF-16', file('instances.json', json.dumps(GOOD).encode('utf-16')), both, refused(ValueError, 'instances.json', 'UTF-16')),
    Case('coco: Latin-1', file('instances.json', b'{"images": "\xe9"}'), both, refused(ValueError, 'instances.json', 'not UTF-8', '0xe9')),
    Case('coco: the file is a folder', lambda f: (f / 'instances.json').mkdir(), both, refused(ValueError, 'instances.json', 'a folder')),
    Case('coco: no such file', lambda f: None, detect, refused(FileNotFoundError, 'instances.json')),
    Case('coco: images null', coco(images=None), both, refused(ValueError, 'images should be a list', 'None')),
    Case('coco: annotations an object', coco(annotations={}), both, refused(ValueError, 'annotations should be a list', '{}')),
    Case('coco: an image that is a list', coco(lambda d: d['images'].append([1])), both, refused(ValueError, 'images[2]', '[1]')),
    Case('coco: no annotation id', lacks('annotations', 'id'), both, refused(ValueError, "annotations[0] of image 1 has no 'id'")),
    Case('coco: no image_id', lacks('annotations', 'image_id'), both, refused(ValueError, "annotation 1 has no 'image_id'")),
    Case('coco: no category_id', lacks('annotations', 'category_id'), both, refused(ValueError, "annotation 1 of image 1 has no 'category_id'")),
    Case('coco: no iscrowd', lacks('annotations', 'iscrowd'), both, handled(([[0], [1]], [[0], [1]]))),
    Case('coco: no file_name', lacks('images', 'file_name'), both, refused(ValueError, "image 1 has no 'file_name'")),
    Case('coco: no category name', lacks('categories', 'name'), both, refused(ValueError, "category 1 has no 'name'")),
    Case('coco: no width', lacks('images', 'width'), detect, refused(ValueError, "image 1 has no 'width'")),
    Case('coco: no width matters not for labels', lacks('images', 'width'), label, handled([[0], [1]])),
    Case('coco: width null', field('images', 'width', None), both, refused(ValueError, 'image 1: width None')),
    Case('coco: width -1', field('images', 'width', -1), both, refused(ValueError, 'image 1: width -1')),
    Case('coco: width as text', field('images', 'width', '64'), both, refused(ValueError, "image 1: width '64'")),
    Case('coco: box of 400 digits', field('annotations', 'bbox', [5, 5, 10**400, 9]), both, refused(ValueError, 'annotation 1 of image 1: bbox', 'four finite numbers')),
    Case('coco: number of 5,000 digits', lambda f: (coco()(f), (f / 'instances.json').write_text('{"images": ' + '9' * 5000 + '}')), both, refused(ValueError, 'instances.json', 'not a JSON file')),
    Case('coco: box with NaN', field('annotations', 'bbox', [5, 5, float('nan'), 9]), both, refused(ValueError, 'annotation 1 of image 1: bbox [5, 5, nan, 9]')),
    Case('coco: box of text', field('annotations', 'bbox', 'box'), both, refused(ValueError, "annotation 1 of image 1: bbox 'box'")),
    Case('coco: area null', field('annotations', 'area', None), both, refused(ValueError, 'annotation 1 of image 1: area None')),
    Case('coco: negative area', field('annotations', 'area', -400), both, refused(ValueError, 'annotation 1 of image 1: area -400')),
    Case('coco: iscrowd as text', field('annotations', 'iscrowd', 'no'), both, refused(ValueError, "annotation 1 of image 1: iscrowd 'no'")),
    Case('coco: id that is a list', field('images', 'id', [1]), both, refused(ValueError, 'image [1]: id [1] should be an integer or text')),
    Case('coco: id that is no whole number', field('annotations', 'id', 1.5), both, refused(ValueError, 'id 1.5')),
    Case('coco: image id twice', field('images', 'id', 2), both, refused(ValueError, 'image id(s) are not unique', '[2]')),
    Case('coco: annotation id twice', field('annotations', 'id', 2), both, refused(ValueError, 'annotation id(s) are not unique', '[2]')),
    Case('coco: category id twice', field('categories', 'id', 3), both, refused(ValueError, 'category id(s) are not unique', "'cat' and 'dog'")),
    Case('coco: category name twice', field('categories', 'name', 'dog'), both, refused(ValueError, "['dog']", 'ids 1 and 3')),
    Case('coco: category name a number', field('categories', 'name', 5), both, refused(ValueError, 'category 1: name 5 should be text')),
    Case('coco: annotation id 0', field('annotations', 'id', 0), both, handled(([[0], [1]], [[0], [1]]))),
    Case('coco: annotation id as text', field('annotations', 'id', 'a'), both, handled(([[0], [1]], [[0], [1]]))),
    Case('coco: image_id as text', field('annotations', 'image_id', '1'), label, refused(ValueError, "image_id '1'", 'such as 1')),
    Case('coco: image_id as text is counted', field('annotations', 'image_id', '1'), detect, handled(([[1]], {'of an image that is not listed': 1}))),
    Case('coco: categories in another order', coco(lambda d: d['categories'].reverse()), detect, handled(([[0], [1]], {}))),
    Case('coco: class misspelt', coco(), lambda f: detect(f, classes=('cta', 'dog')), refused(ValueError, "class 'cta'", 'cat, dog')),
    Case('coco: classes without its comma', coco(), lambda f: detect(f, classes='cat'), refused(ValueError, "the string 'cat'", "('cat', )")),
    Case('coco: a class twice', coco(), lambda f: detect(f, classes=('cat', 'cat')), refused(ValueError, "repeated: ['cat']")),
    Case('coco: all crowds', coco(lambda d: [a.update(iscrowd=1) for a in d['annotations']]), detect, refused(ValueError, 'no object is left to learn', '2 are crowds')),
    Case('coco: marked ignore', field('annotations', 'ignore', 1), detect, handled(([[], [1]], {'marked ignore': 1}))),
    Case('coco: name with ../', field('images', 'file_name', '../1.png'), both, refused(ValueError, "image 1: file name '../1.png' leaves", 'allow_outside')),
    Case('coco: absolute name', field('images', 'file_name', '/etc/passwd'), both, refused(ValueError, "image 1: file name '/etc/passwd'", 'allow_outside')),
    Case('coco: name of a Windows drive', field('images', 'file_name', 'C:\\x.png'), both, refused(ValueError, 'image 1: file name', 'absolute')),
    Case('coco: name with a NUL', field('images', 'file_name', 'a\0.png'), both, refused(ValueError, 'image 1: file name', 'NUL')),
    Case('coco: name .', field('images', 'file_name', '.'), both, refused(ValueError, "image 1: file name '.'", 'folder')),
    Case('coco: empty name', field('images', 'file_name', ''), both, refused(ValueError, "image 1: file_name ''")),
    Case('coco: name of 4,000 characters', field('images', 'file_name', 'a' * 4000), both, refused(ValueError, 'image 1: file name', '4000 characters')),
    Case('coco: name of an address', field('images', 'file_name', 'http://x/1.png'), both, refused(ValueError, "image 1: file name 'http://x/1.png'", 'backend_args')),
    Case('coco: link that leaves the folder', outward_link, both, refused(ValueError, "image 1: file name '1.png'", 'link', 'allow_outside')),
    Case('coco: link that leaves, allowed', outward_link, outside, handled(([[0], [1]], {}))),
    Case('coco: Windows path separator', lambda f: (field('images', 'file_name', 'sub\\1.png')(f), (f / 'sub').mkdir(), (f / '1.png').rename(f / 'sub/1.png')), detect, handled(([[0], [1]], {}))),
    Case('coco: Windows way out', field('images', 'file_name', '..\\..\\x'), both, refused(ValueError, 'leaves the image folder')),
    Case('coco: image of 1 x 2,000 px', lambda f: (coco(lambda d: d['images'][0].update(width=1, height=2000))(f), Image.new('RGB', (1, 2000)).save(f / '1.png')), lambda f: detect(f, filter_cfg=None, pipeline=[dict(type='LoadImageFromFile'), dict(type='Resize', scale=(128, 128), keep_ratio=True)]), refused(ValueError, '1.png', 'resize')),
    Case('segmentation: none', lacks('annotations', 'segmentation'), masks_alike, refused(ValueError, "annotation 1 of image 1 has no 'segmentation'")),
    Case('segmentation: empty polygon', field('annotations', 'segmentation', [[]]), masks, handled(([[], [1]], {'without an area in their segmentation': 1}))),
    Case('segmentation: two points', field('annotations', 'segmentation', [[5, 5, 25, 25]]), masks, handled(([[], [1]], {'without an area in their segmentation': 1}))),
    Case('segmentation: flat list', field('annotations', 'segmentation', POLYGON[0]), masks_alike, refused(ValueError, 'annotation 1 of image 1: segmentation', 'flat list')),
    Case('segmentation: pairs', field('annotations', 'segmentation', [[[5, 5], [25, 5], [25, 25]]]), masks_alike, refused(ValueError, 'annotation 1 of image 1', 'pairs')),
    Case('segmentation: odd count', field('annotations', 'segmentation', [[5, 5, 25, 5, 25, 25, 5]]), masks_alike, refused(ValueError, 'annotation 1 of image 1', 'odd')),
    Case('segmentation: far away', field('annotations', 'segmentation', [[0, 0, 1e12, 0, 0, 1e12]]), masks_alike, refused(ValueError, 'annotation 1 of image 1', 'far beyond')),
    Case('segmentation: RLE of another size', field('annotations', 'segmentation', dict(size=[32, 32], counts=[1024])), masks_alike, refused(ValueError, 'annotation 1 of image 1', '[32, 32]', '[64, 64]')),
    Case('segmentation: RLE longer than its image', field('annotations', 'segmentation', dict(size=[64, 64], counts=[0, 10**9])), masks_alike, refused(ValueError, 'annotation 1 of image 1', 'add up')),
    Case('segmentation: compressed RLE longer than its image', field('annotations', 'segmentation', dict(size=[64, 64], counts='0ooo3')), masks_alike, refused(ValueError, 'annotation 1 of image 1', 'RLE')),
    Case('segmentation: compressed RLE of rubbish', field('annotations', 'segmentation', dict(size=[64, 64], counts='~~ ~')), masks_alike, refused(ValueError, 'annotation 1 of image 1', 'cannot be read')),
    Case('segmentation: text', field('annotations', 'segmentation', 'polygon'), masks_alike, refused(ValueError, 'annotation 1 of image 1', 'str')),
]

CSV = b'img_path,cat,dog\na.jpg,1,0\n'
TABLES = [
    Case('table: byte order mark', file('a.csv', NOTHING.encode() + CSV), table, handled((('cat', 'dog'), [('a.jpg', [0])]))),
    Case('table: Windows line ends', file('a.csv', CSV.replace(b'\n', b'\r\n')), table, handled((('cat', 'dog'), [('a.jpg', [0])]))),
    Case('table: blanks in the header', file('a.csv', b'img_path, cat, dog\na.jpg, 1, 0\n'), table, handled((('cat', 'dog'), [('a.jpg', [0])]))),
    Case('table: line separator in a name', file('a.jsonl', '{"img_path": "a.jpg", "labels": ["a\u2028b"]}\n'.encode()), table, handled((('a\u2028b',), [('a.jpg', [0])]))),
    Case('table: UTF-16', file('a.csv', CSV.decode().encode('utf-16')), table, refused(ValueError, 'a.csv', 'UTF-16', 'save it as UTF-8')),
    Case('table: Latin-1', file('a.csv', 'img_path,\xe9l\xe9phant\n'.encode('latin-1')), table, refused(ValueError, 'a.csv', 'line 1', 'UTF-8')),
    Case('table: NUL', file('a.csv', CSV + b'b\0.jpg,1,0\n'), table, refused(ValueError, 'a.csv:3', 'NUL')),
    Case('table: cell of 200,000 characters', file('a.csv', CSV + b'b' * 200_000 + b',1,0\n'), table, refused(ValueError, 'a.csv:', 'field larger')),
    Case('table: semicolons', file('a.csv', b'img_path;cat;dog\na.jpg;1;0\n'), table, refused(ValueError, 'a.csv:1', 'commas')),
    Case('table: column without a name', file('a.csv', b'img_path,cat,\na.jpg,1,0\n'), table, refused(ValueError, 'a.csv:1', 'column 3')),
    Case('table: image twice', file('a.csv', CSV + b'a.jpg,0,1\n'), table, refused(ValueError, 'a.csv:3', "'a.jpg' is listed twice")),
    Case('table: a cell that is yes', file('a.csv', b'img_path,cat\na.jpg,yes\n'), table, refused(ValueError, 'a.csv:2', "'yes'")),
    Case('table: name with ../', file('a.csv', b'img_path,cat\n../a.jpg,1\n'), table, refused(ValueError, 'a.csv:2', "'../a.jpg'", 'allow_outside')),
    Case('table: absolute name', file('a.jsonl', b'{"img_path": "/etc/passwd", "labels": ["a"]}'), table, refused(ValueError, 'a.jsonl:1', 'allow_outside')),
    Case('table: deep JSON', file('a.jsonl', b'[' * 100_000), table, refused(ValueError, 'a.jsonl:1', 'not JSON')),
    Case('table: labels as text', file('a.jsonl', b'{"img_path": "a.jpg", "labels": "cat"}'), table, refused(ValueError, 'a.jsonl:1', "'cat'")),
]

VOC = [
    Case('voc: blank in the name', voc('my image (1)\n', name='my image (1)'), read_voc, handled([('my image (1)', [0])])),
    Case('voc: class list', voc('a -1\r\n'), read_voc, handled([('a', [0])])),
    Case('voc: with the suffix', voc('a.jpg\n'), read_voc, handled([('a', [0])])),
    Case('voc: byte order mark', voc(NOTHING + 'a\n'), read_voc, handled([('a', [0])])),
    Case('voc: no XML file', voc('a\nb c\n'), read_voc, refused(FileNotFoundError, 'list.txt:2', "'b c'")),
    Case('voc: name with ../', voc('../a\n'), read_voc, refused(ValueError, 'list.txt:1', 'allow_outside')),
    Case('voc: absolute name', voc('/etc/a\n'), read_voc, refused(ValueError, 'list.txt:1', 'allow_outside')),
    Case('voc: NUL', voc('a\0\n'), read_voc, refused(ValueError, 'list.txt:1', 'NUL')),
    Case('voc: not XML', voc('a\n', '<annotation>'), read_voc, refused(ValueError, 'a.xml', 'not an XML file')),
    Case('voc: billion laughs', voc('a\n', BOMB), read_voc, refused(ValueError, 'a.xml', 'entities')),
    Case('voc: external entity', voc('a\n', EXTERNAL), read_voc, refused(ValueError, 'a.xml', 'entities')),
    Case('voc: unknown encoding', voc('a\n', '<?xml version="1.0" encoding="klingon"?><annotation/>'), read_voc, refused(ValueError, 'a.xml', 'not an XML file')),
    Case('voc: object without a name', voc('a\n', '<annotation><object/></annotation>'), read_voc, refused(ValueError, 'a.xml', 'object 1 has no name')),
    Case('voc: class unheard of', voc('a\n', '<annotation><object><name>cow</name></object></annotation>'), read_voc, refused(ValueError, 'a.xml', "'cow'")),
]

CASES = IMAGES + COCO + TABLES + VOC
