"""What is looked for before anything is built, and what is said where it is missing."""

import os

import pytest
from mmengine.config import Config

from tresnet_mm.commands import launch
from tresnet_mm.commands.launch import check_annotation_files


def said(path, monkeypatch, loader='train_dataloader', **variables) -> str:
    for name in ('COCO_ROOT', 'VOC_ROOT', 'SHAPES_ROOT', 'SPARSE_SHAPES_ROOT',
                 'NUSWIDE_ROOT', 'OPENIMAGES_ROOT'):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(FileNotFoundError) as error:
        check_annotation_files(Config.fromfile(path), loader)
    return str(error.value)


@pytest.mark.parametrize(('name', 'variable'), [
    ('fcos_tresnet_m', 'COCO_ROOT'), ('multilabel_tresnet_l_448', 'COCO_ROOT'),
    ('multilabel_nuswide_tresnet_l_448', 'NUSWIDE_ROOT'),
    ('multilabel_openimages_tresnet_m_224', 'OPENIMAGES_ROOT'),
    ('multilabel_voc07_tresnet_l_448', 'VOC_ROOT'), ('fcos_tresnet_tiny_shapes', 'SHAPES_ROOT'),
    ('multilabel_tresnet_tiny_shapes_sparse', 'SPARSE_SHAPES_ROOT')])
def test_the_variable_is_the_one_that_the_config_reads(
        name, variable, repo_root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = repo_root / f'configs/{name}.py'
    end = ', or train_dataloader.dataset.data_root'
    message = said(config, monkeypatch)
    assert message.endswith(f'set {variable} to the folder that holds it (now not set){end}')
    message = said(config, monkeypatch, **{variable: '/nowhere'})
    assert message.startswith('annotation file /nowhere/')
    assert message.endswith(f'set {variable} to the folder that holds it (now /nowhere){end}')


def test_own_data_is_not_sent_to_coco(tmp_path, monkeypatch, repo_root):
    child = tmp_path / 'own.py'
    child.write_text(
        f"_base_ = '{repo_root}/configs/fcos_tresnet_m.py'\n"
        "train_dataloader = dict(dataset=dict(data_root='/mine', ann_file='a.json'))\n")
    assert said(child, monkeypatch, COCO_ROOT='/coco') == (
        'annotation file /mine/a.json of train_dataloader does not exist: set '
        'train_dataloader.dataset.data_root')


def test_files_without_a_folder_and_inside_wrappers(tmp_path, monkeypatch):
    config = tmp_path / 'c.py'
    config.write_text(
        "inner = dict(type='CustomMultiLabel', ann_file='labels.csv')\n"
        "joined = dict(type='ConcatDataset', datasets=[dict(type='A'), inner])\n"
        "train_dataloader = dict(dataset=dict(type='RepeatDataset', dataset=joined))\n")
    monkeypatch.chdir(tmp_path)
    assert said(config, monkeypatch) == (
        'annotation file labels.csv of train_dataloader does not exist: set '
        'train_dataloader.dataset.dataset.datasets.1.ann_file')


def test_the_interface_to_a_host(monkeypatch):
    """Those without an address, as one that is down, are passed over."""
    monkeypatch.setattr('socket.if_nameindex', lambda: [(7, 'no-such-if'), (1, 'lo')])
    assert launch.interface_to('127.0.0.1') == 'lo'


@pytest.mark.parametrize('what, value', [
    ('sys.platform', 'darwin'), ('socket.if_nameindex', lambda: []),
    ('tresnet_mm.commands.launch.address_towards', lambda address: '203.0.113.9')])
def test_where_the_interface_cannot_be_told_gloo_chooses(what, value, monkeypatch):
    monkeypatch.setattr(what, value)
    assert launch.interface_to('127.0.0.1') is None
    for name, number in (('WORLD_SIZE', '2'), ('LOCAL_WORLD_SIZE', '1')):
        monkeypatch.setenv(name, number)
    monkeypatch.setenv('MASTER_ADDR', '127.0.0.1')
    monkeypatch.delenv('GLOO_SOCKET_IFNAME', raising=False)
    launch.name_interface()
    assert 'GLOO_SOCKET_IFNAME' not in os.environ


@pytest.mark.parametrize('gpus, restarted, started', [
    (False, False, True), (False, True, True), (True, False, False), (True, True, True)])
def test_who_starts_the_process_group(gpus, restarted, started, monkeypatch):
    """With GPUs mmengine's runner does, but after a restart."""
    begun = []
    monkeypatch.setattr('torch.cuda.is_available', lambda: gpus)
    monkeypatch.setattr(launch, 'require_variables', lambda launcher: None)
    monkeypatch.setattr(launch, 'is_restarted', lambda: restarted)
    monkeypatch.setattr(launch, 'start_group', lambda launcher, *rest: begun.append(launcher))
    monkeypatch.setenv('LOCAL_RANK', '0')
    cfg = Config(dict(launcher='pytorch', env_cfg=dict(dist_cfg=dict(backend='nccl'))))
    launch.set_up_processes(cfg, 0)
    assert begun == ['pytorch'] * started
    assert cfg.env_cfg.dist_cfg.backend == ('nccl' if gpus else 'gloo')
    assert cfg.get('model_wrapper_cfg') == (None if gpus else dict(
        type='MMDistributedDataParallel', broadcast_buffers=False, find_unused_parameters=False,
        device_ids=None))


@pytest.mark.reliability(
    done="a machine whose own name is the loopback's address",
    happens='gloo is told the interface by which the first machine is reached')
@pytest.mark.parametrize('environment, named', [
    (dict(WORLD_SIZE='2', LOCAL_WORLD_SIZE='1', MASTER_ADDR='127.0.0.1'), 'lo'),
    (dict(WORLD_SIZE='2', LOCAL_WORLD_SIZE='2', MASTER_ADDR='127.0.0.1'), None),
    (dict(WORLD_SIZE='2', LOCAL_WORLD_SIZE='1', MASTER_ADDR='no-such-host.invalid'), None),
    (dict(WORLD_SIZE='2', LOCAL_WORLD_SIZE='1', MASTER_ADDR='127.0.0.1',
          GLOO_SOCKET_IFNAME='eth9'), 'eth9')])
def test_gloo_is_told_its_interface_across_machines(environment, named, monkeypatch):
    for name in ('WORLD_SIZE', 'LOCAL_WORLD_SIZE', 'MASTER_ADDR', 'GLOO_SOCKET_IFNAME'):
        monkeypatch.setenv(name, '')  # so that what the call sets is undone
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    launch.name_interface()
    assert os.environ.get('GLOO_SOCKET_IFNAME') == named
