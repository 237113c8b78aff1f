"""Runs by two machines: as by one, and with one of them, or the link, lost."""

import os
import shutil
import subprocess
import sys
import time

import pytest

from tests.engine.conftest import assert_same_state
from tests.tools.hosts import ADDRESSES, Hosts

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


@pytest.fixture(scope='module')
def hosts(repo_root, tmp_path_factory):
    if os.name != 'posix' or os.geteuid() or not shutil.which('ip'):
        pytest.skip('making network namespaces takes root and the program ip')
    made = Hosts(repo_root, tmp_path_factory.mktemp('cwd'))
    try:
        made.set_up()
    except subprocess.CalledProcessError as error:
        made.take_down()
        pytest.skip(f'network namespaces cannot be made here: {error.stderr.strip()}')
    yield made
    made.take_down()


@pytest.fixture(scope='module')
def shapes(tmp_path_factory):
    from tresnet_mm.commands.make_shapes import main
    folder = tmp_path_factory.mktemp('hosts')
    main([str(folder / 'shapes'), '--num-train', '16', '--num-val', '5', '--size', '64'])
    os.environ['SHAPES_ROOT'] = str(folder / 'shapes')
    yield folder
    del os.environ['SHAPES_ROOT']


@pytest.fixture(scope='module')
def config(repo_root, shapes):
    file = shapes / 'config.py'
    file.write_text(CONFIG.format(configs=repo_root / 'configs'))
    return file


@pytest.fixture(scope='module')
def run_alone(repo_root):
    def run(script, *arguments):
        done = subprocess.run(
            ['bash', f'tools/{script}.sh', *map(str, arguments)],
            cwd=repo_root, text=True, timeout=240, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=dict(
                os.environ, PYTHONPATH=str(repo_root), PYTHON=sys.executable, PORT='29532',
                OMP_NUM_THREADS='1'))
        assert done.returncode == 0, done.stdout[-3000:]
        return done.stdout

    return run


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
def test_two_machines_are_as_one(hosts, shared, config, run_alone):
    work_dir, ended = shared
    assert [status for status, _ in ended] == [0, 0], ended[0][1][-2000:] + ended[1][1][-2000:]
    alone = config.parent / 'alone'
    assert measures(ended[0][1]) == measures(
        run_alone('dist_train', config, 2, '--work-dir', alone))
    assert_same_state(work_dir / 'epoch_2.pth', alone / 'epoch_2.pth')
    tested = hosts.run('dist_test', config, work_dir / 'epoch_2.pth', 1, '--work-dir', work_dir)
    assert [status for status, _ in tested] == [0, 0], tested[0][1][-2000:]
    assert measures(tested[0][1]) == measures(
        run_alone('dist_test', config, alone / 'epoch_2.pth', 2, '--work-dir', alone))


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


@pytest.mark.reliability(
    done='`kill -9` of the process of one of two machines in epoch 2, with `MAX_RESTARTS=1 '
         'dist_train.sh CONFIG 1 --resume` on both',
    happens='the launchers of both start their processes again; the run goes on from epoch 1, and '
            'ends with the weights, average and optimiser state of one without a break, bit for '
            'bit')
@pytest.mark.parametrize('rank', [0, 1])
def test_processes_of_both_are_started_again(
        rank, hosts, shared, config, tmp_path, monkeypatch):
    killing = tmp_path / 'config.py'
    killing.write_text(config.read_text().replace(
        'custom_hooks = [', "custom_imports = dict(imports=['tests.tools.kill_rank_hook'])\n"
        f"custom_hooks = [dict(type='KillRankHook', rank={rank}, iteration=3), "))
    monkeypatch.setenv('MAX_RESTARTS', '1')
    ended = hosts.run('dist_train', killing, 1, '--resume', '--work-dir', tmp_path)
    assert [status for status, _ in ended] == [0, 0], ended[0][1][-2000:] + ended[1][1][-2000:]
    assert f'Going on from {tmp_path / "epoch_1.pth"}' in ended[0][1]
    assert_same_state(tmp_path / 'epoch_2.pth', shared[0] / 'epoch_2.pth')


EPOCHS = 16  # long enough for the link to be lost within the run


@pytest.fixture(scope='module')
def longer(config):
    file = config.with_name('longer.py')
    file.write_text(config.read_text().replace('max_epochs = 2', f'max_epochs = {EPOCHS}'))
    return file


@pytest.fixture(scope='module')
def undisturbed(longer, run_alone):
    """The last checkpoint of one machine with two processes."""
    folder = longer.parent / 'undisturbed'
    run_alone('dist_train', longer, 2, '--work-dir', folder)
    return folder / f'epoch_{EPOCHS}.pth'


@pytest.fixture
def begun(hosts, longer, tmp_path):
    """Begin a run by both, in the folder that is returned."""
    def begin(limit=None):
        config = longer
        if limit:
            config = tmp_path / 'config.py'
            config.write_text(longer.read_text().replace(
                'custom_hooks = [', f"custom_hooks = [dict(type='HostWatchHook', limit={limit}), "))
        hosts.start('dist_train', config, 1, '--work-dir', tmp_path)
        while not list(tmp_path.glob('epoch_*.pth')):
            assert all(process.poll() is None for process in hosts.running)
            time.sleep(0.1)
        return tmp_path

    yield begin
    for host in range(2):
        hosts.kill(host)


@pytest.mark.reliability(
    done='the link between two machines is cut for 20 seconds, in the middle of a run',
    happens='the run goes on, and ends with the weights, average and optimiser state of one that '
            'was not disturbed, bit for bit')
def test_a_link_that_comes_back(hosts, begun, undisturbed):
    folder = begun()
    hosts.plug(False)
    time.sleep(20)
    hosts.plug(True)
    ended = hosts.ended(timeout=300)
    assert [status for status, _ in ended] == [0, 0], ended[0][1][-2000:] + ended[1][1][-2000:]
    assert_same_state(folder / f'epoch_{EPOCHS}.pth', undisturbed)


@pytest.mark.reliability(
    done='from some moment on, all packets between two machines are lost, for good',
    happens='after 45 s both end, each with a line that names the other one; `--resume` on both, '
            'once the link is there, goes on to the weights, average and optimiser state of a run '
            'that was not disturbed, bit for bit')
def test_a_link_that_is_lost(hosts, begun, longer, undisturbed):
    folder = begun()
    hosts.deliver(False)
    try:
        ended = hosts.ended(timeout=120)
    finally:
        hosts.deliver(True)
    for (status, output), own in zip(ended, range(2), strict=True):
        assert status == 1
        assert f'({ADDRESSES[1 - own]}), process {1 - own}; down, or cut off' in output
        assert f'not heard of for 45 s: machine {os.uname().nodename} ' in output
    assert not (folder / f'epoch_{EPOCHS}.pth').exists()
    ended = hosts.run('dist_train', longer, 1, '--work-dir', folder, '--resume')
    assert [status for status, _ in ended] == [0, 0], ended[0][1][-2000:] + ended[1][1][-2000:]
    assert f'Going on from {folder}' in ended[0][1]
    assert_same_state(folder / f'epoch_{EPOCHS}.pth', undisturbed)


@pytest.mark.reliability(
    done='one of two machines loses its power: `kill -9` of all its processes, and its link is '
         'down',
    happens='after the seconds that the config gives `HostWatchHook`, the other one ends, with a '
            'line that names the lost one')
@pytest.mark.parametrize('lost', [0, 1])
def test_a_machine_that_is_lost(hosts, begun, lost):
    begun(limit=15)
    hosts.plug(False)  # first, so that no goodbye is sent
    hosts.kill(lost)
    try:
        status, output = hosts.ended(timeout=120)[1 - lost]
    finally:
        hosts.plug(True)
    assert status == 1
    assert (f'not heard of for 15 s: machine {os.uname().nodename} ({ADDRESSES[lost]}), '
            f'process {lost}; down') in output, output[-2000:]


@pytest.mark.reliability(
    done='`kill -9` of the launcher and the process of one of two machines',
    happens='the other one ends at once, with a line that names the address of the lost one')
@pytest.mark.parametrize('lost', [0, 1])
def test_processes_that_are_lost(hosts, begun, lost):
    begun()
    hosts.kill(lost)
    status, output = hosts.ended(timeout=120)[1 - lost]
    assert status == 1
    assert f'process {1 - lost} has lost another process of the run' in output, output[-2000:]
    assert f'[{ADDRESSES[lost]}]' in output and 'Traceback' not in output.partition(
        'elastic')[0], output[-2000:]
