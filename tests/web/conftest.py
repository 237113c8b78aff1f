"""Models for the page: one of each kind with random weights, and one trained for a moment."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from mmengine.runner import Runner

from tests.inference.conftest import TINY, config, photos, spread_weights, trained  # noqa: F401
from tresnet_mm.datasets.shapes import ShapesSpec, make_shapes
from tresnet_mm.inference import Inferencer
from tresnet_mm.web.web_model import WebModel

ROOT = Path(__file__).resolve().parents[2]
MAX_PIXELS = 20_000


@pytest.fixture(scope='session')
def models(trained) -> dict[str, WebModel]:  # noqa: F811
    """Kind of model -> model for the page."""
    return {kind: WebModel(kind, Inferencer(*map(str, files), 'cpu', show_progress=False),
                           MAX_PIXELS) for kind, files in trained.items()}


@pytest.fixture(scope='session')
def one_label(tmp_path_factory) -> WebModel:
    """A model of seven classes, of which an image has one."""
    folder = tmp_path_factory.mktemp('one_label')
    cfg = config('classifier', type='MultiLabelClassifier', backbone=TINY,
                 head=dict(type='SingleLabelHead', num_classes=7))
    cfg.test_dataloader.dataset.metainfo.classes = tuple('abcdefg')
    cfg.dump(folder / 'one.py')
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    spread_weights(model)
    torch.nn.init.normal_(model.head.fc.weight, std=0.3)
    torch.save(dict(state_dict=model.state_dict()), folder / 'one.pth')
    return WebModel('one', Inferencer(str(folder / 'one.py'), str(folder / 'one.pth'), 'cpu',
                                      show_progress=False), MAX_PIXELS)


@pytest.fixture(scope='session')
def shapes(tmp_path_factory) -> Path:
    """A few images of the demo's data set."""
    folder = tmp_path_factory.mktemp('shapes')
    make_shapes(folder, ShapesSpec(num_train=16, num_val=4))
    return folder


@pytest.fixture(scope='session')
def shapes_checkpoint(shapes, tmp_path_factory) -> Path:
    """What four iterations of the demo's model for boxes and labels leave."""
    work_dir = tmp_path_factory.mktemp('work')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('SHAPES_ROOT', str(shapes))
        cfg = Config.fromfile(ROOT / 'configs/multitask_fcos_tresnet_tiny_shapes.py')
    cfg.merge_from_dict({
        'work_dir': str(work_dir), 'train_cfg.max_epochs': 1, 'param_scheduler.0.total_steps': 1,
        'train_dataloader.batch_size': 4,
        'model.detector.test_cfg.score_thr': 0.})  # it finds nothing else as yet
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    cfg.train_cfg.pop('val_interval')
    Runner.from_cfg(cfg).train()
    return work_dir / 'epoch_1.pth'


@pytest.fixture
def bad_files(tmp_path, photos) -> dict[str, Path]:  # noqa: F811
    """What is no image, by a name that says why."""
    whole = photos[0].read_bytes()
    contents = {
        'text.jpg': b'this is a text', 'half.png': whole[:len(whole) // 2], 'empty.png': b'',
        'drawing.svg': b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
        # 1000 x 1000 by its header
        'vast.pgm': b'P5 1000 1000 255\n',
    }
    folder = tmp_path / 'uploads'
    folder.mkdir()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return {name: folder / name for name in contents}
