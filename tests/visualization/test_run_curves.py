"""Runs as they are read, put together, compared and drawn."""

import json
from pathlib import Path

import cv2
import pytest
from matplotlib.figure import Figure

from tresnet_mm.visualization import draw_runs, main_keys, read_run
from tresnet_mm.visualization.run_curves import continued, points


def train(iteration: int, loss: float, length: int = 4, **more) -> dict:
    return dict(lr=0.1, loss=loss, epoch=1 + (iteration - 1) // length, iter=iteration,
                step=iteration, **more)


def val(epoch: int, score: float) -> dict:
    return {'coco/bbox_mAP': score, 'data_time': 0.1, 'step': epoch}


FIRST = [train(2, 1.0), train(4, 0.9), val(1, 0.1), train(6, 0.8), train(8, 0.7), val(2, 0.2),
         train(10, 0.6)]


def write(folder: Path, records: list[dict]) -> None:
    (folder / 'vis_data').mkdir(parents=True)
    (folder / 'vis_data/scalars.json').write_text(''.join(json.dumps(r) + '\n' for r in records))


def test_a_resumed_run_is_one_and_what_was_trained_again_counts_once(tmp_path):
    second = [train(6, 0.5), train(8, 0.4), val(2, 0.5), train(10, 0.3)]  # from the first epoch on
    third = [train(10, 0.25), train(12, 0.2), val(3, 0.6)]  # from the second
    write(tmp_path / '20260102_000000', second)
    write(tmp_path / '20260101_235959', FIRST)
    write(tmp_path / '20260103_000000', third)
    write(tmp_path / '20260103_000001', [])  # stopped before it logged
    write(tmp_path / '20260104_000000', [val(0, 0.9)])  # only evaluated
    expected = [*FIRST[:3], *second[:3], *third]
    assert read_run(tmp_path) == expected
    assert read_run(tmp_path / '20260103_000000') == third
    assert read_run(tmp_path / '20260102_000000/vis_data/scalars.json') == second


def test_a_run_that_was_started_anew_replaces_the_old_one():
    anew = [train(2, 5.0)]
    assert continued(FIRST, anew) == anew


@pytest.mark.parametrize(('content', 'message'), [
    (None, 'no training run has logged anything in .*empty'), ([val(1, 0.5)], 'no training run')])
def test_a_folder_without_a_run_is_named(tmp_path, content, message):
    (tmp_path / 'empty').mkdir()
    if content:
        write(tmp_path / 'empty/20260101_000000', content)
    with pytest.raises(FileNotFoundError, match=message):
        read_run(tmp_path / 'empty')
    with pytest.raises(FileNotFoundError, match='nothing does not exist'):
        read_run(tmp_path / 'nothing')


def test_points_are_in_epochs():
    assert points(FIRST, 'loss') == ([0.5, 1, 1.5, 2, 2.5], [1.0, 0.9, 0.8, 0.7, 0.6])
    assert points(FIRST, 'coco/bbox_mAP') == ([1, 2], [0.1, 0.2])
    both = [train(4, 1.0, data_time=0.5), val(1, 0.3)]
    assert points(both, 'data_time') == ([1], [0.5])  # training's


def test_points_of_a_run_by_iterations_are_in_iterations():
    records = [dict(loss=1.0, iter=10, step=10), {'coco/bbox_mAP': 0.5, 'step': 10}]
    assert points(records, 'loss') == ([10], [1.0])
    assert points(records, 'coco/bbox_mAP') == ([10], [0.5])


@pytest.fixture()
def figures(monkeypatch) -> list[Figure]:
    drawn: list[Figure] = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, 'savefig',
                        lambda self, *a, **k: (drawn.append(self), save(self, *a, **k)))
    return drawn


def test_each_run_is_a_line_of_each_panel(tmp_path, figures):
    other = [train(4, 0.5), {'multi-label/mAP': 40.0, 'step': 1}]
    runs = dict(a=FIRST, b=other)
    keys = main_keys(runs)
    assert keys == ['loss', 'lr', 'coco/bbox_mAP', 'multi-label/mAP']
    draw_runs(runs, keys, tmp_path / 'curves.png')
    panels = {axes.get_title(): axes for axes in figures[0].axes}
    assert list(panels) == keys
    for key, axes in panels.items():
        for line, records in zip(axes.lines, runs.values(), strict=True):
            assert tuple(map(list, line.get_data())) == points(records, key)
    colours = {(line.get_color()) for axes in panels.values() for line in axes.lines[:1]}
    assert len(colours) == 1 and panels['loss'].lines[1].get_color() not in colours
    (legend,) = figures[0].legends
    assert [text.get_text() for text in legend.get_texts()] == ['a', 'b']
    assert cv2.imread(str(tmp_path / 'curves.png')).std() > 1


def test_wrong_wishes_are_one_message(tmp_path):
    with pytest.raises(ValueError, match='no run has logged mAP; there are coco/bbox_mAP, data_ti'):
        draw_runs(dict(a=FIRST), ['loss', 'mAP'], tmp_path / 'c.png')
    by_iteration = [dict(loss=1.0, iter=10, step=10)]
    with pytest.raises(ValueError, match='count epochs and some iterations'):
        draw_runs(dict(a=FIRST, b=by_iteration), ['loss'], tmp_path / 'c.png')
    with pytest.raises(ValueError, match='xyz'):
        draw_runs(dict(a=FIRST), ['loss'], tmp_path / 'c.xyz')
    assert not list(tmp_path.iterdir())
