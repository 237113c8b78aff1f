"""The page's model: `Inferencer`'s results, from one run, and messages for visitors."""

import mmcv
import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate

from tresnet_mm.inference import Inferencer
from tresnet_mm.inference.image_sources import ImageSource
from tresnet_mm.visualization import class_maps, draw_heat
from tresnet_mm.web import web_model
from tresnet_mm.web.web_model import BadImage, WebModel

GIVES = {'classifier': (False, True, True), 'detector': (True, False, False),
         'joint': (True, True, True)}
BOXES_ABOVE, LABELS_ABOVE = 0.05, 0.4


def flat(result: dict) -> dict:
    """Results as numbers that approx can compare, without the path."""
    found = {kind: [(x['label'], x['score'], *x.get('bbox', ())) for x in result[kind]]
             for kind in ('boxes', 'labels') if kind in result}
    return dict(found, size=(result['width'], result['height']))


def assert_same(one: dict, other: dict, pixels: float = 1e-3) -> None:
    one, other = flat(one), flat(other)
    assert one.keys() == other.keys() and one.pop('size') == other.pop('size')
    for kind, found in one.items():
        assert [x[0] for x in found] == [x[0] for x in other[kind]]
        np.testing.assert_allclose(
            np.array([x[1:] for x in found]), np.array([x[1:] for x in other[kind]]), atol=pixels)


@pytest.fixture
def once(monkeypatch):
    """How often models ran."""
    runs = []
    forward = Inferencer.forward
    monkeypatch.setattr(Inferencer, 'forward',
                        lambda self, batch: runs.append(1) or forward(self, batch))
    return runs


@pytest.mark.parametrize('kind', GIVES)
def test_what_a_model_gives_is_found_out(kind, models):
    model = models[kind]
    assert (model.has_boxes, model.has_labels, model.has_maps) == GIVES[kind]


@pytest.mark.parametrize('kind', GIVES)
def test_results_of_any_threshold_come_from_one_run(kind, models, photos, once):
    model = models[kind]
    finding = model.find(str(photos[3]), 'a.png')
    counts = set()
    for boxes_above in (0., BOXES_ABOVE, 0.2, 1.):
        for labels_above in (0., LABELS_ABOVE, None):
            found = model.describe(finding, model.decision(boxes_above, labels_above))
            assert len(once) == 1
            counts.add((len(found.get('boxes', ())), len(found.get('labels', ()))))
            [expected] = model.inferencer(
                str(photos[3]), score_thr=boxes_above, threshold=labels_above)
            once.pop()
            assert_same(found, expected)
    assert len(counts) > 1, 'the thresholds make a difference'


@pytest.mark.parametrize('kind', GIVES)
def test_the_picture_is_the_inferencers(kind, models, photos, tmp_path):
    model = models[kind]
    finding = model.find(str(photos[3]), 'a.png')
    picture = model.draw(finding, model.decision(BOXES_ABOVE, LABELS_ABOVE))
    model.inferencer(str(photos[3]), tmp_path, score_thr=BOXES_ABOVE, threshold=LABELS_ABOVE)
    written = mmcv.imread(tmp_path / f'vis/{photos[3].stem}.jpg', channel_order='rgb')
    assert picture.shape == written.shape and picture.dtype == np.uint8
    assert np.abs(picture.astype(float) - written).mean() < 4, 'but for the JPEG'


def test_a_large_image_is_kept_small_and_its_boxes_stay(models, photos, monkeypatch):
    """Two thirds of a side are kept: 64 of 96 pixels."""
    model = models['joint']
    whole = model.find(str(photos[0]), 'a.png')
    monkeypatch.setattr(web_model, 'LARGEST_SIDE', 64)
    small = model.find(str(photos[0]), 'a.png')
    assert whole.size == small.size == (96, 70)
    assert whole.image.pixels.shape == (70, 96, 3) and small.image.pixels.shape == (47, 64, 3)
    decision = model.decision(0., 0.)
    assert_same(model.describe(small, decision), model.describe(whole, decision), 1e-2)
    boxes = small.sample.pred_instances.bboxes
    assert boxes[:, 2].max() <= 64 and boxes[:, 3].max() <= 47
    assert model.draw(small, decision).shape[1] == 320, 'the smallest with labels'


def test_masks_shrink_with_their_image(models):
    sample = models['detector']._run(
        ImageSource(np.zeros((64, 64, 3), np.uint8), 0))[1].clone()
    instances = sample.pred_instances[:1].clone()
    instances.bboxes = torch.tensor([[0., 0., 1280., 640.]])
    instances.masks = torch.zeros(1, 1280, 2560, dtype=torch.bool)
    instances.masks[:, :640, :1280] = True
    sample.pred_instances = instances
    pixels, shown = web_model._shrink(np.zeros((1280, 2560, 3), np.uint8), sample)
    assert pixels.shape == (640, 1280, 3)
    assert shown.pred_instances.bboxes.tolist() == [[0, 0, 640, 320]]
    expected = torch.zeros(1, 640, 1280, dtype=torch.bool)
    expected[:, :320, :640] = True
    assert torch.equal(shown.pred_instances.masks, expected)
    assert instances.bboxes[0, 2] == 1280, 'the sample that was given is as it was'


@pytest.mark.parametrize('kind', ['classifier', 'joint'])
def test_the_map_is_that_of_class_maps_computed_once(kind, models, photos, monkeypatch):
    model = models[kind]
    finding = model.find(str(photos[0]), 'a.png')
    inferencer = model.inferencer
    (batch,) = inferencer.preprocess([ImageSource(str(photos[0]), 0)], 1, False)
    [expected] = class_maps(inferencer.model, pseudo_collate([batch[0].data]), [2])
    image = mmcv.imrescale(mmcv.imread(photos[0], channel_order='rgb'), 400 / 96,
                           interpolation='bicubic')
    calls = []
    monkeypatch.setattr(web_model, 'class_maps',
                        lambda *args: calls.append(1) or class_maps(*args))
    picture, text = model.draw_map(finding, 2)
    np.testing.assert_array_equal(
        picture, draw_heat(image, expected.on_image(*image.shape[:2])[0]))
    assert text == expected.explain(0)
    assert not np.array_equal(model.draw_map(finding, 0)[0], picture) and len(calls) == 1


@pytest.mark.parametrize('number', [-1, 3])
def test_there_is_no_map_of_no_class(number, models, photos):
    with pytest.raises(IndexError, match='but there are 3'):
        models['joint'].draw_map(models['joint'].find(str(photos[0]), 'a.png'), number)


@pytest.mark.parametrize(('name', 'words'), [
    ('text.jpg', 'cannot be read: it is in no image format'),
    ('drawing.svg', 'cannot be read: it is in no image format'),
    ('half.png', 'cannot be read'), ('empty.png', 'cannot be read: the file is empty'),
    ('vast.pgm', 'cannot be read: 1000 x 1000 pixels are more than max_pixels=20000')])
def test_a_bad_file_is_told_by_its_own_name(name, words, models, bad_files):
    with pytest.raises(BadImage) as error:
        models['detector'].find(str(bad_files[name]), 'mine.jpg')
    assert str(error.value).startswith(f"'mine.jpg' {words}")
    assert str(bad_files[name].parent) not in str(error.value)


def test_a_path_too_long_to_be_shown_whole_is_not_shown_at_all(models, bad_files):
    folder = bad_files['text.jpg'].parent
    for _ in range(3):
        folder = folder / ('x' * 200)
        folder.mkdir()
    file = bad_files['text.jpg'].rename(folder / 'text.jpg')
    with pytest.raises(BadImage) as error:
        models['detector'].find(str(file), 'mine.jpg')
    assert '/' not in str(error.value)


def test_a_failure_of_the_model_is_no_visitors_business(models, photos, monkeypatch):
    def fail(self, batch):
        raise RuntimeError('out of memory at /secret/place')

    monkeypatch.setattr(Inferencer, 'forward', fail)
    with pytest.raises(BadImage) as error:
        models['joint'].find(str(photos[0]), 'mine.png')
    assert str(error.value) == "'mine.png' has no result: the model failed on it"


def test_a_model_that_gives_no_numbers_is_refused_at_the_start(trained):
    inferencer = Inferencer(*map(str, trained['classifier']), 'cpu', show_progress=False)
    for parameter in inferencer.model.head.parameters():
        torch.nn.init.constant_(parameter, float('nan'))
    with pytest.raises(ValueError, match='NaN'):
        WebModel('damaged', inferencer, 1000)


@pytest.mark.parametrize(('thresholds', 'common'), [([.2, .2, .2], .2), ([.2, .3, .2], None)])
def test_the_models_own_thresholds(thresholds, common, models, photos, monkeypatch):
    model = models['classifier']
    own = np.array(thresholds, np.float32)
    monkeypatch.setattr(model.inferencer, 'thresholds', own)
    assert model.common_threshold == (None if common is None else pytest.approx(common))
    finding = model.find(str(photos[0]), 'a.png')
    scores = np.array(list(model.describe(finding, model.decision(0.))['scores'].values()))
    named = {label['label_id'] for label in model.describe(finding, model.decision(0.))['labels']}
    assert named == set(np.flatnonzero(scores > own).tolist())


def test_a_model_of_one_label_tells_the_likeliest_classes(one_label, photos, monkeypatch):
    """Whatever a threshold says; the rest is told as a sum, so that all is 1."""
    assert one_label.one_label and one_label.has_labels and not one_label.has_boxes
    finding = one_label.find(str(photos[0]), 'a.png')
    drawn = []
    monkeypatch.setattr(one_label.inferencer, 'visualize', lambda image, sample, decision: (
        drawn.append(decision.labels(sample.pred_scores.numpy()).tolist())))
    for labels_above in (None, 0., 1.):
        decision = one_label.decision(0.3, labels_above)
        found = one_label.describe(finding, decision)
        scores = np.array(list(found['scores'].values()))
        ranked = np.argsort(-scores)
        assert [label['label_id'] for label in found['labels']] == ranked[:5].tolist()
        count, rest = found['others']
        assert count == 2 and rest == pytest.approx(scores[ranked[5:]].sum(), abs=1e-6)
        assert rest + sum(x['score'] for x in found['labels']) == pytest.approx(1, abs=1e-6)
        one_label.draw(finding, decision)
        assert drawn.pop() == ranked[:1].tolist()  # the prediction is the highest alone
