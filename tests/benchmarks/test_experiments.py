"""The experiments: what they hold equal, that they go on where they were, and their tables."""

import dataclasses
import json
from pathlib import Path

import pytest

from benchmarks.experiments import arch_table, compare_losses, compare_tasks
from tresnet_mm.datasets.shapes import SPARSE_SHAPES_SET, make_shapes

FEW_SPARSE = dataclasses.replace(SPARSE_SHAPES_SET, num_train=32, num_val=40)
SHORT = ['train_cfg.max_epochs=1', 'param_scheduler.0.total_steps=1',
         'train_dataloader.num_workers=0', 'train_dataloader.persistent_workers=False',
         'val_dataloader.num_workers=0', 'val_dataloader.persistent_workers=False',
         'test_dataloader.num_workers=0', 'test_dataloader.persistent_workers=False',
         'default_hooks.logger.interval=1']  # fmt: skip


def cells(table: str) -> list[list[str]]:
    """The cells of a markdown table's lines, without its head."""
    return [[cell.strip() for cell in line.strip('|').split('|')]
            for line in table.splitlines()[2:]]


def test_losses_are_compared_at_equal_options_and_resumed(tmp_path: Path, monkeypatch) -> None:
    calls = []

    def train(config, work_dir, options, quiet):
        calls.append((work_dir.name, options))
        return work_dir / 'epoch_1.pth'

    def test(config, checkpoint, work_dir, options, quiet):
        loss, seed = checkpoint.parent.name.split('_')
        return {'multi-label/mAP': dict(asl=40.0, bce=30.0, focal=20.0)[loss] + int(seed)}

    monkeypatch.setattr(compare_losses.runs, 'train', train)
    monkeypatch.setattr(compare_losses.runs, 'test', test)
    arguments = ['--work-dir', str(tmp_path), '--seeds', '1', '2']
    results = compare_losses.compare(compare_losses.parse_args([*arguments, '--losses', 'asl']))
    assert results == {'asl': {'1': 41.0, '2': 42.0}}
    results = compare_losses.compare(compare_losses.parse_args(arguments))
    assert [name for name, _ in calls] == ['asl_1', 'asl_2', 'bce_1', 'focal_1', 'bce_2', 'focal_2']
    # all that differs between two runs of a seed are the three numbers of the loss
    (_, bce), (_, focal) = calls[2:4]
    assert {o.split('=')[0] for o in set(bce) ^ set(focal)} == {
        'model.head.loss.gamma_neg', 'model.head.loss.gamma_pos'}  # fmt: skip
    assert json.loads((tmp_path / 'results.json').read_text())['mAP'] == results
    table = compare_losses.to_markdown(results)
    assert cells(table)[0] == ['ASL (4, 0, 0.05)', '41.0', '42.0', '41.5', '0.7']
    compare_losses.compare(
        compare_losses.parse_args([*arguments, '--cfg-options', 'train_cfg.max_epochs=1'])
    )
    assert len(calls) == 12  # other options, other results


@pytest.mark.slow
def test_one_run_of_the_comparison(tmp_path: Path, monkeypatch) -> None:
    make_shapes(tmp_path / 'sparse', FEW_SPARSE)
    monkeypatch.setenv('SPARSE_SHAPES_ROOT', str(tmp_path / 'sparse'))
    args = compare_losses.parse_args(
        ['--losses', 'focal', '--seeds', '3', '--work-dir', str(tmp_path / 'runs'),
         '--cfg-options', *SHORT])  # fmt: skip
    assert 0 < compare_losses.compare(args)['focal']['3'] < 100
    [config] = (tmp_path / 'runs/focal_3').glob('*.py')
    said = config.read_text()
    assert 'seed=3' in said and 'gamma_pos=2' in said


def test_tasks_are_compared_in_one_table():
    boxes, labels = compare_tasks.BOXES, compare_tasks.LABELS
    results = dict(boxes={'0': {boxes: 0.5}, '1': {boxes: 0.6}}, labels={'0': {labels: 80.0}},
                   both={'0': {boxes: 0.4, labels: 70.0}})
    measured = dict(boxes=(2_000_000, 0.02), labels=(1_000_000, 0.01), both=(2_100_000, 0.021))
    assert cells(compare_tasks.to_markdown(results, measured)) == [
        ['detector', '2.00', '20.0', '55.0', '-'],
        ['classifier', '1.00', '10.0', '-', '80.0'],
        ['the two together', '3.00', '30.0', '55.0', '80.0'],
        ['both tasks', '2.10', '21.0', '40.0', '70.0'],
    ]


def test_archs_have_the_published_parameters():
    channels, parameters, gmacs = arch_table.measure('m', size=64)
    assert parameters == arch_table.PUBLISHED_PARAMETERS['m']
    assert channels == (64, 128, 1024, 2048)
    assert 0.4 < gmacs < 0.6  # of 5.73 at 224 px
