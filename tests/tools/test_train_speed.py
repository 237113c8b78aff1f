"""The speed options of ``tresnet-mm train``: each trains, and gives what training without gives."""

import functools

import pytest
import torch
from mmengine.registry import DATASETS, MODELS, RUNNERS
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch.utils.data import Dataset

from tests.lines import needs_compiler
from tresnet_mm.commands import train as train_command
from tresnet_mm.models import TResNet

CONFIG = """
custom_imports = dict(imports=['tresnet_mm'], allow_failed_imports=False)
model = dict(
    type='MultiLabelClassifier',
    backbone=dict(type='TResNet', arch=dict(depths=(1, 1, 1, 1), width=0.125), out_indices=(3, )),
    head=dict(type='MultiLabelLinearHead', num_classes=3))
train_dataloader = dict(
    batch_size=4, dataset=dict(type='RandomLabelledImages'), num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False))
train_cfg = dict(by_epoch=False, max_iters=2)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01))
default_hooks = dict(checkpoint=None)
randomness = dict(seed=0)
"""


@DATASETS.register_module()
class RandomLabelledImages(Dataset):
    """Eight random images with random labels, the same in every run."""

    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        self.images = torch.randint(0, 255, (8, 3, 64, 64), generator=generator).byte()
        self.labels = (torch.rand(8, 3, generator=generator) < 0.5).float()

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        return dict(inputs=self.images[i], data_samples=BaseDataElement(gt_labels=self.labels[i]))


def train(tmp_path, *options: str):
    """Run the tool's training with some options; the trained runner."""
    config = tmp_path / 'config.py'
    config.write_text(CONFIG)
    cfg = train_command.build_config(train_command.parse_args(
        [str(config), '--work-dir', str(tmp_path / 'work'), *options]))
    # Initialised once: a random fill follows the layout of the weights.
    weights_file = tmp_path / 'initial.pth'
    if not weights_file.exists():
        model = MODELS.build(cfg.model)
        model.init_weights()
        torch.save(model.state_dict(), weights_file)
    cfg.load_from = str(weights_file)
    cfg.experiment_name = f'{tmp_path.name}_{"_".join(options)}'
    runner = Runner.from_cfg(cfg) if 'runner_type' not in cfg else RUNNERS.build(cfg)
    runner.train()
    return runner


def weights(runner):
    return {k: v.detach().clone() for k, v in runner.model.state_dict().items()}


@pytest.fixture
def plain(tmp_path):
    """The weights after training without options."""
    return weights(train(tmp_path))


@pytest.mark.parametrize('option', [
    '--channels-last', '--grad-checkpoint', pytest.param('--compile', marks=needs_compiler)])
def test_an_option_changes_the_speed_only(option, plain, tmp_path, monkeypatch):
    if option == '--compile':  # the graphs are captured, without the minutes of C++
        monkeypatch.setattr(TResNet, 'compile', functools.partialmethod(
            TResNet.compile, backend='eager'))
    runner = train(tmp_path, option)
    backbone = runner.model.backbone
    weight = backbone.layer1[0].conv1.conv.weight
    assert backbone.with_cp == (option == '--grad-checkpoint')
    assert (backbone._compiled_call_impl is not None) == (option == '--compile')
    assert weight.is_contiguous() == (option != '--channels-last')
    for key, value in weights(runner).items():
        torch.testing.assert_close(value, plain[key], atol=1e-4, rtol=1e-3, msg=key)


def test_bfloat16_trains_close_to_float32(plain, tmp_path):
    runner = train(tmp_path, '--amp-dtype', 'bfloat16')
    assert type(runner.optim_wrapper).__name__ == 'AutocastOptimWrapper'
    found = weights(runner)
    key = 'head.fc.bias'
    assert not torch.equal(found[key], plain[key])  # another precision was at work
    torch.testing.assert_close(found[key], plain[key], atol=0.05, rtol=0.05)
    assert all(value.dtype != torch.bfloat16 for value in found.values())


def test_options_that_cannot_work_are_refused(tmp_path):
    config = tmp_path / 'config.py'
    config.write_text(CONFIG + "runner_type = 'MyRunner'\n")
    with pytest.raises(ValueError, match="runner_type='MyRunner'"):
        train_command.build_config(train_command.parse_args([str(config), '--channels-last']))
    config.write_text(CONFIG.replace('backbone', 'trunk'))
    with pytest.raises(ValueError, match='the model has none'):
        train_command.build_config(train_command.parse_args([str(config), '--grad-checkpoint']))
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match='GPU'):
            train_command.build_config(
                train_command.parse_args([str(config), '--amp-dtype', 'float16']))
