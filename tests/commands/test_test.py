"""``tresnet-mm test``: what its options make of a config, and what they cannot be for."""

from argparse import Namespace

import pytest
import torch
from mmengine.config import Config

from tests.commands.test_show_dir import data, small  # noqa: F401
from tresnet_mm.__main__ import main
from tresnet_mm.commands import test as test_command


def test_scores_of_named_heads_that_the_data_have_no_labels_of():
    cfg = Config(dict(
        model=dict(type='MultiTaskDetector', detector={}, image_heads=dict(
            weather=dict(type='SingleLabelHead', num_classes=2), scene=dict(num_classes=3))),
        test_dataloader=dict(dataset=dict(type='CheckedCocoDataset', ann_file='a.json'))))
    with pytest.raises(ValueError, match=r'--out s\.npz: test_dataloader has no image_labels of '
                                         'weather, scene'):
        test_command.score_dumpers(cfg, 's.npz')


@pytest.mark.parametrize('evaluator, count', [
    (dict(type='CocoMetric'), 1), ([dict(type='A'), dict(type='CocoMetric')], 2),
    (dict(type='Evaluator', metrics=[dict(type='CocoMetric')]), 1)])
def test_classwise_reaches_the_metric_wherever_it_stands(evaluator, count):
    cfg = Config(dict(test_evaluator=evaluator))
    assert len(test_command.evaluators(cfg)) == count
    test_command.set_classwise(cfg)
    assert [metric.get('classwise') for metric in test_command.evaluators(cfg)
            if metric.type == 'CocoMetric'] == [True]


def test_pictures_need_the_hook_that_draws_them():
    with pytest.raises(ValueError, match=r'need default_hooks\.visualization in the config'):
        test_command.set_visualization(Config(dict(model={})), Namespace(show=True, show_dir=None))


def test_a_window_is_shown_without_a_folder():
    cfg = Config(dict(model=dict(type='FCOS'), default_hooks=dict(
        visualization=dict(type='DetVisualizationHook'))))
    test_command.set_visualization(cfg, Namespace(show=True, show_dir=None, wait_time=0.5))
    assert cfg.default_hooks.visualization == dict(
        type='DetVisualizationHook', draw=True, show=True, wait_time=0.5)


def test_augmentation_needs_to_know_what_merges_the_views(tmp_path):
    (tmp_path / 'mine.py').write_text(
        "model = dict(type='Mine')\n"
        "test_dataloader = dict(dataset=dict(pipeline=[dict(type='PackMine')]))")
    cfg = Config.fromfile(tmp_path / 'mine.py')
    with pytest.raises(ValueError, match=r'--tta needs tta_model and tta_pipeline in .*mine\.py'):
        test_command.set_tta(cfg)
    cfg.update(tta_model=dict(type='MyTTA'), tta_pipeline=[dict(type='Twice')])
    test_command.set_tta(cfg)
    assert cfg.model == dict(type='MyTTA', module=dict(type='Mine'))
    assert cfg.test_dataloader.dataset.pipeline == [dict(type='Twice')]


@pytest.mark.parametrize('command, more', [('test', []), ('calibrate', ['-o', 'fitted.pth'])])
def test_without_the_check_a_wrong_checkpoint_is_still_named(
        command, more, repo_root, data, monkeypatch, capsys):  # noqa: F811
    """The run loads it and finds the head's weights missing."""
    monkeypatch.chdir(data)
    cfg = small(repo_root, data, 'multilabel_tresnet_tiny_shapes')
    cfg.visualizer.name = cfg.experiment_name = f'wrong_for_{command}'  # that no test has made
    cfg.dump('config.py')
    content = torch.load('model.pth', weights_only=True)
    for name in list(content['state_dict']):
        if name.startswith('head.'):
            del content['state_dict'][name]
    torch.save(content, 'headless.pth')
    with pytest.raises(SystemExit) as stop:
        main([command, 'config.py', 'headless.pth', '--no-check', '--work-dir', 'work', *more])
    said = capsys.readouterr().err.splitlines()[-1]
    assert stop.value.code == 2
    assert said.startswith(f'{command}: error: headless.pth: ') and 'head' in said.split(': ', 3)[3]
    assert not (data / 'fitted.pth').exists()
