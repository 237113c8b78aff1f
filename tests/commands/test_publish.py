"""Publishing: the weights that the tools evaluate, what is said of them, and the card."""

import hashlib
import json
import os
import subprocess
import sys
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from mmengine.config import Config
from mmengine.hooks import EMAHook
from mmengine.logging import HistoryBuffer
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import load_checkpoint
from safetensors.torch import load_file

from tresnet_mm.checkpoint import read_published
from tresnet_mm.checkpoint.publishing import write_published
from tresnet_mm.commands.publish import main, metrics_of, parse_args
from tresnet_mm.thresholds import save_thresholds

NAMES = ('circle', 'square', 'a|b', '*x*', 'e', 'f')
DETECTOR, LABELS, BOTH = ('fcos_tresnet_tiny_shapes', 'multilabel_tresnet_tiny_shapes',
                          'multitask_fcos_tresnet_tiny_shapes')


def build(model):
    with DefaultScope.overwrite_default_scope('mmdet'):
        return MODELS.build(model).eval()


@pytest.fixture
def make(tmp_path, repo_root):
    """Write a checkpoint as mmengine's runner does; gives its path and the model."""

    def checkpoint(name, file='epoch_1.pth', **more):
        torch.manual_seed(0)
        cfg = Config.fromfile(repo_root / f'configs/{name}.py')
        model = build(cfg.model)
        for parameter in model.parameters():
            parameter.data.add_(torch.randn_like(parameter) * 0.01)
        meta = dict(cfg=cfg.pretty_text, epoch=1, dataset_meta=dict(
            classes=NAMES, palette=[(255, 0, 0), *[(0, 0, i) for i in range(5)]]))
        content = dict(meta=meta, state_dict=model.state_dict(),
                       optimizer=dict(state={0: torch.ones(3)}),
                       message_hub=dict(log_scalars={}, runtime_info={}))
        path = tmp_path / file
        torch.save({**content, **more}, path)
        return path, model

    return checkpoint


def published_in(folder: Path) -> Path:
    path, = folder.glob('*.safetensors')
    assert sorted(os.listdir(folder)) == sorted(['README.md', path.name])
    return path


@pytest.mark.parametrize('name, task', [(DETECTOR, 'detection'), (LABELS, 'multi-label'),
                                        (BOTH, 'both')])
def test_weights_and_what_is_said_of_them(name, task, make, tmp_path):
    path, model = make(name)
    main([str(path), str(tmp_path / 'out'), '--license', 'mit'])
    file = published_in(tmp_path / 'out')
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert file.name == f'epoch_1-{digest[:8]}.safetensors'
    stored, wanted = load_file(file), model.state_dict()
    assert set(stored) == set(wanted)
    assert all(torch.equal(stored[key], wanted[key]) for key in wanted)

    said = read_published(file)
    assert (said.task, said.arch, said.thresholds, said.metrics) == (task, '', None, {})
    assert said.dataset_meta == dict(classes=list(NAMES), palette=[
        [255, 0, 0], *[[0, 0, i] for i in range(5)]])
    again = build(said.model)
    loaded = load_checkpoint(again, str(file), map_location='cpu', strict=True)
    assert loaded['meta']['dataset_meta']['classes'] == list(NAMES)
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        for a, b in zip(flat(model(images, mode='tensor')), flat(again(images, mode='tensor')),
                        strict=True):
            assert torch.equal(a, b)

    card = (tmp_path / 'out/README.md').read_text()
    _, head, body = card.split('---\n', 2)
    head = yaml.safe_load(head)
    assert head['library_name'] == 'tresnet_mm' and head['license'] == 'mit'
    assert head['pipeline_tag'] == ('image-classification' if task == 'multi-label'
                                    else 'object-detection')
    assert 'a\\|b' in body and '\\*x\\*' in body and file.name in body and digest in body


def flat(value):
    return [value] if isinstance(value, torch.Tensor) else [
        part for item in value for part in flat(item)]


def test_a_backbone_starts_from_it(make, tmp_path):
    path, model = make(DETECTOR)
    main([str(path), str(tmp_path / 'out')])
    cfg = Config.fromfile(Path(__file__).parents[2] / f'configs/{LABELS}.py').model
    cfg.backbone.init_cfg = dict(type='Pretrained', checkpoint=str(published_in(tmp_path / 'out')))
    other = build(cfg)
    other.init_weights()
    own = model.backbone.state_dict()
    assert all(torch.equal(value, own[key]) for key, value in other.backbone.state_dict().items())


def test_averaged_weights_are_taken(make, tmp_path):
    """A file as `EMAHook` leaves it: swapped, the plain weights under ``ema_state_dict``."""
    _, model = make(LABELS)
    plain = model.state_dict()
    averaged = OrderedDict((key, value + 1) for key, value in plain.items())
    content = dict(state_dict=OrderedDict(plain), ema_state_dict=OrderedDict(
        steps=torch.tensor(3), **{f'module.{key}': value for key, value in averaged.items()}))
    EMAHook()._swap_ema_state_dict(content)
    path, _ = make(LABELS, **content)
    main([str(path), str(tmp_path / 'out')])
    stored = load_file(published_in(tmp_path / 'out'))
    assert set(stored) == set(averaged)
    assert all(torch.equal(stored[key], averaged[key]) for key in averaged)


def history(*values):
    buffer = HistoryBuffer()
    for value in values:
        buffer.update(value)
    return buffer


def test_only_measurements_of_these_weights_are_taken():
    hub = dict(log_scalars={'val/coco/bbox_mAP': history(0.1, 0.25), 'val/time': history(3),
                            'val/coco/ema_bbox_mAP': history(np.float64(0.5)),
                            'val/x': history(float('nan')), 'train/loss': history(1)},
               runtime_info=dict(best_ckpt='/run/best_epoch_2.pth', best_score=0.25))

    def found(name, **more):
        return metrics_of(parse_args([name, 'out']), dict(message_hub=hub) | more, None)

    assert found('epoch_2.pth') == {}  # its log is of an epoch before
    assert found('a/best_epoch_2.pth') == {'coco/bbox_mAP': 0.25, 'coco/ema_bbox_mAP': 0.5}
    assert found('best_epoch_2.pth', ema_state_dict={}) == {'coco/bbox_mAP': 0.5}
    best = dict(metric='multi-label/mAP', score=71.5, weights='ema')  # of BestWeightsHook
    assert found('x.pth', meta=dict(best=best)) == {'multi-label/mAP': 71.5}


def test_thresholds_and_metrics_of_files(make, tmp_path):
    path, _ = make(BOTH)
    values = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    save_thresholds(tmp_path / 't.json', values[::-1], NAMES[::-1])  # by name
    (tmp_path / 'm.json').write_text('{"coco/bbox_mAP": 0.5, "data_time": 1, "note": "x"}')
    main([str(path), str(tmp_path / 'out'), '--dataset', 'My data', '--thresholds',
          str(tmp_path / 't.json'), '--metrics', str(tmp_path / 'm.json')])
    file = published_in(tmp_path / 'out')
    said = read_published(file)
    assert said.thresholds == values == said.model['image_head']['thresholds']
    assert said.metrics == {'coco/bbox_mAP': 0.5}
    head = yaml.safe_load((tmp_path / 'out/README.md').read_text().split('---\n')[1])
    result, = head['model-index'][0]['results']
    assert result['dataset']['name'] == 'My data'
    assert result['metrics'][0]['value'] == 0.5

    # A published file can be published again, with something more said of it.
    (tmp_path / 'm.json').write_text('{"coco/bbox_mAP": 0.75}')
    main([str(file), str(tmp_path / 'again/net.safetensors'), '--metrics',
          str(tmp_path / 'm.json')])
    again = read_published(published_in(tmp_path / 'again'))
    assert again.metrics == {'coco/bbox_mAP': 0.75} and again.thresholds == values
    assert published_in(tmp_path / 'again').name.startswith('net-')


def test_a_published_network_is_converted(tmp_path, repo_root):
    """timm's format, with plain batch norm and no config: ``--config`` says what it is."""
    config = repo_root / f'configs/{LABELS}.py'
    cfg = Config.fromfile(config).model
    cfg.backbone.norm_cfg = dict(type='BN')
    model = build(cfg)
    theirs = {key.replace('backbone.', 'body.').replace('downsample.proj', 'downsample.1'): value
              for key, value in model.state_dict().items()}
    torch.save(theirs, tmp_path / 'timm.pth')
    (tmp_path / 'names.txt').write_text('\n'.join(NAMES) + '\n')
    main([str(tmp_path / 'timm.pth'), str(tmp_path / 'out'), '--config', str(config), '--classes',
          str(tmp_path / 'names.txt')])
    file = published_in(tmp_path / 'out')
    again = build(read_published(file).model)
    load_checkpoint(again, str(file), map_location='cpu', strict=True)
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        given, wanted = again(images), model(images)
    assert (given - wanted).abs().max() < 1e-4 * wanted.abs().max()


def test_existing_files_stay(make, tmp_path):
    path, _ = make(LABELS)
    main([str(path), str(tmp_path / 'out')])
    file = published_in(tmp_path / 'out')
    before = file.stat().st_mtime_ns
    with pytest.raises(SystemExit, match=r'publish: error: .*README.md exists: give --force'):
        main([str(path), str(tmp_path / 'out')])
    assert published_in(tmp_path / 'out').stat().st_mtime_ns == before
    (tmp_path / 'out/README.md').unlink()
    with pytest.raises(SystemExit, match=f'publish: error: {file} exists: give --force'):
        main([str(path), str(tmp_path / 'out')])
    assert os.listdir(tmp_path / 'out') == [file.name]
    main([str(path), str(tmp_path / 'out'), '--force'])
    assert published_in(tmp_path / 'out') == file


@pytest.mark.parametrize('change, options, words', [
    (dict(meta={}), [], 'holds no config: give --config'),
    (dict(meta=dict(cfg='model = dict(type=open("x"))')), [], r'something else than plain values '
     r'in line 1 \(open.*give --config'),
    (dict(meta=dict(cfg='model = dict(type="os.system")\ntest_dataloader = dict(dataset=dict('
                        'pipeline=[dict(type="Resize")]))', dataset_meta=dict(classes=['a']))), [],
     "model.type is 'os.system', which is not registered"),
    (dict(state_dict={'w': torch.ones(1)}), [],
     'does not fit the model of the config: .*holds nothing for'),
    ({}, ['--config', 'multilabel_tresnet_m_224'], 'there are 6 class names, but the model has 80'),
    ({}, ['--thresholds', 'absent.json'], 'absent.json does not exist'),
    ({}, ['--metrics', 'absent.json'], 'absent.json does not exist'),
    ({}, ['--config', 'absent'], 'absent does not exist'),
    ({}, ['--metrics', 'text.json'], 'text.json is no JSON: '),
    ({}, ['--metrics', 'list.json'], 'list.json should hold a JSON object of numbers'),
    ({}, ['--metrics', 'times.json'], 'times.json should hold a JSON object of numbers'),
])
def test_what_is_not_published(change, options, words, make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in dict(text='mAP 0.5', list='[0.5]', times='{"time": 1, "a": NaN}').items():
        (tmp_path / f'{name}.json').write_text(text)
    path, _ = make(LABELS, **change)
    with pytest.raises(SystemExit, match=f'publish: error: .*{words}'):
        main([str(path), str(tmp_path / 'out'), *options])
    assert not (tmp_path / 'out').exists() or not os.listdir(tmp_path / 'out')


def test_weights_that_are_not_finite_are_not_published(make, tmp_path):
    _, model = make(DETECTOR)
    weights, name = model.state_dict(), 'neck.fpn_convs.0.conv.weight'
    weights[name] = weights[name] * float('nan')
    path, _ = make(DETECTOR, state_dict=weights)
    with pytest.raises(SystemExit, match=f'1 parameters are not finite, such as {name}'):
        main([str(path), str(tmp_path / 'out')])
    assert not (tmp_path / 'out').exists()


def test_a_file_is_no_folder_to_publish_into(make, tmp_path):
    path, _ = make(LABELS)
    (tmp_path / 'out').write_text('mine')
    with pytest.raises(SystemExit, match='out is a file, and no .safetensors one'):
        main([str(path), str(tmp_path / 'out')])
    assert (tmp_path / 'out').read_text() == 'mine'


def test_thresholds_that_only_the_file_says_are_not_lost(make, tmp_path):
    """As of a file whose model says none: a reader takes the file's, and so does publishing."""
    path, _ = make(LABELS)
    main([str(path), str(tmp_path / 'out')])
    file = published_in(tmp_path / 'out')
    values = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    write_published(tmp_path / 'own.safetensors', replace(read_published(file), thresholds=values),
                    load_file(file))
    main([str(tmp_path / 'own.safetensors'), str(tmp_path / 'again')])
    again = read_published(published_in(tmp_path / 'again'))
    assert again.thresholds == values == again.model['head']['thresholds']


def test_fused_weights_are_not_published(make, tmp_path):
    """They are of no config: publish the plain ones and fuse what is built from them."""
    from tresnet_mm import fuse
    _, model = make(LABELS)
    path, _ = make(LABELS, state_dict=fuse(model).state_dict())
    with pytest.raises(SystemExit, match='does not fit the model of the config'):
        main([str(path), str(tmp_path / 'out')])


@pytest.mark.slow
def test_tools_take_it(make, tmp_path, repo_root):
    """``test.py`` and mmdet's inferencer give the same with it as with the checkpoint."""
    env = os.environ | dict(SHAPES_ROOT=str(tmp_path / 'shapes'), PYTHONPATH=str(repo_root))

    def run(*arguments):
        done = subprocess.run([sys.executable, *map(str, arguments)], env=env, cwd=repo_root,
                              capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run('-m', 'tresnet_mm', 'make-shapes', tmp_path / 'shapes', '--num-train', 2,
        '--num-val', 4)
    path, _ = make(DETECTOR)
    run('tools/publish_model.py', path, tmp_path / 'out')
    file = published_in(tmp_path / 'out')
    for source, name in ((path, 'a'), (file, 'b')):
        run('tools/test.py', f'configs/{DETECTOR}.py', source, '--no-check', '--work-dir',
            tmp_path / name, '--out', tmp_path / f'{name}.json', '--cfg-options',
            'model.test_cfg.score_thr=0.0', 'test_dataloader.num_workers=0',
            'test_dataloader.persistent_workers=False')
    first, second = (json.loads((tmp_path / f'{name}.bbox.json').read_text()) for name in 'ab')
    assert first == second and first

    from mmdet.apis import DetInferencer
    image, = list((tmp_path / 'shapes').rglob('*.jpg'))[:1] or list(
        (tmp_path / 'shapes').rglob('*.png'))[:1]
    results = []
    for source in (path, file):
        inferencer = DetInferencer(str(repo_root / f'configs/{DETECTOR}.py'), str(source), 'cpu',
                                   show_progress=False)
        assert tuple(inferencer.model.dataset_meta['classes']) == NAMES
        results.append(inferencer(str(image), no_save_vis=True)['predictions'])
    assert results[0] == results[1] and results[0]
