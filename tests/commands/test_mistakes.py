"""``tresnet-mm mistakes`` on a few small images: what is written, and wrong arguments."""

import json
from pathlib import Path

import mmcv
import numpy as np
import pytest
from mmengine.config import Config

from tresnet_mm.commands import mistakes
from tresnet_mm.thresholds import save_thresholds

CLASSES = ('circle', 'square', 'triangle', 'star', 'cross', 'ring')
CONFIG = """
default_scope = 'mmdet'
custom_imports = dict(imports=['tresnet_mm'])
model = dict(type='MultiLabelClassifier', head=dict(type='MultiLabelLinearHead', num_classes=6,
             loss=dict(type='AsymmetricLoss', gamma_neg=4, gamma_pos=0, clip=0.05)))
test_dataloader = dict(dataset=dict(
    type='CocoDataset', data_root=r'{root}', ann_file='annotations/instances_val.json',
    data_prefix=dict(img='val/'), metainfo=dict(classes={classes}), test_mode=True, pipeline=[]))
"""


@pytest.fixture
def root(tmp_path) -> Path:
    """Four images with a square each, as the shapes' validation data; the last has none."""
    things = [dict(id=i, image_id=i, category_id=2, bbox=[8, 8, 16, 16], area=256, iscrowd=0)
              for i in range(1, 4)]
    content = dict(
        images=[dict(id=i, file_name=f'{i}.png', width=48, height=48) for i in range(1, 5)],
        categories=[dict(id=i, name=name) for i, name in enumerate(CLASSES, start=1)],
        annotations=things)
    (tmp_path / 'annotations').mkdir()
    (tmp_path / 'annotations/instances_val.json').write_text(json.dumps(content))
    for i in range(1, 5):
        image = np.full((48, 48, 3), 40 * i, np.uint8)
        mmcv.imwrite(image, str(tmp_path / f'val/{i}.png'))
    (tmp_path / 'config.py').write_text(CONFIG.format(root=tmp_path, classes=CLASSES))
    return tmp_path


def run(root: Path, results: str | Path, *options: str, out: str = 'm') -> Path:
    mistakes.main([str(root / 'config.py'), str(root / results), '--out-dir', str(root / out),
                   *options])
    return root / out


def written(folder: Path, name: str) -> list[dict]:
    records = json.loads((folder / f'{name}.json').read_text())
    picture = folder / f'{name}.png'
    assert picture.is_file() == bool(records)
    if records:
        assert mmcv.imread(str(picture)).std() > 1
    return [{**record, 'image': Path(record['image']).name} for record in records]


def test_boxes(root, capsys):
    results = [dict(image_id=1, category_id=2, bbox=[8, 8, 16, 16], score=0.9),
               dict(image_id=2, category_id=4, bbox=[8, 8, 16, 16], score=0.8),
               dict(image_id=4, category_id=1, bbox=[30, 30, 10, 10], score=0.7),
               dict(image_id=3, category_id=2, bbox=[8, 8, 16, 16], score=0.2)]
    (root / 'r.bbox.json').write_text(json.dumps(results))
    # the name that --out was given serves too
    run(root, 'r.json')
    alarms = written(root / 'm', 'false_alarms')
    assert alarms == [
        dict(image='2.png', box=[8, 8, 24, 24], kind='other class', score=0.8, overlap=1.0,
             overlaps='square', **{'class': 'star'}),
        dict(image='4.png', box=[30, 30, 40, 40], kind='nothing there', score=0.7, overlap=0.0,
             overlaps=None, **{'class': 'circle'})]
    assert written(root / 'm', 'doubtful') == alarms
    assert [(m['image'], m['class']) for m in written(root / 'm', 'missed')] == [
        ('2.png', 'square'), ('3.png', 'square')]
    assert {'confusion.png', 'co_occurrence.png'} <= {f.name for f in (root / 'm').iterdir()}
    assert 'index' not in capsys.readouterr().out


def save_scores(root: Path) -> Path:
    scores = np.full((4, 6), 0.1, np.float32)
    targets = np.zeros((4, 6), np.int8)
    targets[:3, 1] = 1
    scores[0, 1], scores[1, 1], scores[2, 1] = 0.9, 0.8, 0.3
    scores[3, 4] = 0.95
    file = root / 'scores.npz'
    np.savez(file, scores=scores, targets=targets, classes=np.array(CLASSES),
             images=np.array([str(root / f'val/{i}.png') for i in range(1, 5)]))
    return file


def test_labels(root):
    out = run(root, save_scores(root), '--number', '3')
    assert [r['image'] for r in written(out, 'highest_loss')][:2] == ['4.png', '3.png']
    assert written(out, 'false_alarms') == [
        dict(image='4.png', score=0.95, labelled=False, **{'class': 'cross'})]
    assert written(out, 'missed') == [
        dict(image='3.png', score=0.3, labelled=True, **{'class': 'square'})]
    assert [(r['image'], r['class']) for r in written(out, 'doubtful')] == []
    assert {'confusion.png', 'co_occurrence.png'} <= {f.name for f in out.iterdir()}


def test_the_loss_is_the_configs_or_cross_entropy(root):
    for loss in ('config', 'bce'):
        run(root, save_scores(root), '--loss', loss, out=loss)
    entropy = {r['image']: r['loss'] for r in written(root / 'bce', 'highest_loss')}
    assert entropy['4.png'] == pytest.approx(-np.log(0.05) - 5 * np.log(0.9), abs=1e-3)
    asymmetric = {r['image']: r['loss'] for r in written(root / 'config', 'highest_loss')}
    # gamma_neg 4, gamma_pos 0, clip 0.05: q = 1 - p + 0.05
    q = np.array([0.1] + [0.95] * 5)
    assert asymmetric['4.png'] == pytest.approx(
        (-(1 - q) ** 4 * np.log(q)).sum(), abs=1e-3)


def save_single(root: Path, **changes) -> Path:
    scores = np.full((4, 6), 0.02, np.float32)
    for image, (label, rest) in enumerate([(1, 0), (2, 1), (1, 3), (1, 0)]):
        scores[image, label], scores[image, rest] = 0.6 + 0.1 * image, 0.3 - 0.1 * image
    content = dict(scores=scores, targets=np.eye(6, dtype=np.int8)[[1, 1, 3, 1]],
                   classes=np.array(CLASSES),
                   images=np.array([str(root / f'val/{i}.png') for i in range(1, 5)]))
    np.savez(root / 'single.npz', **{**content, **changes})
    config = (root / 'config.py').read_text()
    (root / 'config.py').write_text(config.replace('MultiLabelLinearHead', 'SingleLabelHead'))
    return root / 'single.npz'


def test_one_label_an_image(root, capsys):
    out = run(root, save_single(root))
    wrong = written(out, 'wrong')
    assert wrong == [
        dict(image='3.png', label='star', label_score=0.1, predicted='square',
             predicted_score=0.8),
        dict(image='2.png', label='square', label_score=0.2, predicted='triangle',
             predicted_score=0.7)]
    worst = written(out, 'highest_loss')
    assert [(r['image'], r['predicted']) for r in worst] == [
        ('3.png', 'square'), ('2.png', 'triangle'), ('1.png', 'square'), ('4.png', 'square')]
    assert worst[0]['loss'] == pytest.approx(-np.log(0.1), abs=1e-3)
    assert [(r['image'], r['likely']) for r in written(out, 'doubtful')] == [('3.png', 'square')]
    assert sorted(file.name for file in out.glob('*.png')) == [
        'confusion.png', 'doubtful.png', 'highest_loss.png', 'wrong.png']


def test_images_that_come_with_their_data_set(root):
    """CIFAR's have no files: each picture is the record's, in RGB."""
    images = np.random.default_rng(0).integers(0, 256, (4, 3, 32, 32), np.uint8)
    (root / 'batches.meta.txt').write_text('\n'.join(CLASSES))
    (root / 'test_batch.bin').write_bytes(b''.join(
        bytes([label]) + image.tobytes()
        for label, image in zip((1, 1, 3, 1), images, strict=True)))
    names = [f'test_batch.bin:{i}' for i in range(4)]
    file = save_single(root, images=np.array(names))
    (root / 'config.py').write_text((root / 'config.py').read_text() + f"""
test_dataloader = dict(dataset=dict(
    type='CIFAR10', data_root=r'{root}', train=False, test_mode=True, pipeline=[]))""")
    assert [r['image'] for r in written(run(root, file), 'wrong')] == names[2:0:-1]
    read = mistakes.image_reader(Config.fromfile(root / 'config.py'))
    for name, image in zip(names, images, strict=True):
        np.testing.assert_array_equal(read(name), image.transpose(1, 2, 0))
    with pytest.raises(ValueError, match='test_batch.bin:9 is no image of the CIFAR10'):
        read('test_batch.bin:9')


@pytest.mark.parametrize('changes, options, message', [
    (dict(targets=np.ones((4, 6), np.int8)), (), '1.png has 6 labels, and the model'),
    ({}, ('--thresholds', '0.4'), '--thresholds 0.4: the model of'),
])
def test_what_is_not_for_one_label_is_refused(changes, options, message, root, capsys):
    with pytest.raises(SystemExit):
        run(root, save_single(root, **changes), *options)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize('name, content, message', [
    ('p.pkl', b'', 'the suffix should be .npz .image labels. or .json'),
    ('none.npz', None, 'none.npz does not exist'),
    ('broken.npz', b'PK', 'no file of scores'),
    ('object.json', b'{}', 'no list of predictions'),
    ('fields.json', b'[{"image_id": 1}]', 'each with image_id, category_id, bbox, score'),
    ('other.json', b'[{"image_id": 99, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 1}]',
     'such as the one with id 99'),
    ('class.json', b'[{"image_id": 1, "category_id": 9, "bbox": [0, 0, 1, 1], "score": 1}]',
     'predictions of category 9, which .*instances_val.json has not'),
    ('box.json', b'[{"image_id": 1, "category_id": 1, "bbox": [0, 0, 1], "score": 1}]',
     'bbox of prediction 0 should be four finite numbers'),
    ('score.json', b'[{"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "score": "1"}]',
     "score of prediction 0 should be a finite number, got '1'"),
])
def test_wrong_results_are_one_line_and_nothing_is_written(root, name, content, message):
    if content is not None:
        (root / name).write_bytes(content)
    with pytest.raises(SystemExit, match=f'^mistakes: error: .*{message}') as stop:
        run(root, name)
    assert '\n' not in str(stop.value) and not (root / 'm').exists()


def test_thresholds_of_a_file_are_those_of_its_names(root):
    scores = save_scores(root)
    values = [0.05, 0.85, 0.5, 0.5, 0.99, 0.5]
    save_thresholds(root / 't.json', values[::-1], CLASSES[::-1])
    out = run(root, scores, '--thresholds', str(root / 't.json'))
    assert sorted((r['image'], r['class']) for r in written(out, 'false_alarms')) == [
        (f'{i}.png', 'circle') for i in range(1, 5)]
    assert [(r['image'], r['class']) for r in written(out, 'missed')] == [
        ('3.png', 'square'), ('2.png', 'square')]


COCO = "dict(type='CocoDataset', ann_file='a.json')"


@pytest.mark.parametrize('data, message', [
    (f"dict(type='ConcatDataset', datasets=[{COCO}, {COCO}])", 'has 2 datasets; for boxes it shou'),
    ("dict(type='CustomMultiLabel', ann_file='labels.csv')",
     r".*a CustomMultiLabel of 'labels\.csv'; for boxes it should be a CocoDataset")])
def test_boxes_are_of_one_data_set_of_coco(root, data, message):
    with (root / 'config.py').open('a') as file:
        file.write(f'test_dataloader = dict(dataset={data})\n')
    (root / 'none.json').write_text('[]')
    with pytest.raises(SystemExit, match=f'^mistakes: error: test_dataloader.*{message}'):
        run(root, 'none.json')


def test_an_image_that_is_gone_is_named(root):
    scores = save_scores(root)
    (root / 'val/4.png').unlink()
    with pytest.raises(SystemExit, match=r"image '.*4\.png' does not exist"):
        run(root, scores)
