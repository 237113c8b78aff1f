"""Images in, boxes and labels out: against the model itself, and one image against many."""

import json

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import MODELS, TRANSFORMS, DefaultScope

from tresnet_mm import Inferencer

from .conftest import CLASSES, SIZES

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
