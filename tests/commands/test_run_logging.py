"""Where training logs to: what --log changes in a config, and what arrives at each place."""

import importlib
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config

from tresnet_mm.commands import run_logging, train
from tresnet_mm.commands.run_logging import set_logging
from tresnet_mm.datasets.shapes import ShapesSpec, make_shapes

CONFIG = 'multitask_fcos_tresnet_tiny_shapes'
SHAPES = ('circle', 'square', 'triangle', 'star', 'cross', 'ring')


def load(name: str = CONFIG) -> Config:
    cfg = train.parse_args([name])
    return train.launch.load_config(cfg)


def kinds(cfg: Config) -> list[str]:
    return [backend['type'] for backend in cfg.visualizer.vis_backends]


@pytest.fixture()
def installed(monkeypatch):
    monkeypatch.setattr(run_logging, 'find_spec', lambda name: object())


def test_each_name_is_a_backend_beside_the_local_one(installed):
    cfg = load()
    set_logging(cfg, ['tensorboard', 'mlflow', 'wandb', 'mlflow'])
    assert kinds(cfg) == [
        'LocalVisBackend', 'TensorboardVisBackend', 'MLflowBackend', 'WandbBackend']
    assert cfg.visualizer.vis_backends[3].init_kwargs.name == 'multitask_fcos_tresnet_tiny_shapes'


def test_a_backend_that_the_config_has_is_not_there_twice(installed):
    cfg = load()
    cfg.visualizer.vis_backends = [dict(type='WandbVisBackend'), dict(type='LocalVisBackend')]
    set_logging(cfg, ['wandb'])
    assert kinds(cfg) == ['LocalVisBackend', 'WandbBackend']


def test_the_metrics_of_validation_give_each_class(installed):
    cfg = load()
    set_logging(cfg, ['tensorboard'])
    coco, labels = cfg.val_evaluator
    assert coco.classwise is True and labels.class_scalars is True
    cfg = load()
    set_logging(cfg, [])
    assert 'class_scalars' not in cfg.val_evaluator[1] and kinds(cfg) == ['LocalVisBackend']


def test_other_metrics_stay_as_they_are(installed):
    cfg = load()
    cfg.val_evaluator = [dict(type='VOCMetric'), dict(type='MultiLabelMetric')]
    set_logging(cfg, ['tensorboard'])
    assert cfg.val_evaluator == [dict(type='VOCMetric'),
                                 dict(type='MultiLabelMetric', class_scalars=True)]


def test_pictures_are_drawn_by_the_hook_of_the_config():
    cfg = load()
    set_logging(cfg, [], images_every=3)
    assert cfg.default_hooks.visualization.draw is True
    assert cfg.default_hooks.visualization.interval == 3
    del cfg.default_hooks['visualization']
    with pytest.raises(ValueError, match=r'--log-images needs default_hooks\.visualization'):
        set_logging(cfg, [], images_every=3)


@pytest.mark.parametrize('name', ['tensorboard', 'wandb', 'mlflow'])
def test_a_missing_package_is_one_line(name, monkeypatch):
    monkeypatch.setattr(run_logging, 'find_spec', lambda module: None)
    with pytest.raises(ValueError, match=f'^--log {name} needs the package {name}, .*pip install'):
        set_logging(load(), [name])


@pytest.mark.parametrize('arguments', [['--log', 'tensorbord'], ['--log-images', '0']])
def test_wrong_values_are_refused(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        train.parse_args([CONFIG, *arguments])
    assert stop.value.code == 2
    assert arguments[0] in capsys.readouterr().err


@pytest.mark.parametrize('script', ['train', 'test'])
def test_torchrun_leaves_the_option_to_the_script(script, repo_root):
    """Several of its own options begin with ``--log``, which it would take for short for one."""
    from torch.distributed.run import parse_args

    more = ['c.pth'] if script == 'test' else []
    done = subprocess.run(
        ['bash', str(repo_root / f'tools/dist_{script}.sh'), 'c.py', *more, '2', '--log', 'wandb'],
        env={**os.environ, 'PYTHON': 'echo'}, capture_output=True, text=True, check=True)
    args = parse_args(done.stdout.split()[2:])  # behind -m torch.distributed.run
    assert args.training_script.endswith(f'tools/{script}.py')
    assert args.training_script_args == [
        'c.py', *more, '--launcher', 'pytorch', '--log', 'wandb']


@pytest.fixture(scope='module')
def run(tmp_path_factory, repo_root) -> Path:
    """A run of two epochs, logged to all that is installed; its folder."""
    folder = tmp_path_factory.mktemp('logged')
    make_shapes(folder / 'shapes', ShapesSpec(num_train=8, num_val=4, size=64))
    names = [name for name, (_, package) in run_logging.LOGGERS.items() if find_spec(package)]
    options = ['train_cfg.max_epochs=2', 'param_scheduler.0.total_steps=2',
               'train_dataloader.batch_size=4', 'val_dataloader.batch_size=2',
               'model.detector.test_cfg.score_thr=0', 'default_hooks.logger.interval=1']
    done = subprocess.run(
        [sys.executable, '-m', 'tresnet_mm', 'train', CONFIG, '--work-dir', str(folder / 'run'),
         *(['--log', *names] if names else []), '--log-images', '1', '--cfg-options', *options],
        cwd=folder, capture_output=True, text=True, timeout=500,
        env={**os.environ, 'SHAPES_ROOT': str(folder / 'shapes'), 'OMP_NUM_THREADS': '1',
             'PYTHONPATH': os.pathsep.join([str(repo_root), os.environ.get('PYTHONPATH', '')]),
             'WANDB_MODE': 'offline', 'WANDB_SILENT': 'true',
             'MLFLOW_TRACKING_URI': (folder / 'mlruns').as_uri(),
             'MLFLOW_ALLOW_FILE_STORE': 'true'})
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (folder / 'said.txt').write_text(done.stdout + done.stderr)
    return folder


def vis_data(run: Path) -> Path:
    (folder,) = run.glob('run/*/vis_data')
    return folder


@pytest.mark.slow
def test_everything_arrives_at_tensorboard(run):
    pytest.importorskip('tensorboard')
    reader = importlib.import_module(
        'tensorboard.backend.event_processing.event_accumulator').EventAccumulator(
            str(vis_data(run)))
    reader.Reload()
    tags = reader.Tags()
    assert {'loss', 'lr', 'coco/bbox_mAP', 'multi-label/mAP'} <= set(tags['scalars'])
    assert [event.step for event in reader.Scalars('multi-label/mAP')] == [1, 2]
    assert [event.step for event in reader.Scalars('loss')] == [1, 2, 3, 4]
    of_classes = [tag for tag in tags['scalars'] if tag.startswith('multi-label_AP/')]
    assert of_classes and {tag.partition('/')[2] for tag in of_classes} <= set(SHAPES)
    assert any(tag.endswith('_precision') for tag in tags['scalars'])  # mmdet's name of them
    # the mAP is the mean of what is logged for the classes
    mean = np.mean([reader.Scalars(tag)[-1].value for tag in of_classes])
    assert reader.Scalars('multi-label/mAP')[-1].value == pytest.approx(mean, abs=1e-3)
    picture = reader.Images('val_img')[-1]
    assert picture.encoded_image_string.startswith(b'\x89PNG') and picture.width >= 64


@pytest.mark.slow
def test_everything_arrives_at_wandb(run):
    pytest.importorskip('wandb')
    (file,) = vis_data(run).glob('wandb/offline-run-*/run-*.wandb')
    written = file.read_bytes()
    for name in ('loss_mlc', 'coco/bbox_mAP', 'multi-label/mAP', 'multi-label_AP/', 'val_img'):
        assert name.encode() in written, name
    assert list(file.parent.glob('files/media/images/val_img_*.png'))
    assert not list(file.parent.rglob('*.py'))  # no code goes along


@pytest.mark.slow
def test_everything_arrives_at_mlflow(run, monkeypatch):
    mlflow = pytest.importorskip('mlflow')
    monkeypatch.setenv('MLFLOW_ALLOW_FILE_STORE', 'true')
    client = mlflow.MlflowClient((run / 'mlruns').as_uri())
    experiment = client.get_experiment_by_name(CONFIG)
    (logged,) = client.search_runs([experiment.experiment_id])
    assert logged.info.status == 'FINISHED'
    assert logged.info.run_name == f'run/{vis_data(run).parent.name}'
    assert {'loss', 'coco/bbox_mAP', 'multi-label/mAP'} <= set(logged.data.metrics)
    assert any(name.startswith('multi-label_AP/') for name in logged.data.metrics)
    assert logged.data.params['model.image_head.num_classes'] == '6'
    assert client.list_artifacts(logged.info.run_id, 'val_img')


@pytest.mark.slow
def test_the_run_says_what_it_is_and_how_to_test_it_once(run):
    said = (run / 'said.txt').read_text()
    assert said.count(f'Training {CONFIG}\n') == said.count('Training is done\n') == 1
    assert 'validation    4 images, every epoch\n' in said
    assert f'test it by    tresnet-mm test {CONFIG} run/epoch_' in said
    assert said.count(' --cfg-options train_cfg.max_epochs=2 ') == 1
