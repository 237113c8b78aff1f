"""The synthetic set: what is drawn, what is annotated, and what happens to broken sets."""

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from tresnet_mm.datasets.shape_outlines import OUTLINES, draw_mask
from tresnet_mm.datasets.shapes import (
    HUES,
    SHAPES_SET,
    SPARSE_SHAPES_SET,
    ShapesSpec,
    draw_image,
    is_complete,
    make_shapes,
)

SMALL = ShapesSpec(num_train=6, num_val=3, size=64)


def contents(root: Path) -> dict[str, bytes]:
    return {str(f.relative_to(root)): f.read_bytes() for f in root.rglob('*') if f.is_file()}


def polygon_area(points: np.ndarray) -> float:
    x, y = points.T
    return 0.5 * abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))


@pytest.mark.parametrize('shape', OUTLINES)
@pytest.mark.parametrize('angle', [0.0, 0.7])
def test_mask_covers_the_area_of_the_polygon(shape: str, angle: float) -> None:
    outline = OUTLINES[shape]
    assert max(np.hypot(*p.T).max() for p in outline) <= 1 + 1e-6
    radius = 30.0
    expected = radius**2 * (polygon_area(outline[0]) - sum(map(polygon_area, outline[1:])))
    mask = draw_mask(outline, np.array([40.0, 35.0]), radius, angle, 80)
    assert mask.shape == (80, 80)
    assert mask.min() >= 0 and mask.max() <= 1
    assert mask.sum() == pytest.approx(expected, rel=0.05)


def test_mask_lies_where_it_was_asked_for() -> None:
    mask = draw_mask(OUTLINES['circle'], np.array([20.25, 40.5]), 10.0, 0.0, 64)
    rows, columns = np.indices(mask.shape) + 0.5
    assert (mask * columns).sum() / mask.sum() == pytest.approx(20.25, abs=0.05)
    assert (mask * rows).sum() / mask.sum() == pytest.approx(40.5, abs=0.05)


def test_same_parameters_same_bytes(tmp_path: Path) -> None:
    assert make_shapes(tmp_path / 'a', SMALL)
    assert make_shapes(tmp_path / 'b', SMALL)
    assert contents(tmp_path / 'a') == contents(tmp_path / 'b')
    assert make_shapes(tmp_path / 'c', dataclasses.replace(SMALL, seed=1))
    assert contents(tmp_path / 'a') != contents(tmp_path / 'c')


def test_train_and_val_differ(tmp_path: Path) -> None:
    make_shapes(tmp_path / 'set', SMALL)
    train, val = (cv2.imread(str(tmp_path / 'set' / s / '000001.jpg')) for s in ('train', 'val'))
    assert (train != val).any()


def test_annotations_are_what_coco_expects(tmp_path: Path) -> None:
    make_shapes(tmp_path / 'set', SMALL)
    coco = COCO(tmp_path / 'set/annotations/instances_train.json')
    assert [c['name'] for c in coco.loadCats(coco.getCatIds())] == list(SMALL.class_names)
    assert len(coco.getImgIds()) == SMALL.num_train
    for image in coco.loadImgs(coco.getImgIds()):
        pixels = cv2.imread(str(tmp_path / 'set/train' / image['file_name']))
        assert pixels.shape == (image['height'], image['width'], 3) == (64, 64, 3)
        annotations = coco.loadAnns(coco.getAnnIds(image['id']))
        assert 1 <= len(annotations) <= SMALL.max_objects
        for annotation in annotations:
            rows, columns = coco.annToMask(annotation).nonzero()
            assert annotation['area'] == len(rows)
            x, y, width, height = annotation['bbox']
            assert (x, y) == (columns.min(), rows.min())
            assert (x + width, y + height) == (columns.max() + 1, rows.max() + 1)


def test_no_object_is_hidden(tmp_path: Path) -> None:
    spec = dataclasses.replace(SHAPES_SET, size=96, max_objects=5)
    for index in range(30):
        _, objects = draw_image(spec, np.random.default_rng(index))
        assert objects
        taken = sum(mask.astype(int) for _, mask in objects)
        assert taken.max() <= 1  # what one object shows, no other one shows
        # the smallest shape of all (the ring, radius 0.09 of the side) at its least visible
        assert min(mask.sum() for _, mask in objects) > 0.4 * np.pi * (0.09 * 96) ** 2 * 0.45


def test_class_decides_the_hue_of_the_sparse_set() -> None:
    spec = dataclasses.replace(SPARSE_SHAPES_SET, max_objects=1)
    assert len(set(spec.class_names)) == 48
    for index in range(20):
        image, [(label, mask)] = draw_image(spec, np.random.default_rng(index))
        inner = cv2.erode(mask.astype(np.uint8), np.ones((3, 3))).astype(bool)
        red, green, blue = np.median(image[inner], axis=0) / 255
        hue = cv2.cvtColor(np.float32([[[red, green, blue]]]), cv2.COLOR_RGB2HSV)[0, 0, 0] / 360
        assert round(hue * len(HUES)) % len(HUES) == label % len(HUES)
        assert spec.class_names[label].startswith(HUES[label % len(HUES)])


def test_sparse_set_is_as_sparse_as_coco() -> None:
    labels = [
        len({label for label, _ in draw_image(SPARSE_SHAPES_SET, np.random.default_rng(i))[1]})
        for i in range(200)
    ]
    assert 0.04 < np.mean(labels) / len(SPARSE_SHAPES_SET.class_names) < 0.06


def test_a_whole_set_is_left_alone(tmp_path: Path) -> None:
    root = tmp_path / 'set'
    make_shapes(root, SMALL)
    (root / 'train/000001.jpg').write_bytes(b'touched')
    assert not make_shapes(root, SMALL)
    assert (root / 'train/000001.jpg').read_bytes() == b'touched'


@pytest.mark.parametrize(
    'damage',
    [
        lambda root: (root / 'val/000002.jpg').unlink(),
        lambda root: (root / 'val/000002.jpg').write_bytes(b''),
        lambda root: (root / 'annotations/instances_val.json').unlink(),
        lambda root: (root / 'annotations/instances_train.json').write_text('{"images": ['),
        lambda root: (root / 'shapes.json').write_text('{"spec":'),
        lambda root: (root / 'shapes.json').write_text('[]'),
    ],
)
def test_a_damaged_set_is_made_again(tmp_path: Path, damage) -> None:
    root = tmp_path / 'set'
    make_shapes(root, SMALL)
    whole = contents(root)
    damage(root)
    assert not is_complete(root, SMALL)
    assert make_shapes(root, SMALL)
    assert contents(root) == whole


def test_other_parameters_make_another_set(tmp_path: Path) -> None:
    make_shapes(tmp_path / 'set', dataclasses.replace(SMALL, max_objects=2))
    assert make_shapes(tmp_path / 'set', SMALL)
    assert json.loads((tmp_path / 'set/shapes.json').read_text())['spec'] == SMALL.to_dict()


def test_an_interrupted_run_leaves_no_set(tmp_path: Path, monkeypatch) -> None:
    encode, calls = coco_mask.encode, []

    def fail_later(mask):
        calls.append(1)
        if len(calls) > 4:
            raise KeyboardInterrupt
        return encode(mask)

    monkeypatch.setattr(coco_mask, 'encode', fail_later)
    with pytest.raises(KeyboardInterrupt):
        make_shapes(tmp_path / 'set', SMALL)
    assert not (tmp_path / 'set').exists()
    monkeypatch.undo()
    assert make_shapes(tmp_path / 'set', SMALL)
    assert is_complete(tmp_path / 'set', SMALL)
    assert not (tmp_path / '.set.partial').exists()


def test_a_picture_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(cv2, 'imwrite', lambda *args: False)  # as where the disk is full
    with pytest.raises(OSError, match='could not write .*000001.jpg'):
        make_shapes(tmp_path / 'set', SMALL)
    assert not (tmp_path / 'set').exists()


def test_a_folder_of_something_else_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / 'train').mkdir()
    (tmp_path / 'train/holiday.jpg').write_bytes(b'mine')
    with pytest.raises(FileExistsError, match='not a set of shapes'):
        make_shapes(tmp_path, SMALL)
    assert (tmp_path / 'train/holiday.jpg').read_bytes() == b'mine'


@pytest.mark.parametrize(
    'wrong',
    [dict(size=8), dict(num_val=0), dict(radius=(0.3, 0.2)), dict(num_shapes=9), dict(seed=-1),
     dict(min_visible=1.5)],
)  # fmt: skip
def test_impossible_parameters_are_named(wrong: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ShapesSpec(**wrong)
