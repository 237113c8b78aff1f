"""Every shipped config loads, fits together and honours COCO_ROOT; detectors train and predict."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, init_default_scope

from tresnet_mm.archs import ARCHS
from tresnet_mm.deploy.build_graph import build_graph

CONFIGS = Path(__file__).resolve().parent.parent / 'configs'
ALL = sorted(path.stem for path in CONFIGS.glob('*.py'))
# Detectors whose configs differ only in what this file checks; the others have tests of their own.
DETECTORS = [
    'atss_tresnet_m', 'cascade_rcnn_tresnet_m', 'dino_tresnet_m', 'faster_rcnn_tresnet_m',
    'fcos_tresnet_l', 'fcos_tresnet_m', 'fcos_tresnet_m_70e', 'gfl_tresnet_m',
    'mask_rcnn_tresnet_m', 'retinanet_tresnet_l', 'retinanet_tresnet_m', 'rtmdet_tresnet_m']
BOXES = torch.tensor([[8., 8, 60, 70], [40, 30, 120, 110]])


@pytest.fixture(scope='module', autouse=True)
def coco_root(tmp_path_factory) -> Iterator[str]:
    """A COCO_ROOT that no config could name by itself."""
    root = str(tmp_path_factory.mktemp('coco_root'))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('COCO_ROOT', root)
        yield root


@pytest.fixture(scope='module')
def configs(coco_root: str) -> dict[str, Config]:
    """The configs that were loaded already, by name."""
    return {}


def load(name: str, configs: dict[str, Config]) -> Config:
    if name not in configs:
        configs[name] = Config.fromfile(CONFIGS / f'{name}.py')
    return Config(configs[name].to_dict())


def strings(value: Any) -> Iterator[str]:
    """Every string inside nested dictionaries and lists."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for part in value:
            yield from strings(part)
    elif isinstance(value, str):
        yield value


@pytest.mark.parametrize('name', ALL)
def test_config_registers_the_package_and_reads_no_fixed_folder(name, configs):
    cfg = load(name, configs)
    assert 'tresnet_mm' in cfg.custom_imports.imports
    used = {key: cfg[key] for key in cfg if key.endswith(('_dataloader', '_evaluator'))}
    assert used
    assert [text for text in strings(used) if text.startswith('data/coco')] == []


@pytest.mark.parametrize('name', ALL)
def test_epoch_schedule_ends_with_training(name, configs):
    cfg = load(name, configs)
    schedulers = [s for s in cfg.get('param_scheduler') or [] if s['type'] == 'MultiStepLR']
    for scheduler in schedulers:
        assert scheduler['end'] == cfg.train_cfg.max_epochs
        assert max(scheduler['milestones']) < cfg.train_cfg.max_epochs


@pytest.mark.parametrize('name', ALL)
def test_the_model_can_be_exported(name, configs):
    init_default_scope('mmdet')
    with torch.device('meta'):  # what it is made of is all that is asked for
        model = MODELS.build(load(name, configs).model)
    assert build_graph(model).outputs


@pytest.mark.parametrize('slash', ['', '/'])
@pytest.mark.parametrize('name', ['fcos_tresnet_m', 'retinanet_tresnet_m', 'mask_rcnn_tresnet_m'])
def test_coco_root_with_and_without_slash(name, slash, coco_root, monkeypatch):
    monkeypatch.setenv('COCO_ROOT', coco_root + slash)
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        assert loader.dataset.data_root == coco_root + '/'
    for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
        assert evaluator.ann_file == coco_root + '/annotations/instances_val2017.json'


@pytest.mark.parametrize('name', DETECTORS)
def test_input_is_rgb_in_0_1_and_the_neck_fits(name, configs):
    init_default_scope('mmdet')
    model = load(name, configs).model
    blue = torch.zeros(3, 32, 32, dtype=torch.uint8)
    blue[0] = 255  # images are loaded as BGR
    preprocessor = MODELS.build(dict(model.data_preprocessor, batch_augments=None))
    (image,) = preprocessor(dict(inputs=[blue], data_samples=None))['inputs']
    assert [channel.unique().tolist() for channel in image[:, :32, :32]] == [[0.], [0.], [1.]]
    backbone = MODELS.build(dict(model.backbone, arch=shallow(model.backbone.arch), init_cfg=None))
    neck = model.neck[0] if isinstance(model.neck, list) else model.neck
    assert list(backbone.out_channels) == list(neck.in_channels)


def shallow(arch: str) -> dict:
    """The arch with one block a stage: the same channels, in a fraction of the time."""
    return dict(ARCHS[arch], depths=(1, 1, 1, 1))


def small_detector(cfg: Config) -> torch.nn.Module:
    """The config's detector on a shallow backbone, with every score let through."""
    init_default_scope('mmdet')
    model = MODELS.build(shrunk(cfg.model))
    model.init_weights()  # DINO's embedding of levels is memory as it was found until then
    return model


def shrunk(model: ConfigDict) -> ConfigDict:
    """The config of a detector, changed to run in a second on a CPU."""
    model.backbone.update(arch=shallow(model.backbone.arch), init_cfg=None)
    for part in ('encoder', 'decoder'):
        if part in model:
            model[part].num_layers = 2
    if 'dn_cfg' in model:
        model.num_queries = 20
    test_cfg = model.get('test_cfg') or {}
    test_cfg.get('rcnn', test_cfg).score_thr = 0.
    if 'rpn' in test_cfg:  # each proposal costs the second stage time on a CPU
        test_cfg.rpn.update(nms_pre=50, max_per_img=20)
        model.train_cfg.rpn_proposal.update(nms_pre=50, max_per_img=20)
    return model


def batch(size: int, with_masks: bool) -> dict:
    """Two images of two objects, as a detector's data loader gives them."""
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks
    from mmengine.structures import InstanceData
    samples = []
    for index in range(2):
        sample = DetDataSample(metainfo=dict(
            img_shape=(size, size), ori_shape=(size, size), pad_shape=(size, size),
            batch_input_shape=(size, size), scale_factor=(1., 1.), img_id=index))
        sample.gt_instances = InstanceData(
            bboxes=BOXES * (size / 128), labels=torch.tensor([1, 7]))
        if with_masks:
            masks = torch.zeros(2, size, size, dtype=torch.uint8)
            for mask, box in zip(masks, sample.gt_instances.bboxes.int().tolist(), strict=True):
                mask[box[1]:box[3], box[0]:box[2]] = 1
            sample.gt_instances.masks = BitmapMasks(masks.numpy(), size, size)
        sample.ignored_instances = InstanceData(
            bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long))
        samples.append(sample)
    images = [torch.randint(0, 256, (3, size, size), dtype=torch.uint8) for _ in samples]
    return dict(inputs=images, data_samples=samples)


@pytest.mark.parametrize(
    'name', [n for n in DETECTORS if n not in ('fcos_tresnet_l', 'fcos_tresnet_m_70e')])
def test_detector_trains_and_predicts(name, configs):
    cfg = load(name, configs)
    model = small_detector(cfg)
    data = batch(320 if name.startswith('dino') else 128, with_masks='mask' in name)
    model.train()
    processed = model.data_preprocessor(data, training=True)
    losses = model(**processed, mode='loss')
    total, _ = model.parse_losses(losses)
    assert torch.isfinite(total) and total > 0
    total.backward()
    # Stage 1 and the stem are frozen; the first trained layer sees the loss.
    grad = model.backbone.layer2[0].conv1.conv.weight.grad
    assert grad.abs().sum() > 0
    assert model.backbone.conv1.conv.weight.grad is None
    model.eval()
    with torch.no_grad():
        results = model.test_step(batch(data['inputs'][0].shape[-1], with_masks=False))
    assert len(results) == 2
    for sample in results:
        boxes = sample.pred_instances.bboxes
        assert len(boxes) > 0 and torch.isfinite(boxes).all()


def test_fcos_keeps_mmdets_optimizer_settings(configs):
    """Biases learn twice as fast without decay; the biases of norm layers only do without decay."""
    cfg = load('fcos_tresnet_m', configs)
    optimizer = build_optim_wrapper(small_detector(cfg), cfg.optim_wrapper)
    groups = {(group['lr'], group['weight_decay']) for group in optimizer.param_groups}
    assert groups == {(0.01, 0.0001), (0.02, 0.), (0.01, 0.)}
