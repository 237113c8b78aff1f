"""What a published file may say: kept as it is, and nothing that reaches beyond layers."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import TRANSFORMS
from safetensors.torch import save_file

import tresnet_mm  # noqa: F401  # registers
from tresnet_mm.checkpoint import Published, read_published
from tresnet_mm.checkpoint.config_text import parse_config
from tresnet_mm.checkpoint.published import from_json, to_json
from tresnet_mm.checkpoint.publishing import describe

GOOD = Published(
    task='both', arch='m',
    model=dict(type='MultiTaskDetector', detector=dict(
        type='FCOS', backbone=dict(type='TResNet', arch='m'), bbox_head=dict(
            type='mmdet.FCOSHead', num_classes=2, in_channels=256,
            regress_ranges=((-1, 64), (64, 1e8)), loss_cls=dict(type='FocalLoss', gamma=2.0)),
        test_cfg=dict(nms=dict(type='nms', iou_threshold=0.5))),
        image_head=dict(type='MultiLabelLinearHead', num_classes=2, thresholds=[0.5, 0.25])),
    test_pipeline=[dict(type='LoadImageFromFile'), dict(type='Resize', scale=(128, 128)),
                   dict(type='PackDetInputs', meta_keys=('img_id', 'ori_shape'))],
    dataset_meta=dict(classes=['cat/dog', 'naïve'], palette=[[0, 0, 255], [1, 2, 3]]),
    thresholds=[0.5, 0.25], metrics={'coco/bbox_mAP': 0.41}, version='0.1.0',
    extra=dict(calibration=dict(temperature=1.5)))


def written(path: Path, text: str) -> Path:
    save_file({'w': torch.ones(2)}, path, metadata={'format': 'pt', 'tresnet_mm': text})
    return path


def test_a_file_says_what_was_written(tmp_path):
    assert read_published(written(tmp_path / 'a.safetensors', to_json(GOOD))) == GOOD
    assert json.loads(to_json(GOOD))['calibration'] == {'temperature': 1.5}


def test_other_files(tmp_path):
    save_file({'w': torch.ones(2)}, tmp_path / 'plain.safetensors')
    torch.save({'w': torch.ones(2)}, tmp_path / 'a.pth')
    assert read_published(tmp_path / 'plain.safetensors') is None
    assert read_published(tmp_path / 'a.pth') is None
    (tmp_path / 'cut.safetensors').write_bytes((tmp_path / 'plain.safetensors').read_bytes()[:20])
    with pytest.raises(ValueError, match='cut.safetensors is damaged'):
        read_published(tmp_path / 'cut.safetensors')
    with pytest.raises(FileNotFoundError, match='absent'):
        read_published(tmp_path / 'absent.safetensors')


CALLS = ['os.system', 'builtins.eval', 'eval', 'exec', 'torch.load', 'torch.nn.Linear', 'this',
         'antigravity', 'subprocess.Popen', 'mmengine.config.Config.fromfile', 'mmdet.os.system',
         'nms, __import__("os")', '', 'TResNet\n', 'tresnet_mm.os', 'absent.TResNet', '..TResNet']
#: Registered, and able to evaluate text, read files or fetch from the web.
REACHING = ['CameraMotionCompensation', 'mmdet.CameraMotionCompensation', 'BertModel',
            'KnowledgeDistillationSingleStageDetector', 'LAD', 'Detectron2Wrapper',
            'AppearanceFreeLink']
PLACES = {
    'model': lambda content: content['model'],
    'backbone': lambda content: content['model']['detector']['backbone'],
    'loss': lambda content: content['model']['detector']['bbox_head']['loss_cls'],
    'nms': lambda content: content['model']['detector']['test_cfg']['nms'],
    'pipeline': lambda content: content['test_pipeline'][1],
}


@pytest.mark.parametrize('place', PLACES)
@pytest.mark.parametrize('name', [*CALLS, *REACHING, None, 3, ['TResNet'], {'type': 'TResNet'}])
def test_only_layers_and_transforms_are_named(name, place, tmp_path, monkeypatch):
    content = json.loads(to_json(GOOD))
    PLACES[place](content)['type'] = name
    path = written(tmp_path / 'evil.safetensors', json.dumps(content))
    imported = []
    for function in ('import_module', 'get_object_from_string'):
        monkeypatch.setattr(f'mmengine.registry.registry.{function}', imported.append)
    with pytest.raises(ValueError, match=r'evil.safetensors: its metadata .*type is '):
        read_published(path)
    assert not imported


@pytest.mark.parametrize('key, value', [
    ('init_cfg', dict(type='Pretrained', checkpoint='x')), ('init_cfg', None), ('pretrained', 'x'),
    ('backend_args', {}), ('file_client_args', {}), ('custom_imports', {}), ('_base_', 'x'),
    ('_delete_', True), ('_scope_', 'os'), ('_scope_', ['mmdet']), ('teacher_config', 'a'),
    ('lang_model_name', 'bert'), ('checkpoint', 'a'),
    ('a', '/etc/passwd'), ('a', '..\\x'), ('a', 'http://host'), ('a', 'config.py'), ('a', 'W.PTH'),
    ('a', 'thresholds.json'), ('a', '__import__("os").system("x")'), ('a', "f'x'"),
    ('a', 'x' * 201),
    ('a', 'a\nb'), ('a', 'a\0b'), ('a', 'é'), ('a', 1e12), ('a', 10**400), ('a b;', 1), ('', 1),
    ('a', [[[dict(b=dict(type='os.system'))]]]),
])
@pytest.mark.parametrize('place', ['backbone', 'pipeline'])
def test_arguments_reach_nothing(key, value, place):
    content = json.loads(to_json(GOOD))
    PLACES[place](content)[key] = value
    with pytest.raises(ValueError, match='no place|texts in|no scope|type is|beyond|plain name'):
        from_json(json.dumps(content))


def nested(levels: int) -> str:
    return '[' * levels + ']' * levels


@pytest.mark.parametrize('text, words', [
    ('', 'Expecting'), ('[]', 'a list, not a JSON object'), ('{}', 'lacks task, arch, model'),
    ('{"task": NaN}', 'the number NaN'), ('{"task": -Infinity}', 'the number -Infinity'),
    ('{"task": 1e999}', 'not finite'), ('{"x": ' + nested(100_000) + '}', 'too many levels'),
    ('{"x": "' + 'x' * (9 << 20) + '"}', 'larger than 8 MiB'), ('{"_tuple_": []}', 'a tuple'),
])
def test_text_that_is_no_description(text, words):
    with pytest.raises(ValueError, match=words):
        from_json(text)


@pytest.mark.parametrize('field, value, words', [
    ('task', 'segmentation', 'task is'), ('task', ['both'], 'task is'), ('arch', 'xxl', 'arch is'),
    ('arch', None, 'arch is'), ('arch', ['m'], 'arch is'), ('model', [], "no dict with a 'type'"),
    ('model', {'a': 1}, "no dict with a 'type'"), ('test_pipeline', {}, 'no list of dicts'),
    ('test_pipeline', [[]], 'no list of dicts'), ('test_pipeline', [{'type': 'FCOS'}], 'not regi'),
    ('dataset_meta', {'classes': ['a']}, 'classes and palette'),
    ('dataset_meta', {'classes': [], 'palette': None}, 'no list of names'),
    ('dataset_meta', {'classes': 'ab', 'palette': None}, 'no list of names'),
    ('dataset_meta', {'classes': ['a', 1], 'palette': None}, 'no list of names'),
    ('dataset_meta', {'classes': ['a', 'b'], 'palette': [[0, 0, 0]]}, 'no list of RGB'),
    ('dataset_meta', {'classes': ['a', 'b'], 'palette': [[0, 0, 256]] * 2}, 'no list of RGB'),
    ('thresholds', [0.5], 'no list of 2 prob'), ('thresholds', [0.5, 1.5], 'no list of 2 prob'),
    ('thresholds', [0.5, '1'], 'no list of 2 prob'), ('thresholds', 0.5, 'no list of 2 prob'),
    ('metrics', [1], 'metrics is'), ('metrics', {'a': '1'}, 'metrics is'),
    ('metrics', {'a': True}, 'metrics is'), ('metrics', {'a': 10**400}, 'metrics is'),
    ('version', 1, 'version'),
])
def test_fields_of_another_kind(field, value, words):
    with pytest.raises(ValueError, match=words):
        from_json(json.dumps(json.loads(to_json(GOOD)) | {field: value}))
    with pytest.raises(ValueError):
        to_json(replace(GOOD, **{field: value}))


NAMED = replace(
    GOOD, model=dict(GOOD.model, image_heads=dict(
        weather=dict(type='SingleLabelHead', num_classes=2),
        scene=dict(type='MultiLabelLinearHead', num_classes=3, thresholds=[0.5, 0.25, 0.125]))),
    dataset_meta=dict(GOOD.dataset_meta, image_classes=dict(
        weather=['sun', 'rain'], scene=['street', 'park', 'night'])))


def test_named_heads_travel():
    assert from_json(to_json(NAMED)) == NAMED
    unnamed = replace(NAMED, dataset_meta=GOOD.dataset_meta)  # as older versions wrote them
    assert from_json(to_json(unnamed)) == unnamed


@pytest.mark.parametrize('path, value, words', [
    ('dataset_meta.image_classes', None, 'no dict of lists of names'),
    ('dataset_meta.image_classes', [], 'no dict of lists of names'),
    ('dataset_meta.image_classes', {}, 'no dict of lists of names'),
    ('dataset_meta.image_classes.mood', ['a'], 'one for each of model.image_heads'),
    ('dataset_meta.image_classes.scene', 'abc', r'image_classes.scene is no list of names'),
    ('dataset_meta.image_classes.scene', ['a', 'b', 1], 'scene is no list of names'),
    ('dataset_meta.image_classes.scene', ['a', 'b', 'b'], 'each once'),
    ('dataset_meta.image_classes.scene', ['a', 'b', 'c' * 1001], 'scene is no list of names'),
    ('dataset_meta.image_classes.scene', ['a', 'b'], 'has 2 names, but .* is 3'),
    ('model.image_heads.scene.num_classes', '3', "has 3 names, but .* is '3'"),
    ('model.image_heads', ['scene'], 'no dict of heads by name'),
    ('model.image_heads.scene', 3, 'no dict of heads by name'),
    ('model.image_heads.scene.type', 'os.system', 'type is'),
    ('model.image_heads.scene.thresholds', [0.5, 0.5], 'no list of 3 probabilities'),
    ('model.image_heads.scene.thresholds', [0.5, 0.5, 2], 'no list of 3 probabilities'),
    ('model.image_heads.scene.thresholds', 'thresholds.json', 'texts in a published file'),
])
def test_odd_named_heads(path, value, words):
    content = json.loads(to_json(NAMED))
    *steps, last = path.split('.')
    part = content
    for step in steps:
        part = part[step]
    part[last] = value
    with pytest.raises(ValueError, match=words):
        from_json(json.dumps(content))


def test_classes_of_heads_are_told_apart():
    """The boxes' classes are not as many as a named head's: two lists are not mixed up."""
    cfg = dict(model=NAMED.model, test_pipeline=None, test_dataloader=dict(
        dataset=dict(pipeline=NAMED.test_pipeline)))
    with pytest.raises(ValueError, match='there are 3 class names, but the model has 2'):
        describe(cfg, dict(classes=list('abc')))
    said = describe(cfg, dict(classes=list('ab'), image_classes=dict(
        scene=('x', 'y', 'z'), other=('q', ))), named_thresholds=dict(scene=[0.5, 0.5, 1]))
    assert said.dataset_meta['image_classes'] == dict(scene=['x', 'y', 'z'])
    assert said.model['image_heads']['scene']['thresholds'] == [0.5, 0.5, 1]
    assert NAMED.model['image_heads']['scene']['thresholds'] == [0.5, 0.25, 0.125]


@pytest.mark.parametrize('extra, words', [
    ({'a': {1: 2}}, 'something that JSON does not keep as it is'),  # whose keys are texts
    ({'a': {1, 2}}, 'not JSON serializable'), ({'a': float('nan')}, 'JSON compliant'),
    ({(1, 2): 3}, 'keys must be str'), ([1], 'unsupported operand')])
def test_what_json_does_not_keep(extra, words):
    with pytest.raises(ValueError, match=words):
        to_json(replace(GOOD, extra=extra))


def test_large_ones():
    content = json.loads(to_json(GOOD))
    content['model']['a'] = [0] * 100_001
    with pytest.raises(ValueError, match='more than 100000 parts'):
        from_json(json.dumps(content))
    content['model']['a'] = json.loads(nested(60))
    with pytest.raises(ValueError, match='more than 40 levels'):
        from_json(json.dumps(content))


def test_what_is_named_is_not_called(monkeypatch):
    """Not even a registered class is built while a file is read."""
    def fail(*args, **kwargs):
        raise AssertionError('built')

    monkeypatch.setattr(TRANSFORMS.__class__, 'build', fail)
    assert from_json(to_json(GOOD)) == GOOD


def all_configs() -> list[str]:
    folder = Path(__file__).resolve().parents[2] / 'configs'
    return sorted(path.stem for path in folder.glob('*.py'))


@pytest.mark.parametrize('name', all_configs())
def test_every_config_can_be_published(name, repo_root):
    """And its text, as a checkpoint keeps it, is read as the same without being run."""
    cfg = Config.fromfile(repo_root / f'configs/{name}.py')
    assert parse_config(cfg.pretty_text) == cfg.to_dict()
    counts = [part for part in str(cfg.model).split("'num_classes': ")[1:]]
    count = int(''.join(c for c in counts[0][:6] if c.isdigit()))
    said = describe(cfg, dict(classes=[f'c{i}' for i in range(count)]))
    assert from_json(to_json(said)) == said
    arch = cfg.model.get('detector', cfg.model).backbone.arch
    assert said.arch == (arch if isinstance(arch, str) else '')
    head = cfg.model.get('head', {}).get('type', '')
    assert said.task == ('both' if 'multitask' in name else
                         'multi-label' if 'multilabel' in name else
                         'single-label' if head == 'SingleLabelHead' else 'detection')


@pytest.mark.parametrize('text', [
    'import os', 'a = __import__("os")', 'a = os.system("x")', 'a = [x for x in y]', 'a = b',
    'a = dict(**b)', 'a = dict([1])', 'a = dict(**[1])', 'a = f"{b}"', 'a = lambda: 1',
    'a = (1).real', 'a = b[0]', 'a = list(1)', 'a.b = 1', 'a = b = 1', 'a = {**{}}',
    'a = {(1,): 2}', 'a = eval("1")', 'print(1)', 'def f(): pass', 'a = b"x"',
    'a = 1 + 1', 'a = (yield)', 'a = -"x"', 'a = 1j', 'a: int = 1'])
def test_a_config_that_is_a_program_is_not_read(text):
    with pytest.raises(ValueError, match='something else than plain values in line 2'):
        parse_config(f'x = dict(a=1)\n{text}\n')


@pytest.mark.parametrize('text', ['a = (', 'a = ' + '(' * 5000, 'a = ' + '-' * 200_000 + '1',
                                  'a = 1\0', ' ' * (5 << 20)], ids=range(5))
def test_text_that_is_no_config(text):
    with pytest.raises(ValueError, match='its config'):
        parse_config(text)
