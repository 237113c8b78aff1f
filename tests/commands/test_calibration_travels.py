"""A calibrated checkpoint of a run stays so in every tool, until it is trained on from."""

import dataclasses
import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
import torch
from mmengine.registry import MODELS, DefaultScope
from mmengine.structures import BaseDataElement

from tests.inference.conftest import spread_weights
from tresnet_mm import Inferencer
from tresnet_mm.__main__ import main
from tresnet_mm.checkpoint import read_file
from tresnet_mm.commands.mistakes import read_scores
from tresnet_mm.config_files import read_config
from tresnet_mm.datasets.shapes import SHAPES_SET, make_shapes
from tresnet_mm.deploy import fuse

FEW = dataclasses.replace(SHAPES_SET, num_train=32, num_val=31)  # odd: two processes pad
CONFIG = """\
_base_ = 'tresnet_mm::{base}.py'
randomness = dict(seed=0)
train_dataloader = dict(num_workers=0, persistent_workers=False, batch_size=8)
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = dict(num_workers=0, persistent_workers=False)
"""
SMALL = """\
model = dict(backbone=dict(arch=dict(width=0.125)))
train_cfg = dict(max_epochs=1)
param_scheduler = [dict(type='OneCycleFromLR', total_steps=1, by_epoch=True,
                        convert_to_iter_based=True)]
"""
AVERAGED = """\
_base_ = 'labels.py'
custom_hooks = [dict(type='EMAHook', momentum=0.5, update_buffers={})]
"""
NAMED = """
metainfo = dict(_base_.metainfo, image_classes=dict(scene=('a', 'b'), rare=('a', 'b')))
train_dataloader.update(dataset=dict(metainfo=metainfo, image_labels=dict(
    scene='train.csv', rare='train.csv')))
val_dataloader.update(dataset=dict(metainfo=metainfo, image_labels=dict(scene='val.csv')))
test_dataloader.update(dataset=dict(metainfo=metainfo, image_labels=dict(scene='val.csv')))
model.update(image_heads=dict(scene=dict(type='MultiLabelLinearHead', num_classes=2),
                              rare=dict(type='MultiLabelLinearHead', num_classes=2)))
train_cfg = dict(max_epochs=1)
custom_hooks = [dict(type='EMAHook', momentum=0.5)]
param_scheduler = [dict(type='OneCycleFromLR', total_steps=1, by_epoch=True,
                        convert_to_iter_based=True)]
"""
SMALL_JOINT = """\
model = dict(detector=dict(
    backbone=dict(arch=dict(width=0.125)), neck=dict(in_channels=[8, 16, 128, 256])))
"""


def scores_of(folder, config, checkpoint, *more: str) -> np.ndarray:
    """What ``tresnet-mm test`` says of the validation images."""
    main(['test', str(config), str(checkpoint), '--work-dir', str(folder), '--out',
          str(folder / 'scores.npz'), *more])
    return read_scores(folder / 'scores.npz')[0]


def measures(folder) -> dict[str, float]:
    return json.loads(max(folder.glob('*/*.json'), key=os.path.getmtime).read_text())


def scaled(scores: np.ndarray, fitted: dict[str, np.ndarray]) -> np.ndarray:
    logits = torch.from_numpy(scores).double().logit().numpy() * fitted['scale'] + fitted['bias']
    return 1 / (1 + np.exp(-logits))


def fitted_of(checkpoint, prefix: str = 'head.calibration.') -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): value.numpy() for name, value
            in read_file(checkpoint)['state_dict'].items() if name.startswith(prefix)}


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A run with averaged weights, and its checkpoint calibrated on the validation images."""
    folder = tmp_path_factory.mktemp('travels')
    make_shapes(folder / 'shapes', FEW)
    (folder / 'labels.py').write_text(CONFIG.format(base='multilabel_tresnet_tiny_shapes') + SMALL)
    (folder / 'averaged.py').write_text(AVERAGED.format(True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('SHAPES_ROOT', str(folder / 'shapes'))
        main(['train', str(folder / 'averaged.py'), '--work-dir', str(folder / 'run')])
        main(['calibrate', str(folder / 'averaged.py'), str(folder / 'run/epoch_1.pth'), '-o',
              str(folder / 'c.pth'), '--work-dir', str(folder / 'fit')])
        yield folder


@pytest.mark.slow
def test_of_a_run_with_averaged_weights_these_are_calibrated(trained, tmp_path):
    saved = read_file(trained / 'run/epoch_1.pth')
    averaged, plain = saved['state_dict'], saved['ema_state_dict']
    assert not torch.equal(averaged['head.fc.weight'], plain['module.head.fc.weight'])
    state = read_file(trained / 'c.pth')['state_dict']
    assert all(torch.equal(state[name], value) for name, value in averaged.items())

    raw = scores_of(tmp_path / 'raw', trained / 'averaged.py', trained / 'run/epoch_1.pth')
    wanted = scaled(raw, fitted_of(trained / 'c.pth'))
    for name in ('averaged', 'labels'):
        found = scores_of(tmp_path / name, trained / f'{name}.py', trained / 'c.pth')
        np.testing.assert_allclose(found, wanted, atol=1e-5)
        said = measures(tmp_path / name)
        assert said['multi-label/ECE'] != said['multi-label/ECE_uncalibrated']
        assert 'multi-label/OF1_fitted' in said


@pytest.mark.slow
@pytest.mark.parametrize('update_buffers', [True, False])
def test_training_on_from_the_copy_leaves_nothing_of_it(update_buffers, trained, tmp_path):
    """Nor in the averaged weights, which are what the checkpoint is tested by."""
    (tmp_path / 'labels.py').write_text((trained / 'labels.py').read_text())
    (tmp_path / 'on.py').write_text(AVERAGED.format(update_buffers))
    main(['train', str(tmp_path / 'on.py'), '--work-dir', str(tmp_path), '--cfg-options',
          f'load_from={trained / "c.pth"}'])
    saved = read_file(tmp_path / 'epoch_1.pth')
    for state in (saved['state_dict'], saved['ema_state_dict']):
        assert not [name for name in state if 'calibration' in name]


@pytest.mark.slow
def test_two_processes_fit_and_measure_what_one_does(trained, tmp_path, repo_root):
    config = str(trained / 'labels.py')

    def launch(name: str, *command: str) -> None:
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', 0))
            port = probe.getsockname()[1]
        done = subprocess.run(
            [sys.executable, '-m', 'torch.distributed.run', '--nproc_per_node=2',
             f'--master_port={port}', '-m', 'tresnet_mm', name, config, *command, '--launcher',
             'pytorch'],
            cwd=tmp_path, capture_output=True, text=True, timeout=300, env={
                **os.environ, 'PYTHONPATH': os.pathsep.join(
                    [str(repo_root), os.environ.get('PYTHONPATH', '')])})
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

    launch('calibrate', str(trained / 'run/epoch_1.pth'), '-o', str(tmp_path / 'two.pth'))
    one, two = fitted_of(trained / 'c.pth'), fitted_of(tmp_path / 'two.pth')
    assert one.keys() == two.keys() == {'scale', 'bias', 'thresholds'}
    for name, value in one.items():
        np.testing.assert_allclose(two[name], value, rtol=1e-3, atol=1e-4)

    launch('test', str(trained / 'c.pth'), '--work-dir', str(tmp_path / 'two'))
    scores_of(tmp_path / 'one', config, trained / 'c.pth')
    said, wanted = ({key: value for key, value in measures(tmp_path / name).items()
                     if key.startswith('multi-label/')} for name in ('two', 'one'))
    assert 'multi-label/ECE_uncalibrated' in said and 'multi-label/OF1_fitted' in said
    assert said == pytest.approx(wanted, abs=1e-3)


@pytest.mark.slow
def test_published_it_is_calibrated_for_every_tool(trained, tmp_path):
    config = trained / 'labels.py'
    main(['publish', str(trained / 'c.pth'), str(tmp_path / 'out')])
    (published,) = (tmp_path / 'out').glob('*.safetensors')
    fitted = fitted_of(trained / 'c.pth')
    np.testing.assert_allclose(scores_of(tmp_path / 'p', config, published),
                               scores_of(tmp_path / 'c', config, trained / 'c.pth'), atol=1e-6)
    said, wanted = ({key: value for key, value in measures(tmp_path / name).items()
                     if key.startswith('multi-label/')} for name in 'pc')
    assert 'multi-label/OF1_fitted' in said and said == pytest.approx(wanted, abs=1e-6)
    np.testing.assert_allclose(
        Inferencer(published, device='cpu').thresholds, fitted['thresholds'], atol=1e-6)

    # calibrated anew, what was fitted replaces what was there
    main(['calibrate', str(config), str(published), '-o', str(tmp_path / 'again.pth'),
          '--work-dir', str(tmp_path / 'fit')])
    for name, value in fitted_of(tmp_path / 'again.pth').items():
        np.testing.assert_allclose(value, fitted[name], rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_folded_and_exported_it_is_calibrated(trained, tmp_path):
    pytest.importorskip('onnxruntime')
    config = trained / 'labels.py'
    model = MODELS.build(read_config(str(config)).model).eval()
    model.load_state_dict(read_file(trained / 'c.pth')['state_dict'])
    images = torch.rand(2, 3, 96, 96)
    plain, folded = (m(images, [BaseDataElement(), BaseDataElement()], mode='predict')
                     for m in (model, fuse(model)))
    for one, other in zip(plain, folded, strict=True):
        torch.testing.assert_close(one.pred_scores, other.pred_scores, atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(one.raw_scores, other.raw_scores, atol=1e-4, rtol=1e-3)
        assert not torch.equal(one.pred_scores, one.raw_scores)
        assert one.pred_labels.tolist() == other.pred_labels.tolist()

    main(['export', str(config), str(trained / 'c.pth'), '--out', str(tmp_path / 'm.onnx'),
          '--size', '96', '96'])
    np.testing.assert_allclose(
        scores_of(tmp_path / 'o', config, tmp_path / 'm.onnx', '--backend', 'onnxruntime'),
        scores_of(tmp_path / 'c', config, trained / 'c.pth'), atol=1e-4)


@pytest.mark.slow
def test_the_image_head_of_a_joint_model(trained, tmp_path):
    config = tmp_path / 'both.py'
    config.write_text(CONFIG.format(base='multitask_fcos_tresnet_tiny_shapes') + SMALL_JOINT)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(read_config(str(config)).model)
        model.init_weights()
    spread_weights(model)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'both.pth')
    main(['calibrate', str(config), str(tmp_path / 'both.pth'), '-o', str(tmp_path / 'c.pth'),
          '--work-dir', str(tmp_path / 'fit')])
    fitted = fitted_of(tmp_path / 'c.pth', 'image_head.calibration.')
    assert fitted.keys() == {'scale', 'bias', 'thresholds'}
    raw = scores_of(tmp_path / 'raw', config, tmp_path / 'both.pth')
    found = scores_of(tmp_path / 'found', config, tmp_path / 'c.pth')
    np.testing.assert_allclose(found, scaled(raw, fitted), atol=1e-5)
    said = measures(tmp_path / 'found')
    assert {'coco/bbox_mAP', 'multi-label/ECE', 'multi-label/OF1_fitted'} <= said.keys()
    photo = next((trained / 'shapes/val').iterdir())
    run = Inferencer(str(config), tmp_path / 'c.pth', device='cpu')
    np.testing.assert_allclose(run.thresholds, fitted['thresholds'], atol=1e-6)
    result = run(str(photo))[0]
    assert {label['label_id'] for label in result['labels']} == set(np.flatnonzero(
        np.array(list(result['scores'].values()), np.float32) > fitted['thresholds']))


@pytest.mark.slow
def test_a_named_head_of_a_joint_model(trained, tmp_path, capsys):
    """Fitted to the images that have labels of its kind, and dropped where it is trained on."""
    shapes, random = trained / 'shapes', np.random.default_rng(0)
    for split in ('train', 'val'):
        names = [image['file_name'] for image in json.loads(
            (shapes / f'annotations/instances_{split}.json').read_text())['images']][:20]
        (shapes / f'{split}.csv').write_text('img_path,labels\n' + ''.join(
            f'{name},{";".join(x for x in "ab" if random.random() < 0.5)}\n' for name in names))
    config = tmp_path / 'both.py'
    config.write_text(CONFIG.format(base='multitask_fcos_tresnet_tiny_shapes') + SMALL_JOINT
                      + NAMED)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(read_config(str(config)).model)
        model.init_weights()
    spread_weights(model)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'both.pth')
    main(['calibrate', str(config), str(tmp_path / 'both.pth'), '-o', str(tmp_path / 'c.pth'),
          '--work-dir', str(tmp_path / 'fit')])
    said = capsys.readouterr().out
    assert 'left out: rare has no image_labels of it in val_dataloader' in said
    assert 'image_head, 31 images:' in said and 'scene, 20 images:' in said
    fitted = fitted_of(tmp_path / 'c.pth', 'image_heads.scene.calibration.')
    assert fitted.keys() == {'scale', 'bias', 'thresholds'}
    saved = {}
    for name, weights in dict(raw='both.pth', found='c.pth').items():
        scores_of(tmp_path / name, config, tmp_path / weights)
        saved[name] = read_scores(tmp_path / f'{name}/scores.scene.npz')
        assert saved[name].head == 'scene' and len(saved[name].scores) == 20
    assert not (tmp_path / 'raw/scores.rare.npz').exists()
    np.testing.assert_allclose(saved['found'].scores, scaled(saved['raw'].scores, fitted),
                               atol=1e-5)
    main(['train', str(config), '--work-dir', str(tmp_path / 'on'), '--cfg-options',
          f'load_from={tmp_path / "c.pth"}'])
    on = read_file(tmp_path / 'on/epoch_1.pth')
    for state in (on['state_dict'], on['ema_state_dict']):
        assert not [name for name in state if 'calibration' in name]
