"""The file that runs exported models without this package, against this package."""

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import onnx
import pytest
import torch
from mmdet.models.roi_heads.mask_heads.fcn_mask_head import _do_paste_mask
from PIL import Image
from pycocotools import mask as coco_mask

from tests.deploy import own_truth
from tresnet_mm import Inferencer
from tresnet_mm.__main__ import main
from tresnet_mm.datasets.image_file import decode_image
from tresnet_mm.deploy import onnx_runner
from tresnet_mm.deploy.onnx_runner import OnnxRunner

ROOT = Path(onnx_runner.__file__).resolve().parents[2]
KINDS = ['classifier', 'single-label', pytest.param('detector', marks=pytest.mark.slow),
         pytest.param('joint', marks=pytest.mark.slow),
         pytest.param('masks', marks=pytest.mark.slow)]
TASK_OF = dict(classifier='multilabel', detector='detection', masks='detection')


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    """Kind of model -> its data, and its file without and with preprocessing inside."""
    found = {}

    def of(kind: str) -> tuple:
        if kind not in found:
            folder = tmp_path_factory.mktemp(kind)
            files = own_truth.make(kind, folder)
            paths = []
            for name, more in (('plain', []), ('inside', ['--with-preprocessing'])):
                paths.append(folder / f'{name}.onnx')
                if kind != 'single-label' or name == 'plain':  # its resizing needs torch>=2.4
                    main(['export', str(files.config), str(files.checkpoint), '-o', str(paths[-1]),
                          '--size', '64', '64', *more])
            found[kind] = files, *paths
        return found[kind]
    return of


def assert_close(found: dict, expected: dict, scores: float, pixels: float) -> None:
    """Two results of one image are the same up to rounding."""
    for key in ('path', 'width', 'height'):
        assert found.get(key) == expected.get(key)
    for part, wanted in ((found, expected), *(
            (found['image_labels'][name], heads) for name, heads in
            expected.get('image_labels', {}).items())):
        if 'scores' in wanted:
            assert part['scores'] == pytest.approx(wanted['scores'], abs=scores)
            assert [x['label'] for x in part['labels']] == [x['label'] for x in wanted['labels']]
    assert ('boxes' in found) == ('boxes' in expected)
    assert len(found.get('boxes', ())) == len(expected.get('boxes', ()))
    for box, wanted in zip(found.get('boxes', ()), expected.get('boxes', ()), strict=True):
        assert (box['label'], box['label_id']) == (wanted['label'], wanted['label_id'])
        assert box['score'] == pytest.approx(wanted['score'], abs=scores)
        assert box['bbox'] == pytest.approx(wanted['bbox'], abs=pixels)
        assert ('mask' in box) == ('mask' in wanted)
        if 'mask' in box:
            differs = box['mask'] != coco_mask.decode(wanted['mask'])
            assert differs.sum() <= 0.01 * differs.size


@pytest.mark.parametrize('kind', KINDS)
def test_results_are_the_inferencers(kind, exported):
    files, plain, inside = exported(kind)
    expected = Inferencer(str(files.config), str(files.checkpoint), 'cpu', show_progress=False)(
        files.images, score_thr=0.2)
    assert all(result.get('labels', True) or kind == 'classifier' for result in expected)
    assert sum(len(result.get('boxes', ())) for result in expected) > 9 or kind in (
        'classifier', 'single-label')
    runner = OnnxRunner(plain, threads=1)
    assert runner.task == TASK_OF.get(kind, kind)
    for batch_size in (1, 4):
        for found, wanted in zip(runner(files.images, batch_size, 0.2), expected, strict=True):
            assert_close(found, wanted, 1e-5, 1e-2)
    pixels = np.asarray(Image.open(files.images[0]))
    for item in (Image.open(files.images[0]), pixels):
        [found] = runner(item, score_thr=0.2)
        assert_close(found, dict(expected[0], path=None), 1e-5, 1e-2)
    if kind == 'single-label':
        return
    for found, wanted in zip(OnnxRunner(inside)(files.images, 1, 0.2), expected, strict=True):
        if 'boxes' in found:  # one level of a pixel may move a box over the threshold
            found['boxes'] = wanted['boxes'] = []
        assert_close(found, wanted, 1e-3, 0.5)


@pytest.mark.parametrize('size, wanted', [
    ((70, 96), (35, 48)), ((70, 96), (70, 96)), ((33, 47), (64, 64)), ((201, 77), (64, 25)),
    ((3, 5), (40, 70)), ((1, 9), (7, 2)), ((640, 427), (800, 534))])
def test_opencvs_resizing_is_its_own_to_the_level(size, wanted):
    pixels = np.random.randint(0, 256, (*size, 3), dtype=np.uint8)
    np.testing.assert_array_equal(onnx_runner.resize_as_opencv(pixels, *wanted),
                                  cv2.resize(pixels, wanted[::-1]))


def encoded(image: Image.Image, kind: str, orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(stream := io.BytesIO(), kind, **(dict(exif=exif) if kind == 'JPEG' else {}))
    return stream.getvalue()


@pytest.mark.parametrize('mode, kind', [
    ('L', 'PNG'), ('LA', 'PNG'), ('P', 'PNG'), ('RGBA', 'PNG'), ('1', 'PNG'), ('I;16', 'PNG'),
    ('CMYK', 'JPEG'), ('RGB', 'BMP')] + [('RGB', 'JPEG')] * 8)
def test_files_are_read_as_this_package_reads_them(mode, kind, tmp_path, request):
    number = request.node.callspec.indices['mode']
    orientation = number - 7 if (mode, kind) == ('RGB', 'JPEG') else 1
    noise = Image.fromarray(np.random.randint(0, 256, (20, 30, 3), dtype=np.uint8))
    if mode == 'I;16':
        image = Image.fromarray(np.random.randint(0, 65536, (20, 30)).astype(np.uint16))
    else:
        image = noise.convert(mode)
    path = tmp_path / 'a'
    path.write_bytes(encoded(image, kind, orientation))
    found = onnx_runner.read_image(str(path), 'a')
    np.testing.assert_array_equal(
        found, decode_image(path.read_bytes(), backend='pillow')[..., ::-1])
    assert found.shape == ((30, 20, 3) if orientation > 4 else (20, 30, 3))


def test_masks_are_pasted_as_mmdet_pastes_them():
    boxes = torch.tensor([[3.2, 4.1, 30.7, 21.9], [-5.5, 10., 12., 80.], [40., 40., 40.5, 41.],
                          [60.2, 3., 95., 20.]])
    masks = torch.rand(4, 14, 14)
    pasted, region = _do_paste_mask(masks[:, None], boxes, 50, 70)
    expected = torch.zeros(4, 50, 70, dtype=torch.bool)
    expected[(slice(None), *region)] = pasted >= 0.5
    for mask, box, wanted in zip(masks.numpy(), boxes.numpy(), expected.numpy(), strict=True):
        found = onnx_runner.paste_mask(mask, box, (50, 70), 0.5)
        assert (found != wanted).sum() <= 1  # a probability of 0.5, to rounding
    assert expected.flatten(1).any(1)[[0, 1, 3]].all()
    for box in ([5, 5, 5, 9], [80, 2, 90, 9]):  # of no width; outside
        assert not onnx_runner.paste_mask(masks[0].numpy(), np.array(box), (50, 70), 0.5).any()


@pytest.mark.parametrize('fill', [0.0, 0.5, 1.0])
def test_the_code_of_a_mask_is_cocos(fill):
    mask = np.random.rand(7, 9) < fill
    said = onnx_runner._in_json(mask)
    assert sum(said['counts']) == mask.size
    code = coco_mask.frPyObjects(said, *mask.shape)
    np.testing.assert_array_equal(coco_mask.decode(code), mask)


def changed(path: Path, out: Path, **said: str | None) -> Path:
    proto = onnx.load(path)
    kept = {entry.key: entry.value for entry in proto.metadata_props} | said
    onnx.helper.set_model_props(proto, {k: v for k, v in kept.items() if v is not None})
    onnx.save(proto, out)
    return out


DAMAGED = {
    'no task': (dict(task=None), 'was not written by tresnet-mm export'),
    'other task': (dict(task='segmentation'), 'was not written by tresnet-mm export'),
    'no preprocessing': (dict(preprocessing=None), 'does not say how its images are prepared'),
    'no JSON': (dict(preprocessing='{'), 'the preprocessing in its metadata are damaged: {'),
    'another thing': (dict(preprocessing='[]'), 'the preprocessing in its metadata'),
    'classes': (dict(classes='{"a": 1}'), 'the classes in its metadata'),
    'number of classes': (dict(classes='["a", "b"]'), 'name 2 classes or thresholds for 3 scores'),
    'thresholds': (dict(thresholds='[0.5, NaN, 1]'), 'the thresholds in its metadata'),
    'heads': (dict(image_heads='{"weather": {"kind": "x"}}'), 'the image_heads in its metadata'),
    'mode': (dict(preprocessing='mode'), 'the preprocessing in its metadata'),
    'size': (dict(preprocessing='size'), 'the preprocessing in its metadata'),
    'std': (dict(preprocessing='std'), 'the preprocessing in its metadata'),
}
WRONG = dict(mode='stretched', size=[0, 96], std=[1, 0, 1])


@pytest.mark.parametrize('name', DAMAGED)
def test_damaged_metadata_are_told_in_one_line(name, exported, tmp_path, capsys):
    files, plain, _ = exported('classifier')
    capsys.readouterr()  # of the export, if this is the first that needs it
    said, words = DAMAGED[name]
    key = said.get('preprocessing')
    if key in WRONG:
        props = {entry.key: entry.value for entry in onnx.load(plain).metadata_props}
        said = dict(preprocessing=json.dumps(
            json.loads(props['preprocessing']) | {key: WRONG[key]}))
    path = changed(plain, tmp_path / 'a.onnx', **said)
    assert onnx_runner.main([str(path), str(files.images[0])]) == 2
    captured = capsys.readouterr()
    assert not captured.out and captured.err.count('\n') == 1
    assert captured.err.startswith(f'onnx_runner: error: {path}') and words in captured.err


def test_other_mistakes_are_told_in_one_line(exported, tmp_path, capsys):
    files, plain, _ = exported('classifier')
    capsys.readouterr()  # of the export, if this is the first that needs it
    image = str(files.images[0])
    (tmp_path / 'text.png').write_text('no picture')
    (tmp_path / 'half.png').write_bytes(files.images[0].read_bytes()[:-300])
    (tmp_path / 'text.onnx').write_text('no model')
    for argv, words in (
            ([tmp_path / 'absent.onnx', image], 'absent.onnx does not exist'),
            ([tmp_path / 'text.onnx', image], 'text.onnx is damaged or no ONNX file'),
            ([plain, tmp_path / 'absent.jpg'], "absent.jpg' does not exist"),
            ([plain, tmp_path], 'is no file'),
            ([plain, tmp_path / 'text.png'], "text.png' cannot be read: it is in no known format"),
            ([plain, tmp_path / 'half.png'], "half.png' cannot be read"),
            ([plain, image, '--batch-size', '0'], 'batch_size must be at least 1')):
        assert onnx_runner.main([str(arg) for arg in argv]) == 2
        captured = capsys.readouterr()
        assert not captured.out and captured.err.count('\n') == 1 and words in captured.err
    for item, words in ((np.zeros((4, 4)), r'images\[0\] should be pixels uint8'),
                        (None, r'images\[0\] should be a path'),
                        (Image.fromarray(np.zeros((4, 4), np.float32)), 'mode F')):
        with pytest.raises(ValueError, match=words):
            OnnxRunner(plain)([item])


def test_a_json_object_a_line(exported, capsys):
    files, plain, _ = exported('classifier')
    images = [str(path) for path in files.images[:3]]
    capsys.readouterr()  # what the export has said
    assert onnx_runner.main([str(plain), *images, '--batch-size', '2', '--threads', '1']) == 0
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert said == OnnxRunner(plain, threads=1)(images, batch_size=2)


def test_scores_that_are_no_numbers_are_told(exported):
    files, plain, _ = exported('classifier')
    runner = OnnxRunner(plain, threads=1)
    runner.session = SimpleNamespace(run=lambda names, feed: [
        np.full((1, 3), np.nan, np.float32) for _ in runner.outputs])
    with pytest.raises(ValueError, match=f'{plain} gives scores that are NaN or infinite'):
        runner(files.images[0])


def test_pixels_of_rare_kinds(tmp_path, monkeypatch):
    palette = Image.new('P', (3, 2))
    palette.putpalette([200, 100, 50] * 256)
    pixels = onnx_runner.read_image(palette.convert('PA'), 'it')
    np.testing.assert_array_equal(pixels, np.full((2, 3, 3), [200, 100, 50], np.uint8))
    levels = Image.fromarray(np.full((2, 3), 40_000, np.int32))
    np.testing.assert_array_equal(onnx_runner.read_image(levels, 'it'),
                                  np.full((2, 3, 3), 40_000 >> 8, np.uint8))
    for level in (-1, 65536):
        with pytest.raises(ValueError, match='mode I with levels beyond 16 bits is not supported'):
            onnx_runner.read_image(Image.fromarray(np.full((2, 3), level, np.int32)), 'it')
    monkeypatch.setattr(onnx_runner, 'MAX_PIXELS', 5)
    palette.save(tmp_path / 'large.png')
    with pytest.raises(ValueError, match="large.png' cannot be read: it has more than 5 pixels"):
        onnx_runner.read_image(str(tmp_path / 'large.png'), 'it')


def test_it_stands_alone():
    """It imports nothing but onnxruntime, NumPy, Pillow and Python's own."""
    code = ('import sys, onnx_runner; print(sorted({name.partition(".")[0] for name in sys.modules'
            '} & {"torch", "mmengine", "mmcv", "mmdet", "cv2", "tresnet_mm"}))')
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True,
        env=dict(os.environ, PYTHONPATH=str(Path(onnx_runner.__file__).parent)))
    assert done.stdout.strip() == '[]'


@pytest.fixture(scope='module')
def elsewhere(tmp_path_factory) -> Path:
    """A folder with the file alone, and an environment of the three packages as ``env``."""
    folder = tmp_path_factory.mktemp('elsewhere')
    subprocess.run([sys.executable, '-m', 'venv', str(folder / 'env')], check=True)
    installed = subprocess.run(
        [str(folder / 'env/bin/python'), '-m', 'pip', 'install', '-q', '-c',
         str(ROOT / 'constraints.txt'), 'onnxruntime', 'numpy', 'pillow'],
        capture_output=True, text=True)
    if installed.returncode:
        pytest.skip('onnxruntime, numpy and pillow cannot be installed into a new environment: '
                    + installed.stderr.strip().splitlines()[-1])
    shutil.copy(onnx_runner.__file__, folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['classifier', 'detector', 'joint'])
def test_in_another_environment_real_images_give_the_same(kind, elsewhere, exported, coco_tiny):
    files, plain, _ = exported(kind)
    images = [str(path) for path in sorted((coco_tiny / 'val2017').glob('*.jpg'))[:8]]
    expected = Inferencer(str(files.config), str(files.checkpoint), 'cpu', show_progress=False)(
        images, score_thr=0.1)
    shutil.copy(plain, elsewhere / 'model.onnx')
    done = subprocess.run(
        [str(elsewhere / 'env/bin/python'), 'onnx_runner.py', 'model.onnx', *images,
         '--batch-size', '3', '--threads', '1', '--score-thr', '0.1'],
        cwd=elsewhere, capture_output=True, text=True,
        env={key: value for key, value in os.environ.items() if key != 'PYTHONPATH'})
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert sum(len(x.get('boxes', x.get('labels'))) for x in results) >= len(images)
    for found, wanted in zip(results, expected, strict=True):
        assert_close(found, wanted, 1e-3, 0.5)
