"""``kill -9`` at drawn moments of a run, and what ``--resume`` makes of it."""

import json
import os
import random
import signal

import pytest
import torch

from tests.engine.conftest import assert_same_state
from tests.tools.killed_runs import RunServer
from tresnet_mm.checkpoint.files import read_file

#: Which of the moments of a kind, and how long blind kills wait.
SEED = int(os.environ.get('KILL_SEED', '0'))
EPOCHS = 3

# Two workers, augmentation, an average of the weights, the better of both kept.
MULTILABEL = """
_base_ = '{configs}/multilabel_tresnet_tiny_shapes.py'
train_dataloader = dict(batch_size=4, num_workers=2)
val_dataloader = dict(batch_size=4, num_workers=0, persistent_workers=False)
"""
FCOS = """
_base_ = '{configs}/fcos_tresnet_tiny_shapes.py'
train_dataloader = dict(batch_size=4, num_workers=1)
val_dataloader = dict(batch_size=4, num_workers=0, persistent_workers=False)
model = dict(test_cfg=dict(score_thr=0, max_per_img=20))
"""
COMMON = """
max_epochs = {epochs}
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = [dict(type='OneCycleFromLR', total_steps=max_epochs, by_epoch=True,
                        convert_to_iter_based=True)]
default_hooks = dict(logger=dict(interval=1))
custom_imports = dict(imports=['tresnet_mm', 'tests.tools.rising_score'])
val_evaluator = [{{{{_base_.val_evaluator}}}}, dict(type='RisingScore', iterations=4)]
custom_hooks = [
    dict(type='EMAHook', momentum=0.1), dict(type='PlainAndEMAEvalHook'),
    dict(type='BestWeightsHook', metric='rising/score')]
"""
CONFIGS = {'multi-label': MULTILABEL, 'FCOS': FCOS}

GOES_ON = ('`--resume` goes on from the newest whole checkpoint; weights, averages, optimiser and '
           'schedule, running statistics, all scores and the best weights are those of a run '
           'without a break, bit for bit (multi-label and FCOS)')
MOMENTS = {
    'between forward and backward': pytest.mark.reliability(
        done='`kill -9` within an iteration, between forward and backward', happens=GOES_ON),
    'between step and average': pytest.mark.reliability(
        done="`kill -9` within an iteration, between the optimiser's step and the average",
        happens=GOES_ON),
    'half of checkpoint': pytest.mark.reliability(
        done='`kill -9` after half of the bytes of a checkpoint', happens=GOES_ON),
    'after checkpoint': pytest.mark.reliability(
        done='`kill -9` between a checkpoint and `last_checkpoint`', happens=GOES_ON),
    'after name of the checkpoint': pytest.mark.reliability(
        done='`kill -9` between `last_checkpoint` and the removal of the old one',
        happens=GOES_ON),
    'validation': pytest.mark.reliability(
        done='`kill -9` during validation', happens=GOES_ON),
    'half of best weights': pytest.mark.reliability(
        done='`kill -9` after half of the bytes of the best weights', happens=GOES_ON),
    'after best weights': pytest.mark.reliability(
        done='`kill -9` between the best weights and `best_weights.json`', happens=GOES_ON),
    'half of record': pytest.mark.reliability(
        done='`kill -9` after half of the bytes of `best_weights.json`', happens=GOES_ON),
    'after record': pytest.mark.reliability(
        done='`kill -9` between `best_weights.json` and the removal of the former best',
        happens=GOES_ON),
    'blind 1': pytest.mark.reliability(
        done='`kill -9` after a random time', happens=GOES_ON),
    'blind 2': pytest.mark.reliability(
        done='`kill -9` after another random time', happens=GOES_ON),
}
#: What the ordinary suite does; `make reliability` does all.
SHORT = [('multi-label', 'after record'), ('FCOS', 'half of checkpoint')]


class Trainer:
    """Runs of one config, and the run to which nothing happened."""

    def __init__(self, server, folder, config):
        self.server, self.folder, self.config = server, folder, config
        self.log = folder / 'whole.log'
        self.whole = folder / 'whole'
        self.ended = self.run(self.whole)

    def run(self, work_dir, *arguments, **killed):
        self.log = work_dir.with_suffix('.log')
        return self.server.train(str(self.config), '--work-dir', str(work_dir), *arguments,
                                 log=self.log, **killed)


@pytest.fixture(scope='module')
def server(repo_root, tmp_path_factory):
    from tresnet_mm.commands.make_shapes import main
    shapes = tmp_path_factory.mktemp('shapes')
    main([str(shapes), '--num-train', '16', '--num-val', '8', '--size', '64'])
    server = RunServer(repo_root, dict(SHAPES_ROOT=str(shapes)))
    yield server
    server.close()


@pytest.fixture(scope='module')
def trainers(server, repo_root, tmp_path_factory):
    made = {}

    def get(name):
        if name not in made:
            folder = tmp_path_factory.mktemp('runs')
            config = folder / 'config.py'
            config.write_text((CONFIGS[name] + COMMON).format(
                configs=repo_root / 'configs', epochs=EPOCHS))
            trainer = made[name] = Trainer(server, folder, config)
            assert trainer.ended['status'] == 0, trainer.log.read_text()[-3000:]
        return made[name]

    return get


def scores(folder):
    """What each validation logged, by its epoch; one that was made twice has to come out alike."""
    found = {}
    for path in sorted(folder.glob('*/vis_data/scalars.json')):
        for line in map(json.loads, path.read_text().splitlines()):
            if any(name.endswith('mAP') for name in line):
                line = {name: value for name, value in line.items() if 'time' not in name}
                assert found.setdefault(line['step'], line) == line
    return found


def assert_same_run(run, whole):
    last = f'epoch_{EPOCHS}.pth'
    assert_same_state(run / last, whole / last)
    one, other = read_file(run / last), read_file(whole / last)
    assert one['param_schedulers'] == other['param_schedulers']
    assert one['meta']['iter'] == other['meta']['iter']
    assert scores(run) == scores(whole) and len(scores(run)) == EPOCHS
    records = [json.loads((folder / 'best_weights.json').read_text()) for folder in (run, whole)]
    assert records[0] == records[1] and records[0]['epoch'] == 2
    best = [read_file(folder / records[0]['file'])['state_dict'] for folder in (run, whole)]
    assert best[0].keys() == best[1].keys()
    assert all(torch.equal(best[0][name], best[1][name]) for name in best[0])
    # Nothing lies about that a run without a break has not.
    files = [sorted(path.name for path in folder.iterdir() if path.is_file())
             for folder in (run, whole)]
    assert files[0] == files[1]


@pytest.mark.parametrize('name, moment', [
    pytest.param(name, moment, marks=[
        row, pytest.mark.slow, *([] if (name, moment) in SHORT else [pytest.mark.long])])
    for name in CONFIGS for moment, row in MOMENTS.items()])
@pytest.mark.skipif(not hasattr(os, 'fork'), reason='forks')
def test_a_killed_run_ends_as_if_nothing_had_been(name, moment, trainers, tmp_path):
    trainer = trainers(name)
    drawn = random.Random(f'{SEED} {name} {moment}')
    run = tmp_path / 'run'
    if moment.startswith('blind'):
        killed = trainer.run(run, delay=drawn.uniform(0.1, 1) * trainer.ended['seconds'])
        assert killed['signal'] == signal.SIGKILL or killed['status'] == 0
    else:
        # The first of the best weights has none before it to remove, nor has a checkpoint.
        first = 2 if moment in ('after record', 'after name of the checkpoint') else 1
        number = drawn.randint(first, trainer.ended['passed'][moment])
        killed = trainer.run(run, moment=(moment, number))
        assert killed['signal'] == signal.SIGKILL, trainer.log.read_text()[-3000:]
    left = sorted(run.glob('epoch_*.pth'), key=lambda path: int(path.stem.partition('_')[2]))
    resumed = trainer.run(run, '--resume')
    output = trainer.log.read_text()
    assert resumed['status'] == 0 and resumed['signal'] is None, output[-3000:]
    assert (f'Going on from {left[-1]}' if left else 'the run starts anew') in output
    assert_same_run(run, trainer.whole)
