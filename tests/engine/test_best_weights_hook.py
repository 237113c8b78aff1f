"""Which files the best weights leave, also where a run is resumed."""

import json
import logging
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config

from tresnet_mm.checkpoint import read_file
from tresnet_mm.engine import BestWeightsHook, best_weights_hook

RECORD = dict(file='best_toy_mAP_plain_epoch_3.pth', score=0.5, weights='plain', epoch=3, iter=12)


@pytest.fixture
def runner(tmp_path):
    """As far as the hook asks: resumed after the fourth epoch."""
    return SimpleNamespace(
        work_dir=str(tmp_path), _resume=True, epoch=4, iter=16, hooks=[], cfg=Config(dict(a=1)),
        model=torch.nn.Linear(1, 1), experiment_name='toy', logger=logging.getLogger('toy'),
        val_dataloader=SimpleNamespace(dataset=SimpleNamespace(metainfo=dict(classes=('cat', )))))


@pytest.fixture
def folder(tmp_path):
    """What a run leaves that was killed while one best file took another's place."""
    (tmp_path / 'best_weights.json').write_text(json.dumps(RECORD))
    for name in (RECORD['file'], 'best_toy_mAP_ema_epoch_2.pth', 'best_toy_AR_plain_epoch_2.pth',
                 'epoch_4.pth'):
        (tmp_path / name).write_bytes(b'')
    return tmp_path


def files(folder):
    return sorted(path.name for path in folder.glob('*.pth'))


def test_a_resumed_run_goes_on_from_the_record(runner, folder):
    hook = BestWeightsHook('toy/mAP')
    hook.before_train(runner)
    assert hook.best == RECORD
    assert files(folder) == ['best_toy_AR_plain_epoch_2.pth', RECORD['file'], 'epoch_4.pth']
    hook.after_val_epoch(runner, {'toy/mAP': 0.5})  # no better
    assert hook.best == RECORD
    hook.after_val_epoch(runner, {'toy/mAP': 0.75})
    best = dict(file='best_toy_mAP_plain_epoch_4.pth', score=0.75, weights='plain', epoch=4,
                iter=16)
    assert hook.best == json.loads((folder / 'best_weights.json').read_text()) == best
    assert files(folder) == ['best_toy_AR_plain_epoch_2.pth', best['file'], 'epoch_4.pth']
    content = read_file(folder / best['file'])
    assert content['state_dict'].keys() == {'weight', 'bias'}
    assert content['meta']['best'] == dict(best, metric='toy/mAP')


def test_where_the_recorded_file_is_gone_the_others_stay(runner, folder):
    (folder / RECORD['file']).unlink()
    BestWeightsHook('toy/mAP').before_train(runner)
    assert 'best_toy_mAP_ema_epoch_2.pth' in files(folder)


def test_a_run_that_has_kept_nothing_yet(runner, tmp_path, caplog):
    hook = BestWeightsHook('toy/mAP')
    hook.before_train(runner)
    assert hook.best is None
    with caplog.at_level('INFO'):
        hook.after_train(runner)
    assert caplog.messages == []


@pytest.mark.parametrize('text', ['', '{', '[]', '"x"', '{"file": "best.pth"}', '\xff'])
def test_a_damaged_record_is_told(text, runner, folder, caplog):
    (folder / 'best_weights.json').write_bytes(text.encode('latin1'))
    before, hook = files(folder), BestWeightsHook('toy/mAP')
    hook.before_train(runner)
    assert hook.best is None and files(folder) == before
    message, = caplog.messages
    assert message.startswith(f'{folder}/best_weights.json cannot be read (')
    assert message.endswith('): the best weights of the resumed run are looked for anew')


def test_the_main_process_alone_writes(runner, folder, monkeypatch):
    monkeypatch.setattr(best_weights_hook, 'is_main_process', lambda: False)
    before, hook = files(folder), BestWeightsHook('toy/mAP')
    hook.before_train(runner)
    hook.after_val_epoch(runner, {'toy/mAP': 0.75})
    assert hook.best['score'] == 0.75  # all go on with the same
    assert files(folder) == before
    assert json.loads((folder / 'best_weights.json').read_text()) == RECORD


def test_a_metric_that_is_not_measured_is_named(runner):
    hook = BestWeightsHook('toy/mAP')
    hook.after_val_epoch(runner, {})  # of a test: nothing is looked for
    hook.before_train(runner)
    with pytest.raises(ValueError, match=r"no metric 'toy/mAP' .*which hold \['toy/AR'\]"):
        hook.after_val_epoch(runner, {'toy/AR': 1.0})
