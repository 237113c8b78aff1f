"""From a command line to a runner's config: what training and testing share."""
from __future__ import annotations

import argparse
import contextlib
import os
import socket
import struct
import sys
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, DictAction

from ..checkpoint import HUB_SCHEMES, fetch
from ..config_files import read_config
from ..config_tree import dataset_parts, other_folder, parts, type_name
from ..engine.host_watch_hook import address_towards
from .process_group import is_restarted, require_variables, start_group

CONFIG_HELP = ('config file, package::path, or the name of a config of this package, such as '
               'fcos_tresnet_m')
CFG_OPTIONS_HELP = ('changes to the config, as key=value with dotted keys; lists as key="[a,b]" or '
                    'key=a,b, tuples in quotation marks without spaces')


class _TypedDictAction(DictAction):
    """mmengine's action, which also keeps what was typed, as ``typed_options``."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace,
                 values: Any, option_string: str | None = None) -> None:
        super().__call__(parser, namespace, values, option_string)
        namespace.typed_options = [*getattr(namespace, 'typed_options', ()), *values]


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that training and testing have in common, named as mmdet names them."""
    parser.add_argument('--work-dir', help='folder for logs and results '
                        "(default: the config's, or work_dirs/CONFIG)")
    parser.add_argument('--cfg-options', nargs='+', action=_TypedDictAction, help=CFG_OPTIONS_HELP)
    parser.set_defaults(typed_options=[])
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none',
                        help='how the processes were started (default: %(default)s)')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0,
                        help=argparse.SUPPRESS)  # given by torch.distributed.launch
    parser.add_argument('--no-check', action='store_true',
                        help='start without holding config, data and checkpoint against each other')


def load_config(args: argparse.Namespace) -> Config:
    """The config of ``args.config`` with the common options applied; nothing is built or written.

    Raises:
        FileNotFoundError: If there is no such config.
        ValueError: If it cannot be read, or a change has no place in it.
    """
    cfg = merge(read_config(args.config), args)
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = os.path.join('work_dirs', Path(cfg.filename).stem)
    return cfg


def merge(cfg: Config, args: argparse.Namespace) -> Config:
    """Make the changes of ``args.cfg_options`` in a config, and return it.

    Raises:
        ValueError: If one has no place in it.
    """
    try:
        cfg.merge_from_dict(args.cfg_options or {})
    except Exception as error:  # mmengine's merging raises whatever it runs into
        raise ValueError(f'--cfg-options {args.cfg_options} do not fit {args.config}: {error}'
                         ) from error
    return cfg


def check_checkpoint(path: str) -> None:
    """See that a checkpoint can be had; one of the hub is downloaded, other URLs left alone.

    Raises:
        FileNotFoundError: If it is not there, or not in the cache and cannot be downloaded.
        ValueError: If there is no ``tresnet://`` checkpoint of that name, or no one ``hf://`` file.
    """
    if path.startswith(HUB_SCHEMES):
        fetch(path)
    elif '://' not in path and not Path(path).is_file():
        raise FileNotFoundError(f'checkpoint {path} does not exist')


def check_pretrained(cfg: Config) -> None:
    """See, before anything is built, that the weights to start from can be had.

    Raises:
        FileNotFoundError, ValueError: As `check_checkpoint`.
    """
    for _, part in parts(cfg.get('model')):
        if type_name(part.get('type')) in ('Pretrained', 'PretrainedInit') and isinstance(
                part.get('checkpoint'), str):
            check_checkpoint(part['checkpoint'])


def check_annotation_files(cfg: Config, *loaders: str) -> None:
    """See that the local annotation files of some dataloaders exist, before anything is built.

    Args:
        cfg: The config.
        loaders: Keys such as ``'train_dataloader'``; those that the config lacks are left out.

    Raises:
        FileNotFoundError: Naming the file, and the settings and the environment variable, if the
            config takes its folder from one, that point to another folder.
    """
    for loader in loaders:
        for key, dataset in dataset_parts(
                (cfg.get(loader) or {}).get('dataset'), f'{loader}.dataset'):
            ann_file = dataset.get('ann_file')
            if not isinstance(ann_file, str) or not ann_file:
                continue
            path = os.path.join(dataset.get('data_root') or '', ann_file)
            if '://' not in path and not os.path.exists(path):
                raise FileNotFoundError(f'annotation file {path} of {loader} does not exist: '
                                        f'{other_folder(cfg, key, dataset)}')


def add_hook(cfg: Config, hook: dict) -> None:
    """Add a hook to those of the config."""
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or ()), hook]


def add_host_watch(cfg: Config) -> None:
    """Have a run of several machines end when one is lost, unless the config's hook says when."""
    hooks = cfg.get('custom_hooks') or ()
    if cfg.launcher != 'none' and _has_other_machines() and not any(
            type_name(hook.get('type')) == 'HostWatchHook' for hook in hooks):
        add_hook(cfg, dict(type='HostWatchHook'))


def set_summary(cfg: Config, args: argparse.Namespace) -> None:
    """Have `RunSummaryHook` name config and options in its test command as they were typed."""
    options = ['--cfg-options', *args.typed_options] if args.typed_options else []
    hooks = cfg.get('default_hooks') or {}
    hooks['summary'] = {'type': 'RunSummaryHook', **(hooks.get('summary') or {}),
                        'config': args.config, 'test_options': options}
    cfg.default_hooks = hooks


def set_up_processes(cfg: Config, local_rank: int) -> None:
    """Prepare several processes, also where there is no GPU.

    mmengine starts its process group on CUDA devices and gives the data-parallel wrapper a device
    index. Without CUDA, the group is started here with gloo and the wrapper gets no index.

    Args:
        cfg: The config, with ``launcher`` set; changed in place.
        local_rank: Rank on this machine, used where the launcher does not set ``LOCAL_RANK``.

    Raises:
        ValueError: If the variables of the launcher are not set.
    """
    by_mpi = os.environ.get('OMPI_COMM_WORLD_LOCAL_RANK') if cfg.launcher == 'mpi' else None
    os.environ.setdefault('LOCAL_RANK', by_mpi or str(local_rank))
    if cfg.launcher == 'none':
        return
    require_variables(cfg.launcher)
    if not torch.cuda.is_available():
        cfg.merge_from_dict({'env_cfg.dist_cfg.backend': 'gloo'})
        wrapper = cfg.get('model_wrapper_cfg') or dict(
            type='MMDistributedDataParallel', broadcast_buffers=False,
            find_unused_parameters=cfg.get('find_unused_parameters', False))
        cfg.model_wrapper_cfg = dict(wrapper, device_ids=None)
    elif not is_restarted():
        return  # mmengine's runner starts the group
    start_group(cfg.launcher, cfg.env_cfg, name_interface)


def name_interface() -> None:
    """Tell gloo by which network interface the machine of rank 0 is reached.

    It takes the address that the host's own name has, which on Debian is the loopback's: the
    processes of one machine fail to connect, and those of another wait for them for ever.
    """
    address = os.environ.get('MASTER_ADDR')
    if 'GLOO_SOCKET_IFNAME' in os.environ or not address or not _has_other_machines():
        return
    with contextlib.suppress(OSError):  # then gloo's own choice holds
        name = interface_to(address)
        if name:
            os.environ['GLOO_SOCKET_IFNAME'] = name


def _has_other_machines() -> bool:
    """Whether the run has processes on other machines, by torchrun's variables, slurm's, MPI's."""
    given = os.environ.get
    if 'LOCAL_WORLD_SIZE' not in os.environ and 'SLURM_NNODES' in os.environ:
        return given('SLURM_NNODES') != '1'
    return given('WORLD_SIZE', given('OMPI_COMM_WORLD_SIZE')) != given(
        'LOCAL_WORLD_SIZE', given('OMPI_COMM_WORLD_LOCAL_SIZE'))


def interface_to(address: str) -> str | None:
    """The network interface of this machine that packets to an address leave by.

    None where that cannot be told (IPv6, or not Linux). Nothing is sent.

    Raises:
        OSError: There is no such host, or no way to it.
    """
    own = address_towards(address)
    if sys.platform != 'linux':
        return None
    import fcntl
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            request = struct.pack('256s', name.encode()[:15])
            try:
                answer = fcntl.ioctl(probe.fileno(), 0x8915, request)  # SIOCGIFADDR
            except OSError:  # an interface without an address
                continue
            if socket.inet_ntoa(answer[20:24]) == own:
                return name
    return None
