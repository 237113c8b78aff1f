"""Images in, boxes and labels out: against the model itself, and one image against many."""

import json

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import MODELS, TRANSFORMS, DefaultScope
from mmengine.structures import BaseDataElement, InstanceData
from PIL import Image
from pycocotools import mask as coco_mask

from tresnet_mm import Inferencer
from tresnet_mm.checkpoint import CheckpointMismatch
from tresnet_mm.checkpoint.publishing import describe as describe_model
from tresnet_mm.checkpoint.publishing import write_published
from tresnet_mm.deploy import export_onnx
from tresnet_mm.inference.results import Decision, describe
from tresnet_mm.thresholds import save_thresholds

from .conftest import CLASSES, SIZES, config

KINDS = ['classifier', 'detector', 'joint']


@pytest.fixture(scope='module')
def inferencers(trained):
    return {kind: Inferencer(*map(str, files), device='cpu', show_progress=False)
            for kind, files in trained.items()}


def close(one: dict, other: dict) -> None:
    """Two results are the same to rounding: float32 sums in another order."""
    assert one.keys() == other.keys()
    assert (one['width'], one['height']) == (other['width'], other['height'])
    if 'scores' in one:
        assert one['scores'] == pytest.approx(other['scores'], abs=1e-5)
        assert [x['label'] for x in one['labels']] == [x['label'] for x in other['labels']]
    if 'boxes' in one:
        assert len(one['boxes']) == len(other['boxes']) > 0
        for a, b in zip(one['boxes'], other['boxes'], strict=True):
            assert a['label'] == b['label']
            assert a['score'] == pytest.approx(b['score'], abs=1e-5)
            assert a['bbox'] == pytest.approx(b['bbox'], abs=1e-3)


@pytest.mark.parametrize('kind', KINDS)
def test_results_are_the_models_own(kind, inferencers, trained, photos):
    cfg = Config.fromfile(trained[kind][0])
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg.model).eval()
        model.load_state_dict(torch.load(trained[kind][1], weights_only=True)['state_dict'])
        data = dict(img_path=str(photos[3]), img_id=0)
        for step in cfg.test_dataloader.dataset.pipeline:
            data = TRANSFORMS.build(step)(data)
    with torch.no_grad():
        sample = model.test_step(pseudo_collate([data]))[0]
    [result] = inferencers[kind](photos[3], score_thr=0.1, top_k=2)
    assert json.loads(json.dumps(result)) == result
    assert (result['path'], result['width'], result['height']) == (str(photos[3]), 128, 101)
    assert ('boxes' in result, 'labels' in result) == (kind != 'classifier', kind != 'detector')
    if 'scores' in result:
        scores = dict(zip(CLASSES, sample.pred_scores.tolist(), strict=True))
        assert result['scores'] == pytest.approx(scores, abs=1e-6)
        best = sorted(scores, key=scores.get, reverse=True)[:2]
        assert [label['label'] for label in result['labels']] == best
    if 'boxes' in result:
        found = sample.pred_instances
        found = found[found.scores > 0.1]
        assert len(result['boxes']) == len(found) > 0
        for box, bbox, score, label in zip(
                result['boxes'], found.bboxes, found.scores, found.labels, strict=True):
            assert box['bbox'] == pytest.approx(bbox.tolist(), abs=1e-4)
            assert box['score'] == pytest.approx(float(score), abs=1e-6)
            assert box['label'] == CLASSES[int(label)] and box['label_id'] == int(label)


@pytest.mark.parametrize('kind', KINDS)
def test_a_batch_of_mixed_sizes_gives_what_single_images_give(kind, inferencers, photos):
    alone = [inferencers[kind](photo, score_thr=0)[0] for photo in photos]
    together = inferencers[kind](photos, batch_size=len(photos), score_thr=0)
    assert [result['path'] for result in together] == list(map(str, photos))
    assert [(result['height'], result['width']) for result in together] == list(SIZES)
    for one, other in zip(alone, together, strict=True):
        close(one, other)
    first, second = (result.get('scores') or [box['score'] for box in result['boxes']]
                     for result in together[:2])
    assert first != second  # so that images that are mixed up would be seen


def test_a_path_pixels_and_a_pillow_image_are_one(inferencers, photos):
    ways = [photos[0], cv2.imread(str(photos[0])), Image.open(photos[0])]
    found = inferencers['joint'](ways, score_thr=0)
    assert [result['path'] for result in found] == [str(photos[0]), None, None]
    assert found[0] == found[1] | dict(path=str(photos[0])) == found[2] | dict(path=str(photos[0]))


@pytest.mark.parametrize('kind', KINDS)
def test_pictures_and_results_are_written_for_each_image(kind, inferencers, photos, tmp_path):
    images = [photos[0], cv2.imread(str(photos[1])), photos[0]]
    found = inferencers[kind](images, tmp_path, batch_size=2)
    names = [photos[0].stem, '00000001', f'{photos[0].stem}_2']
    for name, result in zip(names, found, strict=True):
        assert json.loads((tmp_path / f'preds/{name}.json').read_text()) == result
        height, width = cv2.imread(str(tmp_path / f'vis/{name}.jpg')).shape[:2]
        assert (width >= 320) if kind != 'detector' else (
            (width, height) == (result['width'], result['height']))
    assert len(list(tmp_path.rglob('*.*'))) == 6
    inferencers[kind](images[0], tmp_path / 'bare', no_save_vis=True)
    assert [path.name for path in (tmp_path / 'bare').iterdir()] == ['preds']


def test_boxes_of_a_picture_are_the_results(inferencers, photos, tmp_path):
    """Without a box the picture is the image, with one it is not."""
    for name, score_thr, same in (('none', 1, True), ('some', 0.1, False)):
        inferencers['detector'](photos[3], tmp_path / name, score_thr=score_thr)
        picture = cv2.imread(str(tmp_path / name / 'vis' / f'{photos[3].stem}.jpg'))
        away = np.abs(picture.astype(int) - cv2.imread(str(photos[3]))).max()
        assert (away < 40) == same


def test_labels_are_those_above_the_threshold(inferencers, photos, tmp_path):
    run = inferencers['classifier']
    scores = run(photos[0])[0]['scores']
    ranked = sorted(scores, key=scores.get, reverse=True)

    def labels(**options):
        return [label['label'] for label in run(photos[0], **options)[0]['labels']]

    middle = scores[ranked[1]]
    assert labels(threshold=middle) == ranked[:1]  # above, not at it
    assert labels(threshold=0) == ranked and labels(threshold=1) == []
    assert labels(threshold=[0 if name == ranked[2] else 1 for name in CLASSES]) == ranked[2:]
    assert labels(top_k=1, threshold=1) == ranked[:1]
    save_thresholds(tmp_path / 't.json', [1, 0, 1], [ranked[0], ranked[1], ranked[2]])
    assert labels(threshold=tmp_path / 't.json') == ranked[1:2]


@pytest.mark.parametrize(('options', 'message'), [
    (dict(batch_size=0), 'batch_size must be at least 1, got 0'),
    (dict(top_k=0), 'top_k must be at least 1, got 0'),
    (dict(threshold=[0.5]), 'hold 1 values, but there are 3 classes'),
    (dict(threshold=2), r'thresholds are probabilities in \[0, 1\], got 2'),
])
def test_wrong_arguments_are_named_before_an_image_is_read(options, message, inferencers):
    with pytest.raises(ValueError, match=message):
        inferencers['classifier'].stream(np.zeros((8, 8, 3), np.uint8), **options)


@pytest.fixture
def one_bad(photos, tmp_path):
    bad = tmp_path / 'bad.jpg'
    bad.write_bytes(b'no image')
    return [photos[0], bad, photos[1], tmp_path / 'missing.jpg']


def test_a_bad_image_among_many_is_named(inferencers, one_bad, tmp_path):
    with pytest.raises(FileNotFoundError, match=r'missing.jpg. does not exist'):
        inferencers['classifier'](one_bad, tmp_path / 'out')
    assert not (tmp_path / 'out').exists()
    with pytest.raises(ValueError, match=r"bad.jpg' cannot be read: it is in no image format"):
        inferencers['classifier'](one_bad[:3], tmp_path / 'out')
    written = sorted(path.name for path in (tmp_path / 'out').rglob('*.*'))
    assert written == ['0.jpg', '0.json']  # what came before, whole


def test_bad_images_may_be_left_out(inferencers, one_bad, tmp_path):
    run = inferencers['classifier']
    for batch_size in (1, 3):
        found = run(one_bad, tmp_path / 'out', batch_size=batch_size, skip_bad=True)
        assert [result['path'] for result in found] == [str(one_bad[0]), str(one_bad[2])]
        assert ['bad.jpg' in text for text in run.skipped] == [True, False]
        assert 'missing.jpg' in run.skipped[1]
    assert run(one_bad[1], skip_bad=True) == []
    assert len(run(one_bad[0])) == 1 and run.skipped == []


def test_what_the_pipeline_cannot_take_is_named(inferencers):
    with pytest.raises(ValueError, match=r'image images\[0\] cannot be made an input of the model'):
        inferencers['detector'](np.zeros((1, 400, 3), np.uint8))


def test_an_image_that_the_pipeline_drops_is_named(inferencers, photos, monkeypatch):
    run = inferencers['classifier']
    monkeypatch.setattr(run, 'pipeline', lambda record: None)
    with pytest.raises(ValueError, match=r"0\.png' cannot be made an input .*ValueError: a "
                                         'transform of the test pipeline drops it'):
        run(photos[0])


def test_an_image_without_a_result_is_named(inferencers, photos, monkeypatch):
    run = inferencers['classifier']
    nan = BaseDataElement(pred_scores=torch.full((3,), float('nan')))
    monkeypatch.setattr(run.model, 'test_step', lambda data: [nan])
    with pytest.raises(ValueError, match=r"^image '.*0\.png': .*NaN or infinite"):
        run(photos[0])


def test_no_default_scope_is_left_behind(trained, photos):
    with DefaultScope.overwrite_default_scope('mmengine'):
        Inferencer(*trained['detector'], device='cpu')(photos[0])
        assert DefaultScope.get_current_instance().scope_name == 'mmengine'


@pytest.mark.parametrize('kind', ['classifier', 'detector'])
def test_an_exported_file_gives_what_its_checkpoint_gives(
        kind, inferencers, trained, photos, tmp_path):
    path = tmp_path / 'model.onnx'
    export_onnx(inferencers[kind].model, path, (64, 64), classes=[*'xyz'])
    cfg = Config.fromfile(trained[kind][0])
    if kind == 'classifier':
        cfg.model.head.thresholds = 0.25
    run = Inferencer(cfg, path)
    assert run.classes == ('x', 'y', 'z')
    np.testing.assert_allclose(run.thresholds, [0.25 if kind == 'classifier' else 0.5] * 3)
    expected = inferencers[kind](photos)
    assert kind == 'classifier' or sum(len(result['boxes']) for result in expected) > 5
    for batch_size in (1, len(photos)):
        for one, other in zip(expected, run(photos, batch_size=batch_size), strict=True):
            assert one.keys() == other.keys() and one['path'] == other['path']
            if kind == 'classifier':
                assert [*other['scores'].values()] == pytest.approx(
                    [*one['scores'].values()], abs=1e-5)
            else:
                for a, b in zip(one['boxes'], other['boxes'], strict=True):
                    assert a['label_id'] == b['label_id']
                    assert a['score'] == pytest.approx(b['score'], abs=1e-4)
                    assert a['bbox'] == pytest.approx(b['bbox'], abs=0.05)
    with pytest.raises(ValueError, match='model.onnx does not say which model .* config too'):
        Inferencer(path)


def publish(path, run, thresholds=None) -> None:
    """Publish the model of an `Inferencer` under other class names."""
    published = describe_model(run.source.cfg, dict(classes=['ant', 'bee', 'fly']), thresholds)
    write_published(path, published, run.model.state_dict())


@pytest.mark.parametrize('kind', KINDS)
def test_a_published_file_needs_no_config(kind, inferencers, trained, photos, tmp_path):
    path = tmp_path / 'model.safetensors'
    publish(path, inferencers[kind], thresholds=None if kind == 'detector' else [0, 0, 1])
    run = Inferencer(path, device='cpu')
    assert run.classes == ('ant', 'bee', 'fly')
    [found], [expected] = run(photos[3]), inferencers[kind](photos[3], threshold=[0, 0, 1])
    names = dict(zip(run.classes, CLASSES, strict=True))
    for key in ('boxes', 'labels'):
        assert [dict(item, label=names[item['label']]) for item in found.get(key, ())] == \
            expected.get(key, [])
    assert kind == 'detector' or len(found['labels']) == 2
    assert Inferencer(trained[kind][0], path, device='cpu').classes == run.classes


@pytest.mark.parametrize('kind', KINDS)
def test_a_checkpoint_of_a_run_needs_no_config(kind, inferencers, trained, photos, tmp_path):
    content = torch.load(trained[kind][1], weights_only=True)
    content['meta']['cfg'] = config(kind).pretty_text
    torch.save(content, tmp_path / 'epoch_1.pth')
    [found], [expected] = (run(photos[3]) for run in (
        Inferencer(tmp_path / 'epoch_1.pth', device='cpu'), inferencers[kind]))
    assert found == expected


@pytest.mark.parametrize(('text', 'message'), [
    ('import os', 'something else than plain values in line 1 .import os'),
    ("model = __import__('os').mkdir('ran')", 'something else than plain values in line 1'),
    ("model = dict(type='os.mkdir', path='ran')", 'os.mkdir'),
    ('x = 1', 'the config has no model'),
])
def test_the_config_in_a_checkpoint_runs_nothing(text, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pipeline = "test_dataloader = dict(dataset=dict(pipeline=[dict(type='LoadImageFromFile')]))"
    torch.save(dict(state_dict={}, meta=dict(
        cfg=f'{text}\n{pipeline}', dataset_meta=dict(classes=CLASSES))), 'epoch_1.pth')
    with pytest.raises(ValueError, match=f'epoch_1.pth: what it says .*{message}.*give its config'):
        Inferencer('epoch_1.pth')
    assert [path.name for path in tmp_path.iterdir()] == ['epoch_1.pth']


def test_thresholds_are_the_heads_or_the_published_files(inferencers, trained, tmp_path):
    run, own = inferencers['classifier'], [0.1, 0.2, 0.3]
    publish(tmp_path / 'head.safetensors', run, thresholds=own)
    publish(tmp_path / 'none.safetensors', run)
    headless = Config.fromfile(trained['classifier'][0])
    for arguments, expected in (
            (['head.safetensors'], own), ([headless, 'head.safetensors'], own),
            (['none.safetensors'], [0.5] * 3)):
        found = Inferencer(*arguments[:-1], tmp_path / arguments[-1], device='cpu').thresholds
        np.testing.assert_allclose(found, expected)


def test_a_model_without_weights_or_with_those_of_another_is_refused(trained, tmp_path):
    config_file, checkpoint = trained['classifier']
    with pytest.raises(ValueError, match=r'classifier.py is a config, and its model has no weight'):
        Inferencer(config_file)
    with pytest.raises(ValueError, match=r'classifier.pth does not say which model it is of'):
        Inferencer(checkpoint)
    with pytest.raises(FileNotFoundError, match='config file no_such does not exist'):
        Inferencer('no_such')
    with pytest.raises(FileNotFoundError, match='checkpoint no.pth does not exist'):
        Inferencer(config_file, 'no.pth')
    with pytest.raises(TypeError, match='got int'):
        Inferencer(3, checkpoint)
    with pytest.raises(CheckpointMismatch, match=r'classifier.pth: nothing for .*bbox_head'):
        Inferencer(trained['detector'][0], checkpoint)
    cfg = Config.fromfile(config_file)
    del cfg.test_dataloader.dataset['pipeline']
    with pytest.raises(ValueError, match='has no pipeline for testing'):
        Inferencer(cfg, checkpoint)
    cfg.pop('model')
    with pytest.raises(ValueError, match='has no model'):
        Inferencer(cfg, checkpoint)


@pytest.mark.parametrize(('recorded', 'configured', 'expected'), [
    (dict(dataset_meta=dict(classes=('u', 'v', 'w'))), CLASSES, ('u', 'v', 'w')),
    (dict(CLASSES=('u', 'v', 'w')), CLASSES, ('u', 'v', 'w')),
    ({}, CLASSES, CLASSES),
    ({}, None, ('0', '1', '2')),
    (dict(dataset_meta=dict(classes=('u', 'v'))), CLASSES,
     r'other.pth names 2 classes, but model.head.num_classes = 3'),
    (dict(dataset_meta=dict(classes=('u', 'u', 'w'))), CLASSES, 'class names are repeated'),
])
def test_class_names_are_the_checkpoints_or_the_configs(
        recorded, configured, expected, trained, tmp_path):
    cfg, checkpoint = Config.fromfile(trained['classifier'][0]), tmp_path / 'other.pth'
    cfg.test_dataloader.dataset.metainfo = dict(classes=configured) if configured else {}
    state_dict = torch.load(trained['classifier'][1], weights_only=True)['state_dict']
    torch.save(dict(state_dict=state_dict, meta=recorded), checkpoint)
    if isinstance(expected, str):
        with pytest.raises(ValueError, match=expected):
            Inferencer(cfg, checkpoint, device='cpu')
    else:
        assert Inferencer(cfg, checkpoint, device='cpu').classes == expected


def sample(**fields) -> BaseDataElement:
    return BaseDataElement(pred_instances=InstanceData(**{
        'scores': torch.tensor([0.2, 0.9]), 'labels': torch.tensor([0, 1]),
        'bboxes': torch.tensor([[0., 1, 2, 3], [4, 5, 6, 7]]), **fields}))


HALF = Decision(0.1, np.float32([0.5]))


def test_masks_are_cocos_run_lengths():
    masks = torch.rand(2, 5, 7) > 0.5
    boxes = describe(sample(masks=masks), ('a', 'b'), HALF)['boxes']
    assert [box['label'] for box in boxes] == ['b', 'a']  # by falling score
    for box, mask in zip(boxes, masks.flip(0).numpy(), strict=True):
        np.testing.assert_array_equal(coco_mask.decode(json.loads(json.dumps(box['mask']))), mask)


def test_named_image_heads_have_results_of_their_own():
    whole = sample()
    whole.weather = BaseDataElement(
        pred_scores=torch.tensor([0.25, 0.75]), pred_label=torch.tensor([1]))
    whole.scene = BaseDataElement(pred_scores=torch.tensor([0.625, 0.125, 0.75]))
    whole.mood = BaseDataElement(
        pred_scores=torch.tensor([0.25, 0.5]), pred_labels=torch.tensor([0]))
    result = json.loads(json.dumps(describe(whole, ('a', 'b'), HALF, dict(
        weather=('sun', 'rain'), scene=('x', 'y', 'z'), mood=('m', 'n'), quality=('good', )))))
    assert result['image_labels'] == dict(
        weather=dict(labels=[dict(label='rain', label_id=1, score=0.75)],
                     scores=dict(sun=0.25, rain=0.75)),
        scene=dict(labels=[dict(label='z', label_id=2, score=0.75),
                           dict(label='x', label_id=0, score=0.625)],
                   scores=dict(x=0.625, y=0.125, z=0.75)),
        mood=dict(labels=[dict(label='m', label_id=0, score=0.25)], scores=dict(m=0.25, n=0.5)))
    assert 'image_labels' not in describe(sample(), ('a', 'b'), HALF, dict(weather=('sun', )))


@pytest.mark.parametrize(('wrong', 'message'), [
    (sample(scores=torch.tensor([0.5, float('inf')])), 'NaN or infinite'),
    (sample(labels=torch.tensor([0, 2])), 'gives label 2, but there are 2 classes'),
    (BaseDataElement(pred_scores=torch.tensor([float('nan'), 0])), 'NaN or infinite'),
    (BaseDataElement(pred_label=torch.tensor(1)), 'neither .* but pred_label'),
])
def test_what_is_no_result_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        describe(wrong, ('a', 'b'), HALF)


def test_colours_from_a_file_are_drawn(trained, photos, tmp_path):
    """JSON and checkpoints of runs have lists for them, which mmdet takes for several colours."""
    config_file, weights = trained['joint']
    palette = [[200, 0, 0], [0, 200, 0], [0, 0, 200]]
    file = tmp_path / 'coloured.pth'
    torch.save(dict(torch.load(weights, weights_only=True), meta=dict(
        dataset_meta=dict(classes=CLASSES, palette=palette))), file)
    inferencer = Inferencer(str(config_file), str(file), device='cpu', show_progress=False)
    assert inferencer.dataset_meta['palette'] == list(map(tuple, palette))
    [result] = inferencer(str(photos[0]), tmp_path, score_thr=0)
    assert result['boxes'] and (tmp_path / f'vis/{photos[0].stem}.jpg').is_file()
