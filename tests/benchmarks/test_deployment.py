"""The measuring of exported files: the parts of the data, and forms of one model that agree."""

import argparse

import pytest
import torch
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import save_checkpoint

from benchmarks import deployment, exported, quantization
from benchmarks.experiments.small_sets import classes_of, shrink
from benchmarks.experiments.trainings import load_config
from tests.benchmarks.test_small_experiments import FEW, read_shapes
from tresnet_mm.datasets.shapes import make_shapes

pytest.importorskip('onnxruntime')


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    """An untrained classifier of twenty synthetic images to train on and six to test with."""
    folder = tmp_path_factory.mktemp('deployment')
    make_shapes(folder / 'shapes', FEW)
    for part in ('train', 'test'):
        shrink(read_shapes(folder / 'shapes'), part, folder / 'small', 64)
    cfg = load_config('classifier', folder / 'small', classes_of(folder / 'small'), 1)
    cfg.dump(folder / 'config.py')
    init_default_scope('mmdet')
    torch.manual_seed(0)
    built = MODELS.build(cfg.model)
    torch.nn.init.normal_(built.head.fc.weight, std=0.3)
    save_checkpoint(dict(state_dict=built.state_dict()), str(folder / 'weights.pth'))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exported, 'trained',
                      lambda name: (folder / 'config.py', folder / 'weights.pth'))
        yield exported.TrainedModel('tiny')


def test_calibrated_on_training_images_and_tested_on_the_others(model):
    feeds = model.calibration(4)
    assert [feed['images'].shape for feed in feeds] == [(1, 3, 64, 64)] * 4
    assert len(model.loader('train').dataset) == 20 and len(model.loader().dataset) == 6
    train = torch.stack([batch.images[0] for batch in model.batches('train')])
    assert torch.equal(torch.from_numpy(feeds[1]['images'][0]), train[5])


def test_the_timed_batches_are_of_one_shape():
    def batch(height):
        return exported.Batch(torch.zeros(1, 3, height, 8), [])

    batches = [batch(height) for height in (4, 8, 4, 8, 8)]
    assert [b.images.shape[2] for b in exported.same_shape(batches, 2)] == [8, 8]


@pytest.mark.slow
def test_all_forms_of_a_model_say_the_same(model, tmp_path):
    forms = {**deployment.pytorch_forms(model.model, compiled=False),
             **deployment.file_forms(model.model, tmp_path, model.calibration(4),
                                     model.onnx_config)}
    data = next(iter(model.loader()))
    with torch.no_grad():
        wanted = model.model.test_step(data)[0].pred_scores
        assert wanted.std() > 0.01
        for name, form in forms.items():
            near = 1e-4 if '8 bits' not in name and 'bfloat16' not in name else 0.03
            torch.testing.assert_close(
                form.test_step(data)[0].pred_scores, wanted, atol=near, rtol=0)


@pytest.mark.slow
def test_rows_of_what_stays_in_float(model):
    rows = quantization._rows(model, dict(nothing=(), last=('last', )), rounds=1)
    assert [row['in_float'] for row in rows] == ['everything', 'nothing', 'last']
    assert rows[0]['speed_ratio'] == 1 and all(0 < row['label mAP'] <= 100 for row in rows)


def test_nothing_trained_is_said(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(exported, 'trained', lambda name: (tmp_path / 'a', tmp_path / 'b'))
    assert quantization.run(argparse.Namespace(quick=True, rounds=1, models=None, out_dir=None,
                                              subject='quantization')) == []
    assert 'deployed_models' in capsys.readouterr().out


def test_rows_of_other_models_stay(tmp_path):
    (tmp_path / 'deployment.json').write_text(
        '{"rows": [{"model": "a", "ms": 1}, {"model": "b", "ms": 2}]}')
    given = dict(subject='deployment', out_dir=tmp_path)
    new = [dict(model='b', ms=3)]
    assert exported.with_others(new, argparse.Namespace(models=['b'], **given)) == [
        dict(model='a', ms=1), dict(model='b', ms=3)]
    assert exported.with_others(new, argparse.Namespace(models=None, **given)) == new
