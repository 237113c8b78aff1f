"""The standard tools on this package: mmdet's own, mmengine's hub, mmdet's inferencers, and MIM."""

import dataclasses
import importlib.util
import json
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import mmdet
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.fileio import load
from mmengine.hub import get_config, get_model

from tresnet_mm.datasets.shapes import SHAPES_SET, make_shapes

MMDET_TOOLS = Path(mmdet.__file__).parent / '.mim/tools'
MIM = (sys.executable, '-c', 'from mim.cli import cli; cli()')
CONFIGS = dict(detection='fcos_tresnet_tiny_shapes', labels='multilabel_tresnet_tiny_shapes')
METRICS = dict(detection='coco/bbox_mAP', labels='multi-label/mAP')
SHORT = [
    'train_cfg.max_epochs=1', 'param_scheduler.0.total_steps=1', 'train_dataloader.batch_size=4',
    *(f'{loader}_dataloader.{option}' for loader in ('train', 'val', 'test')
      for option in ('num_workers=0', 'persistent_workers=False'))]
EVERY_BOX = 'model.test_cfg.score_thr=0'
slow = pytest.mark.slow
needs_mim = pytest.mark.skipif(
    importlib.util.find_spec('mim') is None,
    reason="needs MIM: onedl-mim, or openmim beside OpenMMLab's own releases")


def short(kind: str) -> list[str]:
    return ['--cfg-options', *SHORT, *([EVERY_BOX] if kind == 'detection' else [])]


def run_ok(*command: object, **options) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, **options)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout + done.stderr


def last_metrics(work_dir: Path) -> dict[str, float]:
    return json.loads(max(work_dir.glob('*/*.json'), key=os.path.getmtime).read_text())


@pytest.fixture(scope='module')
def shapes(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp('shapes')
    make_shapes(root, dataclasses.replace(SHAPES_SET, num_train=4, num_val=2, size=64))
    return root


@pytest.fixture
def environment(shapes, repo_root) -> dict[str, str]:
    """Where the data lies, and this checkout as the package, whatever is installed."""
    path = os.pathsep.join(filter(None, [str(repo_root), os.environ.get('PYTHONPATH')]))
    return {**os.environ, 'SHAPES_ROOT': str(shapes), 'PYTHONPATH': path}


@pytest.fixture(scope='module')
def unpacked(wheel, tmp_path_factory) -> Path:
    """The wheel, unpacked.

    Not installed by pip: that lists the console command first in its record, and OneDL's MIM takes
    the folder of the first file in it for the package's.
    """
    folder = tmp_path_factory.mktemp('unpacked')
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


@pytest.fixture
def installed(unpacked, environment) -> dict[str, str]:
    """The environment in which the wheel is the package."""
    return {**environment, 'PYTHONPATH': str(unpacked)}


@pytest.fixture(scope='module', params=CONFIGS)
def trained(request, shapes, repo_root, tmp_path_factory) -> tuple[str, Path]:
    """Trained by mmdet's own tool: the kind of model, and its work dir."""
    work_dir = tmp_path_factory.mktemp('trained')
    environment = {**os.environ, 'SHAPES_ROOT': str(shapes), 'PYTHONPATH': str(repo_root)}
    run_ok(sys.executable, MMDET_TOOLS / 'train.py',
           repo_root / f'configs/{CONFIGS[request.param]}.py', '--work-dir', work_dir,
           *short(request.param), cwd=work_dir, env=environment)
    return request.param, work_dir


INFERENCE = """
import json, sys
from mmdet.apis import DetInferencer, inference_detector, init_detector
config, checkpoint, out, *images = sys.argv[1:]
model = init_detector(config, checkpoint, device='cpu')
assert 'tresnet_mm' in sys.modules
instances = [sample.pred_instances for sample in inference_detector(model, images)]
found = dict(classes=model.dataset_meta['classes'], detector=[
    (i.bboxes.tolist(), i.scores.tolist(), i.labels.tolist()) for i in instances])
for name, arguments in dict(
        path=dict(model=config), name=dict(model='fcos_tresnet_tiny_shapes', scope='tresnet_mm'),
).items():
    inferencer = DetInferencer(**arguments, weights=checkpoint, device='cpu', show_progress=False)
    inferencer.model.bbox_head.test_cfg.score_thr = 0
    found[name] = [(p['bboxes'], p['scores'], p['labels'])
                   for p in inferencer(images)['predictions']]
json.dump(found, open(out, 'w'))
"""


@slow
def test_mmdets_tools_and_inferencers(trained, environment, shapes, tmp_path):
    """mmdet's tool tests what its tool trained; its two ways to predict agree with that."""
    kind, work_dir = trained
    config, checkpoint = work_dir / f'{CONFIGS[kind]}.py', work_dir / 'epoch_1.pth'
    run_ok(sys.executable, MMDET_TOOLS / 'test.py', config, checkpoint, '--work-dir',
           tmp_path / 'test', '--out', tmp_path / 'found.pkl', cwd=tmp_path, env=environment)
    assert METRICS[kind] in last_metrics(tmp_path / 'test')
    with (tmp_path / 'found.pkl').open('rb') as file:
        samples = pickle.load(file)
    assert len(samples) == 2
    if kind == 'labels':
        assert all(sample['pred_scores'].shape == (6,) for sample in samples)
        return
    images = [str(sample['img_path']) for sample in samples]
    run_ok(sys.executable, '-c', INFERENCE, config, checkpoint, tmp_path / 'found.json', *images,
           cwd=tmp_path, env=environment)
    found = json.loads((tmp_path / 'found.json').read_text())
    assert found['classes'] == list(SHAPES_SET.class_names)
    for way in ('detector', 'path', 'name'):
        for (boxes, scores, labels), sample in zip(found[way], samples, strict=True):
            expected = sample['pred_instances']
            np.testing.assert_allclose(boxes, expected['bboxes'].numpy(), atol=1e-3)
            np.testing.assert_allclose(scores, expected['scores'].numpy(), atol=1e-5)
            assert labels == expected['labels'].tolist()


@slow
@needs_mim
def test_mim_trains_and_tests(trained, installed, tmp_path):
    """By a config's name, with the tools that the wheel carries."""
    kind, work_dir = trained
    name, out = f'{CONFIGS[kind]}.py', tmp_path / 'out'
    if kind == 'labels':
        said = run_ok(*MIM, 'train', 'tresnet_mm', name, '--work-dir', out, *short(kind),
                      cwd=tmp_path, env=installed)
        assert 'Training finished successfully' in said and (out / 'epoch_1.pth').is_file()
    said = run_ok(*MIM, 'test', 'tresnet_mm', name, '--checkpoint', work_dir / 'epoch_1.pth',
                  '--work-dir', tmp_path / 'test', *short(kind), cwd=tmp_path, env=installed)
    assert 'Testing finished successfully' in said
    assert METRICS[kind] in last_metrics(tmp_path / 'test')


@slow
@needs_mim
def test_mim_lists_the_models(installed, repo_root, tmp_path):
    code = ('import json, mim; from mim.cli import cli; '
            "json.dump(mim.get_model_info('tresnet_mm', to_dict=True), open('info.json', 'w')); "
            "cli(['search', 'tresnet_mm', '--model', 'tresnet', '--dataset', 'voc 2007'])")
    said = run_ok(sys.executable, '-c', code, cwd=tmp_path, env=installed)
    assert [line for line in said.splitlines() if 'config id' in line] == [
        'config id: multilabel_voc07_tresnet_l_448']
    listed = json.loads((tmp_path / 'info.json').read_text())
    models = load(repo_root / 'configs/metafile.yml')['Models']
    assert list(listed) == [model['Name'] for model in models]
    assert listed['fcos_tresnet_m']['config'] == 'configs/fcos_tresnet_m.py'
    assert listed['fcos_tresnet_m']['training_data'] == 'coco'


def test_the_index_is_sound(repo_root):
    """By MIM's own parser of it."""
    modelindex = pytest.importorskip('modelindex', reason='needs the package model-index')
    index = modelindex.load(str(repo_root / 'model-index.yml'))
    assert not [error for part in index.collect_check_errors() for error in part['errors']]
    names = {model.name: model for model in index.models}
    assert len(names) == len(list(index.models))
    for model in names.values():
        assert (repo_root / model.config).is_file() and Path(model.config).stem == model.name
        assert model.in_collection == index.collections[0].name == 'TResNet'


@pytest.fixture
def as_installed(unpacked, monkeypatch):
    """This package, found by mmengine as one that is installed."""
    for module in ('mmengine.config.config', 'mmengine.hub.hub'):
        monkeypatch.setattr(f'{module}.get_installed_path',
                            lambda package, known=sys.modules[module].get_installed_path:
                            str(unpacked / package) if package == 'tresnet_mm' else known(package))
        if hasattr(sys.modules[module], 'is_installed'):
            monkeypatch.setattr(f'{module}.is_installed', lambda package: True)
    monkeypatch.setattr('mmengine.hub.hub.install_package', lambda package: None)


@pytest.mark.parametrize('name', ['fcos_tresnet_m.py', 'fcos_tresnet_m'])
def test_hub_knows_the_configs_by_their_names(name, as_installed, repo_root):
    expected = Config.fromfile(repo_root / 'configs/fcos_tresnet_m.py')
    assert get_config(f'tresnet_mm::{name}').to_dict() == expected.to_dict()


def test_a_config_is_a_base_by_its_name(as_installed, repo_root, tmp_path):
    (tmp_path / 'mine.py').write_text(
        "_base_ = 'tresnet_mm::fcos_tresnet_m.py'\nmodel = dict(bbox_head=dict(num_classes=7))\n")
    child = Config.fromfile(tmp_path / 'mine.py')
    expected = Config.fromfile(repo_root / 'configs/fcos_tresnet_m.py')
    expected.model.bbox_head.num_classes = 7
    child.model.pop('_scope_')
    assert child.model.backbone.type == 'TResNet' and child.model.bbox_head.num_classes == 7
    assert child.train_dataloader.batch_size == expected.train_dataloader.batch_size


@pytest.mark.parametrize(('name', 'kind'), [
    (CONFIGS['detection'], 'FCOS'), (CONFIGS['labels'], 'MultiLabelClassifier'),
    ('multitask_fcos_tresnet_tiny_shapes', 'MultiTaskDetector')])
def test_hub_builds_the_models(name, kind, as_installed, recwarn, capfd):
    assert type(get_model(f'tresnet_mm::{name}.py')).__name__ == kind
    assert 'Failed' not in capfd.readouterr().err  # to search the registry of a scope


@pytest.mark.parametrize(('name', 'options', 'error', 'message'), [
    ('fcos_tresnet_k.py', {}, FileNotFoundError, 'configs/fcos_tresnet_k.py" does not exist'),
    ('fcos_tresnet_m.py', dict(pretrained=True), AssertionError, 'Cannot find `Weights`'),
    ('a::b.py', {}, ValueError, '::'),
])
def test_what_the_hub_cannot_give_is_said(name, options, error, message, as_installed):
    with pytest.raises(error, match=message):
        get_config(f'tresnet_mm::{name}', **options)
