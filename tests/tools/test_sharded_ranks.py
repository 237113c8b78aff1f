"""Runs whose parameters are in shards (FSDPStrategy of mmengine's FlexibleRunner)."""

import os
import shutil
import socket
import subprocess
import sys

import pytest
import torch

from tresnet_mm._compat import TORCH
from tresnet_mm.checkpoint.files import read_file

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.skipif(
    TORCH < (2, 13), reason='needs a torch that shards on the CPU: tried with 2.13; 2.1 does not')]

# Of SGD with momentum, since on a CPU PyTorch gathers Adam's two moments into one buffer.
CONFIG = """
_base_ = '{configs}/multilabel_tresnet_tiny_shapes.py'
max_epochs = 2
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = [dict(type='OneCycleFromLR', total_steps=max_epochs, by_epoch=True,
                        convert_to_iter_based=True)]
train_dataloader = dict(batch_size=4, num_workers=0, persistent_workers=False)
val_dataloader = dict(batch_size=4, num_workers=0, persistent_workers=False)
default_hooks = dict(checkpoint=dict(max_keep_ckpts=2))
optim_wrapper = dict(optimizer=dict(_delete_=True, type='SGD', lr=0.01, momentum=0.9,
                                    weight_decay=1e-4))
"""
SHARDED = """
runner_type = 'FlexibleRunner'
# Neither offloads: on a CPU that frees the parameters themselves.
strategy = dict(
    type='FSDPStrategy',
    model_wrapper=dict(type='MMFullyShardedDataParallel', use_orig_params=True, device_id='cpu'),
    state_dict_cfg=dict(
        state_dict_type='FULL_STATE_DICT',
        state_dict_config=dict(type='FullStateDictConfig', rank0_only=True),
        optim_state_dict_config=dict(type='FullOptimStateDictConfig', rank0_only=True)))
"""


@pytest.fixture(scope='module')
def train(repo_root, tmp_path_factory):
    from tresnet_mm.commands.make_shapes import main
    shapes = tmp_path_factory.mktemp('shapes')
    main([str(shapes), '--num-train', '16', '--num-val', '5', '--size', '64'])

    def run(config, folder, *options):
        (folder / 'config.py').write_text(CONFIG.format(configs=repo_root / 'configs') + config)
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', 0))
            port = probe.getsockname()[1]
        return subprocess.run(
            ['bash', str(repo_root / 'tools/dist_train.sh'), str(folder / 'config.py'), '2',
             '--work-dir', str(folder), *options], cwd=folder, text=True, timeout=300,
            env=dict(os.environ, PYTHONPATH=str(repo_root), PYTHON=sys.executable,
                     SHAPES_ROOT=str(shapes), PORT=str(port)),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    return run


def assert_same_weights(one, other):
    one, other = (read_file(file)['state_dict'] for file in (one, other))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.reliability(
    done='two processes train a classifier with sharded parameters (`FSDPStrategy`), and go on '
         'from epoch 1 by `--resume`, where `last_checkpoint` is missing',
    happens='the weights of both are those of `DistributedDataParallel`, bit for bit')
def test_shards_train_and_resume_as_whole_weights_do(train, tmp_path):
    folders = [tmp_path / name for name in ('whole', 'sharded', 'resumed')]
    for folder in folders:
        folder.mkdir()
    for config, folder in zip(('', SHARDED), folders, strict=False):
        done = train(config, folder)
        assert done.returncode == 0, done.stdout[-3000:]
    assert_same_weights(folders[0] / 'epoch_2.pth', folders[1] / 'epoch_2.pth')
    shutil.copy(folders[1] / 'epoch_1.pth', folders[2])
    done = train(SHARDED, folders[2], '--resume')
    assert done.returncode == 0, done.stdout[-3000:]
    assert f'Going on from {folders[2] / "epoch_1.pth"}' in done.stdout
    assert_same_weights(folders[0] / 'epoch_2.pth', folders[2] / 'epoch_2.pth')


def test_a_checkpoint_of_another_model_is_refused(train, tmp_path):
    done = train('', tmp_path)
    assert done.returncode == 0, done.stdout[-3000:]
    done = train(SHARDED + 'model = dict(head=dict(num_classes=9))\n', tmp_path, '--resume',
                 '--no-check')
    assert done.returncode and '6 classes, the model has a linear head for 9' in done.stdout
