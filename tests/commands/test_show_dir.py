"""``tresnet-mm test --show-dir`` and the hook in validation draw image labels, and boxes too."""

import json
from argparse import Namespace
from pathlib import Path

import mmcv
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import Runner

from tresnet_mm.commands import test as test_command
from tresnet_mm.visualization import MultiLabelVisualizer

CLASSES = ('cat', 'dog', 'hen')
ARCH = dict(depths=(1, 1, 1, 1), width=0.125, blocks=('basic', 'basic', 'bottleneck', 'bottleneck'))


@pytest.fixture
def data(tmp_path) -> Path:
    """Two images of a cat each in COCO's format."""
    content = dict(
        images=[dict(id=i, file_name=f'{i}.png', width=64, height=64) for i in (1, 2)],
        categories=[dict(id=i, name=name) for i, name in enumerate(CLASSES, start=1)],
        annotations=[dict(id=i, image_id=i, category_id=1, bbox=[8, 8, 40, 40], area=1600,
                          iscrowd=0) for i in (1, 2)])
    (tmp_path / 'val.json').write_text(json.dumps(content))
    for i in (1, 2):
        image = np.random.default_rng(i).integers(0, 255, (64, 64, 3)).astype(np.uint8)
        mmcv.imwrite(image, str(tmp_path / f'{i}.png'))
    return tmp_path


def small(repo_root: Path, data: Path, name: str) -> Config:
    """A shipped config of the shapes on that data with a small model, and its checkpoint."""
    cfg = Config.fromfile(repo_root / f'configs/{name}.py')
    for loader in (cfg.val_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False, batch_size=2)
        loader.dataset.update(data_root=str(data), ann_file='val.json',
                              metainfo=dict(classes=CLASSES), data_prefix=dict(img=''))
    for metric in cfg.test_evaluator if isinstance(cfg.test_evaluator, list) else ():
        if 'ann_file' in metric:
            metric.ann_file = str(data / 'val.json')
    cfg.val_evaluator = cfg.test_evaluator
    model = cfg.model.get('detector', cfg.model)
    model.backbone.arch = ARCH
    for head in (cfg.model.get('head'), cfg.model.get('image_head'), model.get('bbox_head')):
        if head is not None:
            head.num_classes = len(CLASSES)
    if 'neck' in model:
        model.neck.in_channels = [8, 16, 128, 256]
        model.test_cfg.score_thr = 0
    cfg.work_dir = str(data / 'work')
    init_default_scope('mmdet')
    torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict(), meta={}), data / 'model.pth')
    return cfg


@pytest.mark.parametrize('name', [
    'multilabel_tresnet_tiny_shapes', 'multitask_fcos_tresnet_tiny_shapes'])
def test_pictures_of_a_test_run(repo_root, data, name):
    small(repo_root, data, name).dump(data / 'config.py')
    test_command.main([str(data / 'config.py'), str(data / 'model.pth'), '--work-dir',
                       str(data / 'work'), '--show-dir', 'drawn'])
    pictures = sorted((data / 'work').glob('*/drawn/*.png'))
    assert [path.name for path in pictures] == ['1.png', '2.png']
    height, width = mmcv.imread(str(pictures[0])).shape[:2]
    image_height = 320 // 2 if 'multitask' in name else 320  # two images beside each other
    assert width == 320 and height > image_height + 2 * 18  # a line for each of three classes


def test_the_hook_draws_in_validation(repo_root, data):
    cfg = small(repo_root, data, 'multilabel_tresnet_tiny_shapes')
    cfg.default_hooks.visualization.draw = True
    cfg.train_dataloader = cfg.train_cfg = cfg.optim_wrapper = cfg.param_scheduler = None
    cfg.visualizer.name = cfg.experiment_name = 'hook_draws'  # none that another test has made
    runner = Runner.from_cfg(cfg)
    assert type(runner.visualizer) is MultiLabelVisualizer
    runner.val()
    [picture] = (data / 'work').glob('*/vis_data/vis_image/val_img_*.png')
    assert mmcv.imread(str(picture)).shape[1] == 320


@pytest.mark.parametrize('model, given, wanted', [
    ('MultiLabelClassifier', dict(type='DetLocalVisualizer', name='v'), 'MultiLabelVisualizer'),
    ('MultiTaskDetector', None, 'MultiLabelVisualizer'),
    ('MultiLabelClassifier', dict(type='Mine', name='v'), 'Mine'),
    ('FCOS', dict(type='DetLocalVisualizer', name='v'), 'DetLocalVisualizer'),
])
def test_configs_that_name_no_visualizer_of_labels(model, given, wanted):
    cfg = Config(dict(model=dict(type=model), default_hooks=dict(
        visualization=dict(type='DetVisualizationHook'))))
    if given:
        cfg.visualizer = given
    test_command.set_visualization(cfg, Namespace(show=False, show_dir='d', wait_time=0))
    assert cfg.visualizer.type == wanted and cfg.visualizer.name
    assert cfg.default_hooks.visualization.test_out_dir == 'd'


def test_shipped_configs_name_it(repo_root):
    for name in ('multilabel_tresnet_m_224', 'multitask_fcos_tresnet_m'):
        cfg = Config.fromfile(repo_root / f'configs/{name}.py')
        assert cfg.visualizer.type == 'MultiLabelVisualizer' and cfg.visualizer.vis_backends
    for path in (repo_root / 'configs').glob('multilabel_*.py'):  # loading each takes long
        assert 'default_runtime' not in path.read_text(), path
