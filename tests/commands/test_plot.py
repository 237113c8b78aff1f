"""``tresnet-mm plot``."""

import json
import shlex
from pathlib import Path

import cv2
import pytest

from tests.commands.test_examples import examples
from tresnet_mm.__main__ import main
from tresnet_mm.commands.plot import run_names


def write_run(folder: Path, scores: list[float], first_epoch: int = 1) -> None:
    """A run of two records an epoch, as mmengine logs it."""
    log = folder / f'2026010{first_epoch}_000000/vis_data/scalars.json'
    log.parent.mkdir(parents=True)
    with log.open('w') as file:
        for epoch, score in enumerate(scores, first_epoch):
            for step in (2 * epoch - 1, 2 * epoch):
                json.dump(dict(lr=0.1, loss=1 / step, loss_cls=0.5, loss_bbox=0.5, epoch=epoch,
                               iter=step, step=step), file)
                file.write('\n')
            json.dump({'coco/bbox_mAP': score, 'coco/bbox_mAP_50': score, 'step': epoch}, file)
            file.write('\n')


@pytest.fixture()
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ('fcos_tresnet_tiny_shapes', 'a', 'b'):
        write_run(tmp_path / 'work_dirs' / name, [0.25, 0.5])
    return tmp_path


@pytest.mark.parametrize('line', examples('plot'))
def test_the_examples_of_the_help(line, here, capsys):
    arguments = shlex.split(line)[1:]
    assert main(arguments) is None
    out = here / (arguments[arguments.index('--out') + 1] if '--out' in arguments else 'curves.png')
    assert cv2.imread(str(out)).std() > 1
    assert capsys.readouterr().out.endswith(f'Drawn to {out.name}\n')


def test_it_says_how_the_runs_ended(here, capsys):
    write_run(here / 'work_dirs/a', [0.75, 0.4], first_epoch=2)  # resumed after the first epoch
    assert main(['plot', 'work_dirs/a', 'work_dirs/b/', '--out', 'new/curves.pdf']) is None
    lines = capsys.readouterr().out.splitlines()[-3:]
    assert lines == [
        'a  loss 0.1667 at the end, lr 0.1 at the end, coco/bbox_mAP at best 0.75 (epoch 2)',
        'b  loss 0.25 at the end, lr 0.1 at the end, coco/bbox_mAP at best 0.5 (epoch 2)',
        'Drawn to new/curves.pdf']
    assert (here / 'new/curves.pdf').read_bytes().startswith(b'%PDF')


def test_what_a_run_has_not_logged_is_left_out_of_its_line(here, capsys):
    log = next((here / 'work_dirs/b').rglob('scalars.json'))
    log.write_text(log.read_text().replace('coco/bbox_mAP', 'multi-label/mAP'))
    main(['plot', 'work_dirs/a', 'work_dirs/b', '--keys', 'coco/bbox_mAP', 'loss'])
    assert capsys.readouterr().out.splitlines()[-3:-1] == [
        'a  coco/bbox_mAP at best 0.5 (epoch 2), loss 0.25 at the end',
        'b  loss 0.25 at the end']


@pytest.mark.parametrize(('arguments', 'message'), [
    (['work_dirs/c'], 'work_dirs/c does not exist'),
    (['work_dirs/a', '--keys', 'mAP'], 'no run has logged mAP; there are coco/bbox_mAP, '),
    (['work_dirs/a', '--labels', 'x', 'y'], '--labels names 2 runs, and there are 1'),
    (['work_dirs/a', './work_dirs/a'], 'two runs have the name .'),
    (['work_dirs/a', '--out', 'c.xyz'], "'xyz'")])
def test_a_mistake_is_one_line(arguments, message, here, capsys):
    with pytest.raises(SystemExit) as stop:
        main(['plot', *arguments])
    said = str(stop.value.code) + capsys.readouterr().err
    assert message in said and len(said.strip().splitlines()) == 1
    assert not list(here.glob('*.*'))


@pytest.mark.parametrize(('paths', 'labels', 'names'), [
    (['w/a'], None, ['a']), (['w/a/', 'w/b'], None, ['a', 'b']), (['w/a', 'v/a'], None,
                                                                ['w/a', 'v/a']),
    (['w/a', 'w/b'], ['x', 'y'], ['x', 'y'])])
def test_names_of_runs(paths, labels, names):
    assert run_names(paths, labels) == names
