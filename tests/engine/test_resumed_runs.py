"""Runs that are stopped, killed and resumed, against the same runs without a break."""

import os
import signal
import threading

import pytest
import torch
from mmengine.hooks import Hook

from tresnet_mm.checkpoint.files import read_file
from tresnet_mm.checkpoint.saved_runs import newest_whole
from tresnet_mm.engine import SafeCheckpointHook, StopSignalHook, TrainingStopped

from .conftest import assert_same_state, state

SAFE = (dict(type='RepeatableHook'), dict(type='ValidateOnResumeHook'),
        dict(type='StopSignalHook'))


@pytest.fixture(autouse=True)
def _signals():
    """Python's own handlers, which a suite in the background does not have."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Break(Exception):
    pass


class BreakAt(Hook):
    """Ends a run as a kill would: without a chance to save anything."""

    def __init__(self, iteration=None, epoch_validated=None):
        self.iteration = iteration
        self.epoch_validated = epoch_validated

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == self.iteration:
            raise Break

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.epoch == self.epoch_validated:
            raise Break


class SignalAt(Hook):
    def __init__(self, iteration, number=signal.SIGTERM):
        self.iteration, self.number = iteration, number

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter + 1 == self.iteration:
            os.kill(os.getpid(), self.number)


class Validations(Hook):
    def __init__(self):
        self.seen = []

    def after_val_epoch(self, runner, metrics=None):
        self.seen.append((runner.epoch, metrics['mean']))


@pytest.mark.reliability(
    done='a run with dropout, augmentation and an average breaks off in iteration 1, 6, 10 or 11, '
         'with 0 or 2 workers',
    happens='resumed from the newest epoch, it ends in the same state, bit for bit')
@pytest.mark.parametrize('workers, iteration', [(0, 1), (0, 6), (0, 11), (2, 10)])
def test_a_killed_run_goes_on_as_if_nothing_had_been(train, workers, iteration):
    whole = train('whole', *SAFE, workers=workers)
    with pytest.raises(Break):
        train('broken', *SAFE, workers=workers, extra=[BreakAt(iteration)])
    found = newest_whole(whole.parent / 'broken')
    assert (found and found.name) == (f'epoch_{(iteration - 1) // 4}.pth' if iteration > 4
                                      else None)
    resumed = train('broken', *SAFE, workers=workers, resume=True)
    assert_same_state(whole / 'epoch_4.pth', resumed / 'epoch_4.pth')


def test_the_number_of_workers_does_not_matter(train):
    assert_same_state(train('none', *SAFE, epochs=2) / 'epoch_2.pth',
                      train('two', *SAFE, epochs=2, workers=1) / 'epoch_2.pth')


def test_epochs_and_images_are_augmented_differently(train):
    seen = []

    class Look(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            seen.extend(tuple(image[1:].tolist()) for image in data_batch['inputs'])

    train('run', *SAFE, epochs=2, extra=[Look()])
    assert len(seen) == len(set(seen)) == 16


@pytest.mark.reliability(
    done='SIGTERM or SIGINT in an iteration, the last of an epoch too',
    happens='saved after the iteration; the resumed run makes exactly the iterations that were '
            'left, to the same state')
@pytest.mark.parametrize('iteration, number', [
    (3, signal.SIGTERM), (6, signal.SIGINT), (8, signal.SIGTERM)])
def test_a_signal_saves_and_the_run_goes_on_within_its_epoch(train, number, iteration):
    before = signal.getsignal(number)
    whole = train('whole', *SAFE)
    with pytest.raises(TrainingStopped, match=f'epoch_{(iteration - 1) // 4}_iter_{iteration}'
                       ) as error:
        train('stopped', *SAFE, extra=[SignalAt(iteration, number)])
    assert error.value.number == number
    assert signal.getsignal(number) is before
    stopped = newest_whole(whole.parent / 'stopped')
    assert read_file(stopped)['meta']['iter'] == iteration
    seen = []

    class Count(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            seen.append(runner.iter)

    resumed = train('stopped', *SAFE, resume=True, extra=[Count()])
    assert seen == list(range(iteration, 16))
    assert_same_state(whole / 'epoch_4.pth', resumed / 'epoch_4.pth')
    assert not stopped.exists()


@pytest.mark.reliability(
    done='SIGTERM during validation',
    happens='the run ends; the resumed one validates first')
def test_a_signal_in_validation_ends_the_run_and_it_is_validated_first(train):
    class SignalInValidation(Hook):
        def before_val_epoch(self, runner):
            if runner.epoch == 2:
                os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(TrainingStopped, match='during validation'):
        train('stopped', *SAFE, extra=[SignalInValidation()])
    validations = Validations()
    train('stopped', *SAFE, resume=True, extra=[validations])
    assert [epoch for epoch, _ in validations.seen] == [2, 3, 4]


@pytest.mark.reliability(
    done='SIGINT twice',
    happens='the second stops at once')
def test_a_second_signal_is_not_held_up(train):
    class Twice(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            (hook,) = (hook for hook in runner.hooks if isinstance(hook, StopSignalHook))
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGINT)
                while not hook.number:
                    pass  # Python handles a signal between two steps

    with pytest.raises(KeyboardInterrupt):
        train('run', *SAFE, extra=[Twice()])


@pytest.mark.reliability(
    done='SIGINT to a run that ignores it, as under nohup',
    happens='the run goes on')
def test_a_signal_that_is_ignored_stays_so(train):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert (train('run', *SAFE, epochs=1, extra=[SignalAt(2, signal.SIGINT)])
            / 'epoch_1.pth').exists()


def test_outside_the_main_thread_signals_are_left_alone(train):
    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=train, args=('run', *SAFE), kwargs=dict(epochs=1))
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.reliability(
    done='a break during validation, of the last epoch too',
    happens='the resumed run makes this validation up, with the scores of a whole run')
@pytest.mark.parametrize('epoch', [2, 4])
def test_a_validation_that_was_missed_is_made_up(train, epoch):
    complete = Validations()
    train('whole', *SAFE, extra=[complete])
    with pytest.raises(Break):
        train('broken', *SAFE, extra=[BreakAt(epoch_validated=epoch)])
    validations = Validations()
    train('broken', *SAFE, resume=True, extra=[validations])
    assert validations.seen == complete.seen[epoch - 1:]


@pytest.mark.reliability(
    done='a break within the epoch after a validation',
    happens='the validation is not made twice')
def test_a_validation_that_was_made_is_not_repeated(train):
    with pytest.raises(Break):
        train('broken', *SAFE, extra=[BreakAt(10)])
    validations = Validations()
    train('broken', *SAFE, resume=True, extra=[validations])
    assert [epoch for epoch, _ in validations.seen] == [3, 4]


@pytest.mark.reliability(
    done='a checkpoint is saved with `max_keep_ckpts`',
    happens='the old one goes when the new one is whole')
@pytest.mark.parametrize('keep', [1, 2])
def test_the_old_checkpoint_goes_after_the_new_one(train, keep, monkeypatch):
    from mmengine.runner import Runner
    save = Runner.save_checkpoint
    there = []

    def watch(self, out_dir, filename, *args, **kwargs):
        from pathlib import Path
        there.append(sorted(path.name for path in Path(out_dir).glob('epoch_*.pth')))
        return save(self, out_dir, filename, *args, **kwargs)

    monkeypatch.setattr(Runner, 'save_checkpoint', watch)
    folder = train('run', *SAFE, keep=keep)
    names = [f'epoch_{i}.pth' for i in range(1, 5)]
    assert there == [names[max(0, i - keep):i] for i in range(4)]
    assert sorted(path.name for path in folder.glob('*.pth')) == names[-keep:]


@pytest.mark.reliability(
    done='a better checkpoint is saved by `save_best`',
    happens='the former best goes when the new one is whole')
@pytest.mark.parametrize('metrics', [['mean'], ['mean', 'other']])
def test_the_best_checkpoint_goes_after_the_better_one(train, metrics, monkeypatch):
    from pathlib import Path

    from mmengine.runner import Runner

    from .conftest import MeanOutput
    scores = iter([0.1, 0.3, 0.2, 0.4])
    monkeypatch.setattr(MeanOutput, 'compute_metrics', lambda self, results: dict.fromkeys(
        ('mean', 'other'), next(scores)))
    save = Runner.save_checkpoint
    there = []

    def watch(self, out_dir, filename, *args, **kwargs):
        if filename.startswith('best_mean'):
            there.append([path.name for path in Path(out_dir).glob('best_mean*')])
        return save(self, out_dir, filename, *args, **kwargs)

    monkeypatch.setattr(Runner, 'save_checkpoint', watch)
    folder = train('run', *SAFE, save_best=metrics if len(metrics) > 1 else metrics[0])
    assert there == [[], ['best_mean_epoch_1.pth'], ['best_mean_epoch_2.pth']]
    assert sorted(path.name for path in folder.glob('best_*')) == [
        f'best_{name}_epoch_4.pth' for name in sorted(metrics)]


def test_a_validation_without_the_measure_leaves_the_best_checkpoint(train, monkeypatch):
    """mmdet's metric has no value where nothing is detected."""
    from .conftest import MeanOutput
    results = iter([{'mean': 1.0}, {'box/mAP': 0.2}, {}, {'box/mAP': 0.1}])
    monkeypatch.setattr(MeanOutput, 'compute_metrics', lambda self, _: next(results))
    folder = train('run', *SAFE, save_best='box/mAP')
    assert [path.name for path in folder.glob('best_*')] == ['best_box_mAP_epoch_2.pth']


def test_a_measure_that_is_misnamed_is_an_error(train, monkeypatch):
    from .conftest import MeanOutput
    monkeypatch.setattr(MeanOutput, 'compute_metrics', lambda self, _: {'box/mAP': 0.2})
    with pytest.raises(KeyError, match='box/map'):
        train('run', *SAFE, save_best='box/map')


def damage(folder, name):
    """What a kill may leave: half a file, under its name or another."""
    path = folder / name
    path.write_bytes((folder / 'epoch_2.pth').read_bytes()[:2000])


@pytest.mark.reliability(
    done='the newest checkpoint is half a file, or `last_checkpoint` is empty, missing, behind, '
         'or names none',
    happens='`--resume` takes the newest that can be read')
@pytest.mark.parametrize('left', ['half', 'empty', 'wrong name', 'no name', 'not yet'])
def test_the_newest_whole_checkpoint_is_found(train, left):
    folder = train('run', *SAFE, epochs=2, keep=-1)
    named = folder / 'last_checkpoint'
    if left == 'half':
        damage(folder, 'epoch_3.pth')
        named.write_text(str(folder / 'epoch_3.pth'))
    elif left == 'empty':
        named.write_text('')
    elif left == 'wrong name':
        named.write_text(str(folder / 'epoch_9.pth'))
    elif left == 'no name':
        named.unlink()
    elif left == 'not yet':
        named.write_text(str(folder / 'epoch_1.pth'))
    assert newest_whole(folder) == folder / 'epoch_2.pth'


@pytest.mark.reliability(
    done='`--resume` where nothing was saved',
    happens='a warning; the run starts anew, to the same state')
def test_where_nothing_was_saved_a_run_starts_anew(train, tmp_path):
    assert newest_whole(tmp_path) is None
    resumed = train('run', *SAFE, resume=True)
    assert_same_state(train('whole', *SAFE) / 'epoch_4.pth', resumed / 'epoch_4.pth')


@pytest.mark.reliability(
    done='the disk is full while a file is replaced',
    happens='an error that names the file; the old content is whole')
def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    from mmengine.runner import save_checkpoint
    path = tmp_path / 'a.pth'
    save_checkpoint(dict(weight=torch.ones(2)), str(path))

    def full(*args):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('os.fsync', full)
    with pytest.raises(OSError, match=r'a\.pth cannot be written: No space left'):
        save_checkpoint(dict(weight=torch.zeros(2)), str(path))
    assert torch.equal(read_file(path)['weight'], torch.ones(2))
    assert [file.name for file in tmp_path.iterdir()] == ['a.pth']


def test_state_holds_all_that_decides(train):
    names = state(train('run', *SAFE, epochs=1) / 'epoch_1.pth')
    assert {'state_dict.norm.running_mean', 'ema_state_dict.module.linear.weight',
            'optimizer.state.0.exp_avg'} <= set(names)


@pytest.mark.reliability(
    done='a run resumes from a file that the user named',
    happens='that file is kept')
def test_a_file_that_was_named_to_resume_from_is_not_removed(train):
    folder = train('run', *SAFE, epochs=2)
    named = folder / 'not_finite_epoch_2_iter_8.pth'
    (folder / 'epoch_2.pth').rename(named)
    kept = folder.parent / 'mine_iter_8.pth'
    named.rename(kept)
    (folder / 'last_checkpoint').write_text(str(kept))
    train('run', *SAFE, resume=True)
    assert kept.exists() and (folder / 'epoch_4.pth').exists()


def test_a_checkpoint_of_a_stranger_removes_nothing_but_checkpoints_of_the_run(train):
    folder = train('run', *SAFE, epochs=1)
    victim = folder.parent / 'victim'
    victim.mkdir()
    (folder / 'epoch_0.pth').touch()
    (folder / 'notes.txt').touch()

    class Claim(Hook):  # as a file made by hand might

        def after_load_checkpoint(self, runner, checkpoint):
            checkpoint['message_hub']['runtime_info']['outdated_checkpoints'] = [
                '../victim', str(victim), '..', 'notes.txt', 7, 'epoch_0.pth']

    train('run', *SAFE, epochs=2, resume=True, extra=[Claim()])
    assert victim.is_dir() and (folder / 'notes.txt').exists()
    assert not (folder / 'epoch_0.pth').exists() and (folder / 'epoch_2.pth').exists()


@pytest.mark.parametrize('stopped', [False, True])
def test_what_a_killed_run_did_not_come_to_remove_goes(train, tmp_path, monkeypatch, stopped):
    folder = tmp_path / 'broken'
    if stopped:
        with pytest.raises(TrainingStopped):
            train('broken', *SAFE, extra=[SignalAt(6)])
    with monkeypatch.context() as patched, pytest.raises(Break):
        def killed(self, path):
            raise Break

        patched.setattr(SafeCheckpointHook, '_remove', killed)
        train('broken', *SAFE, resume=stopped)
    left = ['epoch_1.pth', *(['epoch_1_iter_6.pth'] if stopped else []), 'epoch_2.pth']
    assert sorted(path.name for path in folder.glob('epoch_*')) == sorted(left)
    (folder / 'epoch_0.pth').write_text('of the user')
    train('broken', *SAFE, resume=True)
    assert sorted(path.name for path in folder.glob('epoch_*')) == ['epoch_0.pth', 'epoch_4.pth']
