"""Two machines, as two network namespaces with a cable between them."""

import os
import shutil
import signal
import subprocess
import sys

import pytest

from tests.engine.conftest import assert_same_state

pytestmark = [pytest.mark.slow, pytest.mark.long]

CONFIG = """
_base_ = '{configs}/multilabel_tresnet_tiny_shapes.py'
max_epochs = 2
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = [dict(type='OneCycleFromLR', total_steps=max_epochs, by_epoch=True,
                        convert_to_iter_based=True)]
train_dataloader = dict(batch_size=4, num_workers=0, persistent_workers=False)
val_dataloader = dict(batch_size=4, num_workers=0, persistent_workers=False)
test_dataloader = val_dataloader
custom_hooks = [dict(type='EMAHook', momentum=0.1)]
"""
ADDRESSES = ('10.231.7.1', '10.231.7.2')


class Hosts:
    """Two namespaces; neither has any other network than the cable and its own loopback."""

    def __init__(self, repo_root):
        self.repo_root = repo_root
        self.names = [f'tresnet{os.getpid()}{letter}' for letter in 'ab']
        self.running = []

    def set_up(self):
        for name in self.names:
            self._ip('netns', 'add', name)
        links = [f'v{name[-8:]}' for name in self.names]
        self._ip('link', 'add', links[0], 'type', 'veth', 'peer', 'name', links[1])
        for name, link, address in zip(self.names, links, ADDRESSES, strict=True):
            self._ip('link', 'set', link, 'netns', name)
            self._ip('-n', name, 'addr', 'add', f'{address}/24', 'dev', link)
            self._ip('-n', name, 'link', 'set', link, 'up')
            self._ip('-n', name, 'link', 'set', 'lo', 'up')

    def take_down(self):
        for process in self.running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        for name in self.names:
            subprocess.run(['ip', 'netns', 'del', name], capture_output=True)

    def run(self, script, *arguments, hidden=None, timeout=240):
        """Run a script of tools/ on both, a process each; their (status, output).

        The second one has an empty disk in the place of the folder ``hidden``.
        """
        self.running = []
        for rank, name in enumerate(self.names):
            command = ['bash', f'tools/{script}.sh', *map(str, arguments)]
            if hidden and rank:
                command = ['unshare', '--mount', 'bash', '-c',
                           'mount -t tmpfs none "$0" && exec "$@"', str(hidden), *command]
            environment = dict(
                os.environ, PYTHONPATH=str(self.repo_root), PYTHON=sys.executable, NNODES='2',
                NODE_RANK=str(rank), MASTER_ADDR=ADDRESSES[0], PORT='29531', OMP_NUM_THREADS='1')
            environment.pop('GLOO_SOCKET_IFNAME', None)
            self.running.append(subprocess.Popen(
                ['ip', 'netns', 'exec', name, *command],
                cwd=self.repo_root, env=environment, text=True, start_new_session=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
        said = [process.communicate(timeout=timeout)[0] for process in self.running]
        return [(process.returncode, text)
                for process, text in zip(self.running, said, strict=True)]

    @staticmethod
    def _ip(*arguments):
        subprocess.run(['ip', *arguments], check=True, capture_output=True, text=True)


@pytest.fixture(scope='module')
def hosts(repo_root):
    if os.name != 'posix' or os.geteuid() or not shutil.which('ip'):
        pytest.skip('making network namespaces takes root and the program ip')
    made = Hosts(repo_root)
    try:
        made.set_up()
    except subprocess.CalledProcessError as error:
        made.take_down()
        pytest.skip(f'network namespaces cannot be made here: {error.stderr.strip()}')
    yield made
    made.take_down()


@pytest.fixture(scope='module')
def config(repo_root, tmp_path_factory):
    from tresnet_mm.commands.make_shapes import main
    folder = tmp_path_factory.mktemp('hosts')
    main([str(folder / 'shapes'), '--num-train', '16', '--num-val', '5', '--size', '64'])
    os.environ['SHAPES_ROOT'] = str(folder / 'shapes')
    file = folder / 'config.py'
    file.write_text(CONFIG.format(configs=repo_root / 'configs'))
    yield file
    del os.environ['SHAPES_ROOT']


def measures(output):
    """What the last evaluation says of the mAP."""
    lines = [line for line in output.splitlines() if 'multi-label/mAP:' in line]
    return lines[-1].split('multi-label/mAP:')[1].split()[0]


@pytest.fixture(scope='module')
def shared(hosts, config):
    """A run of both in one folder, and what they say."""
    work_dir = config.parent / 'shared'
    return work_dir, hosts.run('dist_train', config, 1, '--work-dir', work_dir)


@pytest.mark.reliability(
    done='two machines, each with one process, train and test; `GLOO_SOCKET_IFNAME` is not set',
    happens='weights, average and optimiser state are those of one machine with two processes, bit '
            'for bit, and the measures the same')
def test_two_machines_are_as_one(hosts, shared, config, repo_root):
    work_dir, ended = shared
    assert [status for status, _ in ended] == [0, 0], ended[0][1][-2000:] + ended[1][1][-2000:]
    alone = config.parent / 'alone'

    def run_alone(script, *arguments):
        done = subprocess.run(
            ['bash', f'tools/{script}.sh', *map(str, arguments), '--work-dir', str(alone)],
            cwd=repo_root, text=True, timeout=240, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=dict(
                os.environ, PYTHONPATH=str(repo_root), PYTHON=sys.executable, PORT='29532',
                OMP_NUM_THREADS='1'))
        assert done.returncode == 0, done.stdout[-3000:]
        return done.stdout

    assert measures(ended[0][1]) == measures(run_alone('dist_train', config, 2))
    assert_same_state(work_dir / 'epoch_2.pth', alone / 'epoch_2.pth')
    tested = hosts.run('dist_test', config, work_dir / 'epoch_2.pth', 1, '--work-dir', work_dir)
    assert [status for status, _ in tested] == [0, 0], tested[0][1][-2000:]
    assert measures(tested[0][1]) == measures(
        run_alone('dist_test', config, alone / 'epoch_2.pth', 2))


@pytest.mark.reliability(
    done='the second of two machines, on a disk of its own, does not see the checkpoint that '
         '`--resume` goes on from',
    happens='both end, with a line that names the file and the process')
def test_a_machine_without_the_checkpoint_ends_both(hosts, shared, config):
    work_dir, _ = shared
    ended = hosts.run('dist_train', config, 1, '--resume', '--work-dir', work_dir,
                      hidden=work_dir, timeout=120)
    for status, output in ended:
        assert status, output[-2000:]
        assert f'{work_dir}/epoch_2.pth, from which the run would go on, is not there for the ' \
            'processes 1: all machines' in output, output[-2000:]
