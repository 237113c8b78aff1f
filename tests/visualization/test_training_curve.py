"""The curve of loss and metrics."""

import json
from pathlib import Path

import cv2
import pytest

from tresnet_mm.visualization import draw_training_curve, read_scalars

TRAIN = [
    dict(lr=0.1, loss=4.0 / i, epoch=1 + (i - 1) // 2, iter=10 * i, step=10 * i)
    for i in range(1, 7)
]
VAL = [{'coco/bbox_mAP': 0.2 * epoch, 'step': epoch} for epoch in (1, 2, 3)]


def test_scalars_are_read_line_by_line(tmp_path: Path) -> None:
    file = tmp_path / 'scalars.json'
    file.write_text('\n'.join(map(json.dumps, TRAIN + VAL)))
    assert read_scalars(file) == TRAIN + VAL


def test_a_cut_off_file_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / 'scalars.json'
    file.write_text('{"loss": 1}\n{"loss": ')
    with pytest.raises(ValueError, match=r'scalars\.json, line 2'):
        read_scalars(file)


def test_curves_are_where_their_values_are(tmp_path: Path, monkeypatch) -> None:
    from matplotlib.figure import Figure

    figures = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, 'savefig', lambda self, *a, **k: (figures.append(self), save(self, *a, **k))
    )
    draw_training_curve(TRAIN + VAL, ['coco/bbox_mAP'], tmp_path / 'curve.png')
    loss, metric = (axes.lines[0].get_xydata() for axes in figures[0].axes)
    # two records of ten iterations an epoch
    assert loss.tolist() == [[0.5 * i, pytest.approx(4.0 / i)] for i in range(1, 7)]
    assert metric.tolist() == [[e, pytest.approx(0.2 * e)] for e in (1, 2, 3)]
    picture = cv2.imread(str(tmp_path / 'curve.png'))
    assert picture.std() > 1


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='no training loss'):
        draw_training_curve(VAL, ['coco/bbox_mAP'], tmp_path / 'curve.png')
    with pytest.raises(ValueError, match='no coco/bbox_mAP_50'):
        draw_training_curve(TRAIN + VAL, ['coco/bbox_mAP_50'], tmp_path / 'curve.png')


@pytest.mark.parametrize(('value', 'top'), [(0.6, 1), (60.0, 100)])
def test_shares_and_percentages_fit_on_their_axis(tmp_path, monkeypatch, value, top) -> None:
    from matplotlib.figure import Figure

    figures = []
    monkeypatch.setattr(Figure, 'savefig', lambda self, *a, **k: figures.append(self))
    draw_training_curve([*TRAIN, dict(mAP=value, step=1)], ['mAP'], tmp_path / 'curve.png')
    assert figures[0].axes[1].get_ylim() == (0, top)
