"""The stand-ins for what a version lacks do what the real thing does."""

import logging
import subprocess
import sys
from types import ModuleType

import mmcv
import pytest
import torch
from mmdet.evaluation import metrics
from torch import nn

from tests.evaluation.test_coco_metric import coco_file, evaluate, predictions, same, write
from tresnet_mm import _compat


def test_autocast_of_the_cpu_is_seen():
    assert not _compat.in_cpu_autocast()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert _compat.in_cpu_autocast()
        with torch.autocast('cpu', enabled=False):
            assert not _compat.in_cpu_autocast()


def test_compiling_is_seen():
    def branch(x: torch.Tensor) -> torch.Tensor:
        return x + 1 if _compat.is_compiling() else x

    assert branch(torch.zeros(1)) == 0
    assert torch.compile(branch, backend='eager')(torch.zeros(1)) == 1


def test_hook_changes_the_state_dict_of_a_part_too():
    def rename(module: nn.Module, state_dict: dict, prefix: str, metadata: dict) -> None:
        state_dict[f'{prefix}w'] = state_dict.pop(f'{prefix}weight')

    whole = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2))
    _compat.on_state_dict(whole[0], rename)
    assert list(whole.state_dict()) == ['0.w', '1.weight', '1.bias']
    assert list(whole[0].state_dict()) == ['w']


@pytest.fixture
def own_faster_metric(monkeypatch):
    monkeypatch.delattr(metrics, 'FasterCocoMetric', raising=False)
    return _compat.faster_coco_metric()


@pytest.mark.parametrize('kwargs', [dict(metric=['bbox', 'segm'], classwise=True),
                                    dict(metric='proposal')], ids=str)  # fmt: skip
def test_faster_metric_gives_the_numbers_of_the_slow_one(own_faster_metric, kwargs, tmp_path):
    pytest.importorskip('faster_coco_eval')
    coco = coco_file()
    ann_file, samples = write(tmp_path, coco), predictions(coco)
    slow = metrics.coco_metric.COCOeval
    same(evaluate(own_faster_metric, ann_file, samples, **kwargs),
         evaluate(metrics.CocoMetric, ann_file, samples, **kwargs))
    assert metrics.coco_metric.COCOeval is slow


def test_faster_metric_does_not_run_the_slow_evaluator(own_faster_metric, tmp_path, monkeypatch):
    pytest.importorskip('faster_coco_eval')
    monkeypatch.setattr(metrics.coco_metric, 'COCOeval', None)
    coco = coco_file()
    assert evaluate(own_faster_metric, write(tmp_path, coco), predictions(coco))


def test_faster_metric_names_the_package_it_needs(own_faster_metric, monkeypatch):
    monkeypatch.setitem(sys.modules, 'faster_coco_eval', None)
    with pytest.raises(ImportError, match='pip install faster-coco-eval'):
        own_faster_metric()


def import_beside(mmcv_version: str, mmdet_version: str | None, monkeypatch) -> str:
    """The version of mmcv that mmdet sees while it is imported, where it was not yet."""
    monkeypatch.setattr(mmcv, '__version__', mmcv_version)
    monkeypatch.setattr(_compat, '_version_of', {'mmdet': mmdet_version}.get)
    monkeypatch.delitem(sys.modules, 'mmdet', raising=False)
    with _compat.mmcv_taken_by_mmdet():
        seen = mmcv.__version__
    assert mmcv.__version__ == mmcv_version
    return seen


def test_mmdet_sees_an_mmcv_that_it_takes(monkeypatch, caplog):
    assert import_beside('2.2.0', '3.3.0', monkeypatch) < '2.2'
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert 'mmdet 3.3.0 was imported beside mmcv 2.2.0' in record.getMessage()


@pytest.mark.parametrize('versions', [('2.1.0', '3.3.0'), ('2.2.0', '3.2.0'), ('2.3.6', '3.3.0'),
                                      ('2.2.0', None)])  # fmt: skip
def test_other_versions_are_left_to_mmdet(versions, monkeypatch, caplog):
    assert import_beside(*versions, monkeypatch) == versions[0]
    assert not caplog.records


def test_mmcv_is_itself_again_after_a_failed_import(monkeypatch):
    monkeypatch.setattr(mmcv, '__version__', '2.2.0')
    monkeypatch.setattr(_compat, '_version_of', lambda name: '3.3.0')
    monkeypatch.delitem(sys.modules, 'mmdet')
    with pytest.raises(RuntimeError), _compat.mmcv_taken_by_mmdet():
        raise RuntimeError
    assert mmcv.__version__ == '2.2.0'


def test_what_was_imported_is_not_asked_again(monkeypatch, caplog):
    monkeypatch.setattr(mmcv, '__version__', '2.2.0')
    monkeypatch.setattr(_compat, '_version_of', lambda name: '3.3.0')
    monkeypatch.setitem(sys.modules, 'mmdet', ModuleType('mmdet'))
    with _compat.mmcv_taken_by_mmdet():
        assert mmcv.__version__ == '2.2.0'
    assert not caplog.records


@pytest.mark.skipif(_compat._version_of('mmdet') != '3.3.0',
                    reason='needs mmdet 3.3.0 of the official line, whose assertion it is about')
def test_the_official_mmdet_is_imported_beside_a_newer_mmcv(repo_root):
    code = 'import mmcv; mmcv.__version__ = "2.2.0"; import {} mmdet; print(mmcv.__version__)'

    def run(first: str) -> subprocess.CompletedProcess:
        return subprocess.run([sys.executable, '-c', code.format(first)], cwd=repo_root,
                              capture_output=True, text=True)  # fmt: skip

    refused, taken = run(''), run('tresnet_mm,')
    assert 'is used but incompatible' in refused.stderr
    assert taken.stdout == '2.2.0\n'
    assert taken.stderr.count('mmdet 3.3.0 was imported beside mmcv 2.2.0') == 1
