"""The processes of a run meet, whatever has started them, and with or without GPUs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import torch
from mmengine.dist import init_dist
from mmengine.utils.dl_utils import set_multi_processing
from torch.distributed import PrefixStore, TCPStore

#: What mmengine reads of each launcher, and how a run is started so that it is there.
_VARIABLES = {
    'pytorch': (('RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT'),
                'start by tools/dist_train.sh, tools/dist_test.sh or torchrun'),
    'slurm': (('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_NODELIST'),
              'start by tools/slurm_train.sh, tools/slurm_test.sh or srun'),
    'mpi': (('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_LOCAL_RANK',
             'MASTER_ADDR'), 'start by mpirun -x MASTER_ADDR=HOST, the first machine of the run'),
}


def require_variables(launcher: str) -> None:
    """See that a launcher has set what tells a process its place.

    Raises:
        ValueError: If it has not, or ``scontrol``, which tells slurm's first machine, is absent.
    """
    names, advice = _VARIABLES[launcher]
    missing = [name for name in names if name not in os.environ]
    if missing:
        raise ValueError(
            f'--launcher {launcher} reads {", ".join(missing)}, not set here: {advice}')
    if launcher == 'slurm' and 'MASTER_ADDR' not in os.environ and not shutil.which('scontrol'):
        raise ValueError('--launcher slurm asks scontrol for the first machine of the run, and '
                         'there is none here: set MASTER_ADDR')


def is_restarted() -> bool:
    """Whether torchrun has started these processes again, after one of them had died."""
    return (os.environ.get('TORCHELASTIC_USE_AGENT_STORE') == 'True'
            and os.environ.get('TORCHELASTIC_RESTART_COUNT', '0') != '0')


def start_group(launcher: str, env_cfg: dict[str, Any], before: Callable[[], object]) -> None:
    """Start the process group as mmengine does, also without a GPU and after a restart.

    Args:
        launcher: 'pytorch', 'slurm' or 'mpi'.
        env_cfg: The config's, with the backend in ``dist_cfg``.
        before: Called where ranks and addresses are known and nobody has connected.
    """
    settings = env_cfg['dist_cfg']
    # As the runner does, before mmengine chooses another way of starting a loader's workers.
    set_multi_processing(**env_cfg.get('mp_cfg', {}), distributed=True)
    if torch.cuda.is_available():
        before()
        init_dist(launcher, **settings, **_store_of_attempt(launcher))
        return
    # mmengine reads a launcher's variables, chooses a GPU, which there is none of, and connects.
    with patch('torch.cuda.set_device', lambda index: before()):
        init_dist(launcher, **settings, **_store_of_attempt(launcher))


def _store_of_attempt(launcher: str) -> dict[str, Any]:
    """What newer PyTorch leaves out: addresses apart from those of the processes that have died.

    All attempts of torchrun with ``--master_addr`` meet in one store, and without a prefix of its
    own an attempt finds the addresses of the one before, at which nobody listens any more.
    """
    if launcher != 'pytorch' or not is_restarted():
        return {}
    world_size = int(os.environ['WORLD_SIZE'])
    store = TCPStore(os.environ['MASTER_ADDR'], int(os.environ['MASTER_PORT']), world_size, False)
    return dict(store=PrefixStore(f'attempt_{os.environ["TORCHELASTIC_RESTART_COUNT"]}', store),
                rank=int(os.environ['RANK']), world_size=world_size)
