"""The tools as a user runs them: on real images, in several processes, with wrong arguments."""

import json
import os
import pickle
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmdet.datasets import CocoDataset
from mmengine.config import Config
from mmengine.hooks import IterTimerHook, LoggerHook
from mmengine.registry import MODELS, init_default_scope

from tresnet_mm.commands import image_demo, mmdet_tool, predict, test, train

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / 'tools'
SIZE = '(128,128)'
TWELVE = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l',
          'AR@100', 'AR@300', 'AR@1000', 'AR_s@1000', 'AR_m@1000', 'AR_l@1000')
# Small images, few of them, no download, and every box counted: an untrained net has low scores.
SMALL = [
    'model.backbone.init_cfg=None', 'model.backbone.frozen_stages=-1', 'model.test_cfg.score_thr=0',
    'train_cfg.max_epochs=1', 'default_hooks.checkpoint.save_optimizer=False', 'randomness.seed=0',
    'train_dataloader.dataset.indices=8', 'train_dataloader.batch_size=4',
    'val_dataloader.dataset.indices=3', 'test_dataloader.dataset.indices=3',
    f'train_dataloader.dataset.pipeline.2.scale={SIZE}',
    f'val_dataloader.dataset.pipeline.1.scale={SIZE}',
    f'test_dataloader.dataset.pipeline.1.scale={SIZE}',
    *(f'{loader}_dataloader.{option}' for loader in ('train', 'val', 'test')
      for option in ('num_workers=0', 'persistent_workers=False'))]


def run(*command: object, **env: str) -> subprocess.CompletedProcess:
    """Run a command at the root of the checkout."""
    return subprocess.run(
        [str(part) for part in command], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, 'PYTHONPATH': os.pathsep.join(
            filter(None, [os.environ.get('PYTHONPATH'), str(ROOT)])),
            'PYTHON': sys.executable, **env})


def run_ok(*command: object, **env: str) -> str:
    done = run(*command, **env)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def metrics(work_dir: Path) -> dict[str, float]:
    """What tools/test.py measured last."""
    return json.loads(max(work_dir.glob('*/*.json'), key=os.path.getmtime).read_text())


def predictions(path: Path) -> list[tuple]:
    """Image id, boxes, scores and labels of each image of a file of predictions."""
    with path.open('rb') as file:
        return [(sample['img_id'], *(sample['pred_instances'][key].numpy()
                                     for key in ('bboxes', 'scores', 'labels')))
                for sample in pickle.load(file)]


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return str(probe.getsockname()[1])


@pytest.mark.slow
def test_fcos_trains_and_evaluates_on_real_images(coco_tiny, tmp_path):
    config, work_dir = 'configs/fcos_tresnet_m.py', tmp_path / 'fcos'
    log = run_ok(sys.executable, 'tools/train.py', config, '--work-dir', work_dir,
                 '--cfg-options', *SMALL, 'default_hooks.logger.interval=1',
                 COCO_ROOT=str(coco_tiny))
    checkpoint = work_dir / 'epoch_1.pth'
    assert checkpoint.is_file()
    assert 'Epoch(train) [1][2/2]' in log and 'coco/bbox_mAP' in log

    log = run_ok(sys.executable, 'tools/test.py', config, checkpoint,
                 '--work-dir', work_dir / 'a',
                 '--classwise', '--out', tmp_path / 'p.pkl', '--out', tmp_path / 'coco.json',
                 '--show-dir', 'drawn', '--cfg-options', *SMALL, COCO_ROOT=f'{coco_tiny}/')
    assert '| person' in log and 'person_precision' in log
    found = predictions(tmp_path / 'p.pkl')
    assert len(found) == 3
    results = json.loads((tmp_path / 'coco.bbox.json').read_text())
    assert len(results) == sum(len(boxes) for _, boxes, _, _ in found) > 0
    assert {result['image_id'] for result in results} == {image for image, *_ in found}
    assert len(list(work_dir.glob('a/*/drawn/*.jpg'))) == 3


def write_first_images(source: Path, target: Path, count: int) -> Path:
    """The first images of an annotation file as a file of their own."""
    data = json.loads(source.read_text())
    data['images'] = data['images'][:count]
    ids = {image['id'] for image in data['images']}
    data['annotations'] = [a for a in data['annotations'] if a['image_id'] in ids]
    target.write_text(json.dumps(data))
    return target


@pytest.mark.reliability(
    done='a detector trained by two processes, and tested by two and by one on 5 images',
    happens='the same boxes and the same COCO measures')
@pytest.mark.slow
def test_two_processes_train_and_measure_what_one_measures(coco_tiny, tmp_path, monkeypatch):
    """RetinaNet by the shell scripts, on gloo; 5 images, so that one of the processes is padded."""
    config = 'configs/retinanet_tresnet_m.py'
    env = dict(COCO_ROOT=str(coco_tiny))
    log = run_ok('bash', 'tools/dist_train.sh', config, 2, '--work-dir',
                 tmp_path / 'train',
                 '--cfg-options', *SMALL, 'train_dataloader.batch_size=2',
                 'default_hooks.logger.interval=1', **env, PORT=free_port())
    checkpoint = tmp_path / 'train' / 'epoch_1.pth'
    assert 'Epoch(train) [1][2/2]' in log and 'coco/bbox_mAP' in log  # 8 images = 2 x 2 x 2

    # After two steps no class is told from another: the recall of boxes of any class has to tell.
    subset = write_first_images(
        coco_tiny / 'annotations/instances_val2017.json', tmp_path / 'val.json', 5)
    options = [*SMALL, 'test_evaluator.metric=[bbox,proposal]', 'model.test_cfg.max_per_img=300',
               f'test_evaluator.ann_file={subset}', f'test_dataloader.dataset.ann_file={subset}',
               'test_dataloader.dataset.indices=5']
    run_ok('bash', 'tools/dist_test.sh', config, checkpoint, 2, '--work-dir',
           tmp_path / 'two', '--out', tmp_path / 'two.pkl',
           '--cfg-options', *options, **env, PORT=free_port())
    monkeypatch.setenv('COCO_ROOT', str(coco_tiny))
    test.main([str(ROOT / config), str(checkpoint),
               '--work-dir', str(tmp_path / 'one'), '--out', str(tmp_path / 'one.pkl'),
               '--cfg-options', *options])
    one, two = (
        {key: value for key, value in metrics(tmp_path / name).items() if key.startswith('coco/')}
        for name in ('one', 'two'))
    assert 'coco/bbox_mAP' in one and one['coco/AR@1000'] > 0
    assert one == two
    for mine, theirs in zip(
            predictions(tmp_path / 'one.pkl'), predictions(tmp_path / 'two.pkl'), strict=True):
        assert mine[0] == theirs[0]
        for a, b in zip(mine[1:], theirs[1:], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('main', [True, False])
def test_one_process_writes_the_metrics(main, monkeypatch):
    monkeypatch.setattr(test, 'is_main_process', lambda: main)
    timer, logger = IterTimerHook(), LoggerHook()
    runner = SimpleNamespace(hooks=[timer, logger])
    test.log_once(runner)
    assert runner.hooks == ([timer, logger] if main else [timer])


def shallow_checkpoint(cfg: Config, path: Path) -> None:
    """Make the config's backbone shallow and narrow, and write a checkpoint of the model."""
    cfg.model.backbone.update(init_cfg=None, arch=dict(
        depths=(1, 1, 1, 1), width=0.5, blocks=('basic', 'basic', 'bottleneck', 'bottleneck')))
    cfg.model.neck.in_channels = [32, 64, 512, 1024]
    if 'rcnn' not in cfg.model.test_cfg:
        cfg.model.test_cfg.score_thr = 0.
    cfg.test_dataloader.dataset.pipeline[1].scale = (128, 128)
    init_default_scope('mmdet')
    torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict(),
                    meta=dict(dataset_meta=dict(classes=('a',) * 80))), path)


@pytest.mark.parametrize('name', ['train', 'test'])
def test_a_checkpoint_of_another_arch_ends_in_one_line(
        name, coco_tiny, tmp_path, monkeypatch, capsys):
    config, checkpoint = ROOT / 'configs/fcos_tresnet_m.py', tmp_path / 'other.pth'
    monkeypatch.setenv('COCO_ROOT', str(coco_tiny))
    shallow_checkpoint(Config.fromfile(config), checkpoint)
    arguments = [str(config), *([str(checkpoint)] if name == 'test' else [])]
    said = refusal(name, [
        *arguments, '--work-dir', str(tmp_path / 'work'), '--cfg-options', *SMALL[1:],
        f'model.backbone.init_cfg.checkpoint={checkpoint}'], capsys)
    assert str(checkpoint) in said and "the model of arch 'm'" in said
    assert not list((tmp_path / 'work').rglob('*.pth'))


def test_tta_and_the_faster_metric(coco_tiny, tmp_path, monkeypatch):
    """Both are one option away; the merged boxes come sorted and from other views too."""
    monkeypatch.setenv('COCO_ROOT', str(coco_tiny))
    cfg = Config.fromfile(ROOT / 'configs/fcos_tresnet_m.py')
    shallow_checkpoint(cfg, tmp_path / 'c.pth')
    for resize, side in zip(cfg.tta_pipeline[1].transforms[0], (128, 64, 96), strict=True):
        resize.scale = (side, side)
    cfg.test_dataloader.update(num_workers=0, persistent_workers=False)
    cfg.test_dataloader.dataset.indices = 2
    cfg.dump(tmp_path / 'config.py')
    arguments = [str(tmp_path / 'config.py'), str(tmp_path / 'c.pth'), '--cfg-options',
                 'test_evaluator.type=FasterCocoMetric']
    found = {}
    for name, option in (('plain', []), ('tta', ['--tta'])):
        # the classes in the stand-in checkpoint are not the data's
        test.main([*arguments, *option, '--work-dir', str(tmp_path / name),
                   '--out', str(tmp_path / f'{name}.pkl')])
        found[name] = predictions(tmp_path / f'{name}.pkl')
        assert set(metrics(tmp_path / name)) >= {f'coco/bbox_{key}' for key in TWELVE[:6]}
    assert [image for image, *_ in found['tta']] == [image for image, *_ in found['plain']]
    assert not np.array_equal(found['tta'][0][1], found['plain'][0][1])
    assert all(np.diff(scores).max() <= 0 for _, _, scores, _ in found['tta'])


def test_two_stage_with_masks_trains_and_writes_coco_results(coco_tiny, tmp_path, monkeypatch):
    """Mask R-CNN on a shallow backbone, in this process; crowds of the real file included."""
    monkeypatch.setenv('COCO_ROOT', str(coco_tiny))
    cfg = Config.fromfile(ROOT / 'configs/mask_rcnn_tresnet_m.py')
    cfg.model.test_cfg.rcnn.update(score_thr=0., max_per_img=5)
    shallow_checkpoint(cfg, tmp_path / 'unused.pth')
    cfg.dump(tmp_path / 'config.py')
    options = ['--work-dir', str(tmp_path / 'run'), '--cfg-options',
               *(option for option in SMALL if not option.startswith('model.'))]
    train.main([str(tmp_path / 'config.py'), *options])
    test.main([str(tmp_path / 'config.py'), str(tmp_path / 'run' / 'epoch_1.pth'),
               '--out', str(tmp_path / 'results.json'), *options])
    for kind in ('bbox', 'segm'):
        assert f'coco/{kind}_mAP' in metrics(tmp_path / 'run')
        results = json.loads((tmp_path / f'results.{kind}.json').read_text())
        assert len(results) == 3 * 5
        assert all(('segmentation' in result) == (kind == 'segm') for result in results)


COMMANDS = dict(train=train, test=test)


def refusal(name: str, arguments: list[str], capsys) -> str:
    """What a command says that ends with an error."""
    with pytest.raises(SystemExit) as stop:
        COMMANDS[name].main(arguments)
    said = capsys.readouterr().err
    assert stop.value.code == 2 and f'{name}: error: ' in said
    return said


WRONG = {
    'config': (['train', 'configs/none.py'], 'config file configs/none.py does not exist'),
    'checkpoint': (['test', 'configs/fcos_tresnet_m.py', 'none.pth'],
                   'checkpoint none.pth does not exist'),
    'resume': (['train', 'configs/fcos_tresnet_m.py', '--resume', 'none.pth'],
               'checkpoint none.pth does not exist'),
    'data': (['train', 'configs/fcos_tresnet_m.py'],
             '/nowhere/annotations/instances_train2017.json of train_dataloader does not exist: '
             'set COCO_ROOT'),
    'base batch size': (['train', 'configs/fcos_tresnet_m.py', '--auto-scale-lr',
                         '--cfg-options', 'auto_scale_lr._delete_=True'], 'base_batch_size'),
    'suffix of out': (['test', 'configs/fcos_tresnet_m.py', 'CHECKPOINT', '--out', 'a.csv'],
                      'a.csv: the suffix should be one of .json, .npz, .pkl'),
    'masks with tta': (['test', 'configs/mask_rcnn_tresnet_m.py', 'CHECKPOINT', '--tta'],
                       'merges boxes, not masks'),
    'classwise without COCO': (['test', 'configs/fcos_tresnet_m.py', 'CHECKPOINT', '--classwise',
                                '--cfg-options', 'test_evaluator.type=VOCMetric'],
                               'needs one of CocoMetric, FasterCocoMetric'),
}


@pytest.mark.parametrize('case', WRONG)
def test_wrong_argument_is_named_before_anything_is_built(
        case, coco_tiny, tmp_path, monkeypatch, capsys):
    (name, *arguments), message = WRONG[case]
    (tmp_path / 'checkpoint.pth').touch()
    arguments = [str(tmp_path / 'checkpoint.pth') if a == 'CHECKPOINT' else
                 str(ROOT / a) if a.startswith('configs/') and 'none' not in a else a
                 for a in arguments]
    monkeypatch.setenv('COCO_ROOT', '/nowhere' if case == 'data' else str(coco_tiny))
    monkeypatch.chdir(tmp_path)
    assert message in refusal(name, arguments, capsys)
    assert [path.name for path in tmp_path.iterdir()] == ['checkpoint.pth']


def test_wrong_argument_ends_the_process_with_one_line():
    done = run(sys.executable, 'tools/train.py', 'configs/none.py')
    assert done.returncode == 2
    assert 'Traceback' not in done.stderr
    assert 'train: error: config file configs/none.py does not exist' in done.stderr


@pytest.mark.parametrize(('checkpoint', 'message'), [
    ('none.pth', 'checkpoint none.pth does not exist'),
    ('tresnet://m_in2k', "unknown checkpoint 'tresnet://m_in2k'; known are tresnet://m_in1k"),
])
def test_weights_to_start_from_are_looked_for_before_anything_is_built(
        coco_tiny, monkeypatch, checkpoint, message):
    monkeypatch.setenv('COCO_ROOT', str(coco_tiny))
    args = train.parse_args([str(ROOT / 'configs/fcos_tresnet_m.py'), '--cfg-options',
                             f'model.backbone.init_cfg.checkpoint={checkpoint}'])
    with pytest.raises((FileNotFoundError, ValueError), match=message):
        train.build_config(args)


def test_options_reach_the_config(coco_tiny, tmp_path, monkeypatch):
    monkeypatch.setenv('COCO_ROOT', str(coco_tiny))
    config, checkpoint = str(ROOT / 'configs/fcos_tresnet_m.py'), tmp_path / 'c.pth'
    checkpoint.touch()
    monkeypatch.setattr(train.torch.cuda, 'is_available', lambda: True)
    cfg = train.build_config(train.parse_args(
        [config, '--amp', '--auto-scale-lr', '--resume', str(checkpoint)]))
    assert (cfg.optim_wrapper.type, cfg.optim_wrapper.loss_scale) == ('AmpOptimWrapper', 'dynamic')
    assert (cfg.auto_scale_lr.enable, cfg.resume, cfg.load_from) == (True, True, str(checkpoint))
    assert cfg.work_dir == os.path.join('work_dirs', 'fcos_tresnet_m')
    cfg = train.build_config(train.parse_args([config, '--resume', '--work-dir', 'a']))
    assert (cfg.resume, cfg.load_from, cfg.work_dir) == (True, None, 'a')

    cfg = test.build_config(test.parse_args(
        [config, str(checkpoint), '--tta', '--out', str(tmp_path / 'x' / 's.npz')]))
    assert cfg.model.type == 'DetTTAModel' and cfg.model.module.type == 'FCOS'
    assert cfg.test_dataloader.dataset.pipeline == cfg.tta_pipeline
    assert [metric['type'] for metric in cfg.test_evaluator] == [
        'CocoMetric', 'DumpMultiLabelScores']


def test_tta_without_a_pipeline_of_its_own_mirrors(coco_tiny, tmp_path, monkeypatch):
    monkeypatch.setenv('COCO_ROOT', str(coco_tiny))
    cfg = Config.fromfile(ROOT / 'configs/fcos_tresnet_m.py')
    cfg.pop('tta_pipeline'), cfg.pop('tta_model')
    test.set_tta(cfg)
    assert [step['type'] for step in cfg.test_dataloader.dataset.pipeline][-1] == 'TestTimeAug'
    assert cfg.model.type == 'DetTTAModel'


@pytest.mark.parametrize('name', [
    'imagenet_tresnet_m', 'cifar10_tresnet_m', 'flowers102_tresnet_m', 'multilabel_tresnet_m_224'])
def test_tta_of_labels_is_of_the_images_as_they_are_tested(name):
    cfg = Config.fromfile(ROOT / f'configs/{name}.py')
    cfg.pop('tta_pipeline', None), cfg.pop('tta_model', None)
    *steps, pack = cfg.test_dataloader.dataset.pipeline
    test.set_tta(cfg)
    assert cfg.test_dataloader.dataset.pipeline == [*steps, dict(type='TestTimeAug', transforms=[
        [dict(type='RandomFlip', prob=1.0), dict(type='RandomFlip', prob=0.0)], [pack]])]
    assert (cfg.model.type, cfg.model.module.type) == ('MultiLabelTTAModel', 'MultiLabelClassifier')


@pytest.mark.parametrize('command', [image_demo, predict])
def test_prediction_on_real_images(command, coco_tiny, tmp_path, monkeypatch, capsys):
    """By both names; the data set of the config need not be there, and names the classes."""
    cfg = Config.fromfile(ROOT / 'configs/fcos_tresnet_m.py')
    shallow_checkpoint(cfg, tmp_path / 'c.pth')
    weights = torch.load(tmp_path / 'c.pth', weights_only=True)['state_dict']
    torch.save(dict(state_dict=weights), tmp_path / 'c.pth')
    cfg.dump(tmp_path / 'config.py')
    images = sorted((coco_tiny / 'val2017').glob('*.jpg'))[:2]
    monkeypatch.chdir(tmp_path)
    command.main([*map(str, images), 'config.py', 'c.pth', '--score-thr', '0', '--device', 'cpu'])
    out_dir = 'demo_out' if command is image_demo else 'outputs'
    assert capsys.readouterr().out.endswith(f'2 images: {out_dir}/preds, {out_dir}/vis\n')
    for image in images:
        assert (tmp_path / out_dir / 'vis' / image.name).stat().st_size > 0
        found = json.loads((tmp_path / out_dir / 'preds' / f'{image.stem}.json').read_text())
        assert found['path'] == str(image) and set(found['boxes'][0]) == {
            'label', 'label_id', 'score', 'bbox'}
        assert {box['label'] for box in found['boxes']} < set(CocoDataset.METAINFO['classes'])


def test_mmdet_tool_lists_what_there_is():
    assert mmdet_tool.tool_path('confusion_matrix').is_file()
    with pytest.raises(FileNotFoundError, match="no analysis tool 'x'; it has: .*analyze_logs"):
        mmdet_tool.tool_path('x')


@pytest.mark.parametrize('script', ['dist_train', 'dist_test', 'slurm_train', 'slurm_test'])
def test_scripts_say_how_they_are_used(script):
    done = run('bash', f'tools/{script}.sh')
    assert done.returncode == 2
    assert f'usage: tools/{script}.sh' in done.stderr


@pytest.mark.parametrize('tool', ['train', 'test'])
def test_slurm_script_hands_everything_on(tool, tmp_path):
    """With a stand-in for srun that prints its arguments."""
    srun = tmp_path / 'srun'
    srun.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    srun.chmod(0o755)
    output = run_ok('bash', f'tools/slurm_{tool}.sh', 'part', 'job', 'c.py', 'a b', '--x', '1 2',
                    PATH=f'{tmp_path}:{os.environ["PATH"]}', GPUS='4', GPUS_PER_NODE='2')
    lines = output.splitlines()
    assert lines[-7:][-2:] == ['--x', '1 2'] and '--launcher' in lines and 'a b' in lines
    assert {'--gres=gpu:2', '--ntasks=4', '--job-name=job', 'c.py'} <= set(lines)
