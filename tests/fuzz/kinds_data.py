"""COCO files, VOC XML, label tables and images."""
from __future__ import annotations

import contextlib
import functools
import io
import itertools
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from mmdet.registry import METRICS
from mmengine.registry import DATASETS, TRANSFORMS, init_default_scope
from PIL import Image

import tresnet_mm  # noqa: F401
from tests.fuzz.kinds import Kind, documented
from tests.fuzz.mutations import TEXTS, damaged, mutated

SIDE = 32
POLYGON = [[4, 4, 20, 4, 20, 20, 4, 20]]
RLE = dict(size=[SIDE, SIDE], counts=[100, 50, SIDE * SIDE - 150])
COCO = dict(
    images=[dict(id=i, file_name=f'{i}.png', width=SIDE, height=SIDE) for i in (1, 2)],
    categories=[dict(id=1, name='cat'), dict(id=3, name='dog')],
    annotations=[
        dict(id=1, image_id=1, category_id=1, bbox=[4, 4, 16, 16], area=256, iscrowd=0,
             segmentation=POLYGON),
        dict(id=2, image_id=1, category_id=3, bbox=[0, 0, 9.5, 9.5], area=90.25, iscrowd=1,
             segmentation=RLE),
        dict(id=3, image_id=2, category_id=3, bbox=[2, 2, 20, 20], area=400, iscrowd=0, ignore=0,
             segmentation=dict(size=[SIDE, SIDE],
                               counts='R2d0<0000000000000000000000000000000000000n9'))])


@functools.cache
def workplace() -> tempfile.TemporaryDirectory:
    """A folder for as long as the process lives: to make and remove one for each case is slow."""
    return tempfile.TemporaryDirectory()


@contextlib.contextmanager
def file_with(name: str, content: bytes) -> Iterator[Path]:
    """A file, removed afterwards."""
    path = Path(workplace().name) / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    try:
        yield path
    finally:
        path.unlink()


@functools.cache
def images() -> Path:
    """The folder with the images of `COCO`."""
    folder = Path(workplace().name) / 'img'
    folder.mkdir()
    for name in ('1.png', '2.png'):
        Image.new('RGB', (SIDE, SIDE)).save(folder / name)
    return folder


def to_bytes(data: Any) -> bytes:
    """JSON, half of a surrogate pair and all."""
    return json.dumps(data).encode()


# COCO: both tasks in training and testing, both metrics.

def train(ann_file: str, with_mask: bool) -> None:
    """Every sample of a detector's training data."""
    dataset = DATASETS.build(dict(
        type='CheckedCocoDataset', ann_file=ann_file, data_prefix=dict(img=str(images())),
        metainfo=dict(classes=('cat', 'dog')), filter_cfg=dict(filter_empty_gt=True), pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations', with_bbox=True, with_mask=with_mask),
            dict(type='PackDetInputs', meta_keys=('img_id', 'ori_shape'))]))
    for i in range(len(dataset)):
        boxes = dataset[i]['data_samples'].gt_instances.bboxes.tensor
        assert torch.isfinite(boxes).all()


def label(ann_file: str) -> None:
    """A classifier's data."""
    DATASETS.build(dict(type='CocoMultiLabel', ann_file=ann_file,
                        data_prefix=dict(img=str(images()))))


def evaluate(ann_file: str, metric: str) -> None:
    """Boxes and masks of the listed images, all of one place."""
    from tresnet_mm.datasets.annotations import read_coco
    evaluator = METRICS.build(dict(type=metric, ann_file=ann_file, metric=['bbox', 'segm']))
    evaluator.dataset_meta = dict(classes=('cat', 'dog'))
    mask = torch.zeros(2, SIDE, SIDE, dtype=torch.bool)
    mask[:, 4:20, 4:20] = True
    for image in read_coco(ann_file).images:
        evaluator.process({}, [dict(
            img_id=image['id'], ori_shape=(SIDE, SIDE), pred_instances=dict(
                bboxes=torch.tensor([[4., 4, 20, 20]] * 2), scores=torch.ones(2),
                labels=torch.tensor([0, 1]), masks=mask))])
    if evaluator.results:
        for name, value in evaluator.evaluate(len(evaluator.results)).items():
            assert -1 <= value <= 1, (name, value)


_numbers = itertools.count()


def check_coco(content: bytes) -> bool:
    """Whether any use of the file goes well."""
    init_default_scope('mmdet')
    # A name of its own, since what is read is shared by name, time and size.
    with file_with(f'{next(_numbers)}-instances.json', content) as path, \
            contextlib.redirect_stdout(io.StringIO()):
        ann_file = str(path)
        uses: list[Callable] = [
            lambda: train(ann_file, False), lambda: train(ann_file, True), lambda: label(ann_file),
            lambda: evaluate(ann_file, 'CocoMetric'),
            lambda: evaluate(ann_file, 'FasterCocoMetric')]
        return any([documented(use, 'instances.json', str(images())) for use in uses])


# Label tables and VOC.

TABLES = st.one_of(
    mutated([['img_path', 'cat', 'dog'], ['a.jpg', '1', '0'], ['b.jpg', ' -1', '1']], most=2),
    mutated([['img_path', 'labels'], ['a.jpg', 'cat;dog'], ['"b, c.jpg"', ''], ['d.jpg', 'cat']],
            most=2))
CSV = st.builds(
    lambda rows, end: end.join(
        ','.join(map(str, row)) if isinstance(row, list) else str(row) for row in rows),
    TABLES, st.sampled_from(['\n', '\r\n', '\r']))
JSONL = st.builds(
    lambda rows: '\n'.join(map(json.dumps, rows)),
    mutated([dict(img_path='a.jpg', labels=['cat', 'dog'], unknown=['hen']),
             dict(img_path='b.jpg', labels=[])]))
ENCODINGS = st.sampled_from(['utf-8'] * 6 + ['utf-8-sig', 'utf-16', 'latin-1'])


def encode(text: str, encoding: str) -> bytes:
    return text.encode(encoding, errors='replace')


def check_table(case: tuple[str, bytes]) -> bool:
    """Whether a label table is read."""
    name, content = case
    with file_with(name, content) as path:
        return documented(lambda: DATASETS.build(dict(
            type='CustomMultiLabel', ann_file=name, data_root=str(path.parent),
            data_prefix=dict(img='img'))), name)


XML = ('<?xml version="1.0"?><annotation><folder>VOC</folder><object><name>cat</name>'
       '<difficult>0</difficult><bndbox><xmin>1</xmin></bndbox></object><object><name>dog</name>'
       '<difficult>1</difficult></object></annotation>')
PIECES = st.sampled_from([
    '<object>', '</object>', '<name>', '</name>', '<name/>', '<difficult>', '&amp;', '&x;', '<!--',
    '-->', '<![CDATA[', ']]>', '<!DOCTYPE a [<!ENTITY x "y">]>', '<!DOCTYPE a SYSTEM "http://x/y">',
    '<?xml version="1.0" encoding="utf-16"?>', '<a>' * 3000, 'cow', ' ', '\ufeff'])
LISTS = st.lists(st.one_of(st.sampled_from(['a', 'a -1', 'a.jpg', ' a ', 'b']), TEXTS), max_size=3)


@st.composite
def voc_cases(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A list of images and the XML of image a."""
    xml = XML
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(xml)))
        xml = xml[:at] + draw(PIECES) + xml[at + draw(st.integers(0, 30)):]
    listed = '\n'.join(['a', *draw(LISTS)])
    return (encode(listed, draw(ENCODINGS)),
            draw(st.one_of(st.just(encode(xml, draw(ENCODINGS))), damaged(XML.encode()))))


def check_voc(case: tuple[bytes, bytes]) -> bool:
    """Whether a VOC folder is read."""
    listed, xml = case
    with file_with('list.txt', listed) as path, file_with('Annotations/a.xml', xml):
        return documented(lambda: DATASETS.build(dict(
            type='VOCMultiLabel', ann_file='list.txt', data_root=str(path.parent),
            metainfo=dict(classes=('cat', 'dog')))), 'list.txt', 'a.xml')


# Images.

def _saved(suffix: str, mode: str = 'RGB', **kwargs: Any) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(file, suffix, **kwargs)
    return file.getvalue()


def _turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return _saved('JPEG', exif=exif)


SOUND = [
    _saved('JPEG'), _saved('JPEG', 'CMYK'), _saved('JPEG', progressive=True), _turned(),
    _saved('PNG'), _saved('PNG', 'P'), _saved('PNG', 'LA'), _saved('PNG', 'RGBA'), _saved('BMP'),
    _saved('GIF', 'P'), _saved('WEBP'), _saved('TIFF'), _saved('TIFF', compression='tiff_lzw'),
    _saved('PPM'), _saved('TGA')]


def check_image(content: bytes) -> bool:
    """Whether both decoders read a file; what one refuses for its header, both refuse."""
    read = []
    with file_with('x.img', content) as path:
        for backend in ('cv2', 'pillow'):
            loader = TRANSFORMS.build(dict(
                type='LoadImageChecked', imdecode_backend=backend, max_pixels=10**6))

            def load(loader: Any = loader, path: str = str(path)) -> None:
                image = loader(dict(img_path=path))['img']
                assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
            read.append(documented(load, 'x.img'))
    return any(read)


KINDS = {
    'coco': Kind(st.one_of(mutated(COCO).map(to_bytes), damaged(to_bytes(COCO))), check_coco),
    'csv': Kind(st.tuples(st.just('a.csv'), st.builds(encode, CSV, ENCODINGS)), check_table),
    'jsonl': Kind(st.tuples(st.just('a.jsonl'), st.builds(encode, JSONL, ENCODINGS)), check_table),
    'voc': Kind(voc_cases(), check_voc),
    'image': Kind(st.sampled_from(SOUND).flatmap(damaged), check_image),
}
