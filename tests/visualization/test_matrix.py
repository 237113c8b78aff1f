"""Matrices over classes: every cell, name and size."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure

from tresnet_mm.visualization import draw_matrix


@pytest.fixture
def figures(monkeypatch) -> list[Figure]:
    """The figures that are written."""
    found: list[Figure] = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, 'savefig', lambda self, *a, **k: (found.append(self), save(self, *a, **k)))
    return found


def test_cells_hold_percentages_where_they_are_known(figures, tmp_path: Path) -> None:
    matrix = np.array([[0.25, 1.0, np.nan], [0.0, 0.5, 0.126]])
    draw_matrix(matrix, ['a', 'b'], ['x', 'y', 'z'], 'title', 'true', 'found', tmp_path / 'm.png')
    axes = figures[0].axes[0]
    assert {text.get_position(): text.get_text() for text in axes.texts} == {
        (0, 0): '25', (1, 0): '100', (0, 1): '0', (1, 1): '50', (2, 1): '13'}
    np.testing.assert_allclose(axes.images[0].get_array().filled(-1)[1], 100 * matrix[1])
    assert [label.get_text() for label in axes.get_yticklabels()] == ['a', 'b']
    assert [label.get_text() for label in axes.get_xticklabels()] == ['x', 'y', 'z']


def test_the_names_of_many_classes_do_not_overlap(figures, tmp_path: Path) -> None:
    names = [f'traffic light {i}' for i in range(40)]
    draw_matrix(np.eye(40), names, names, 'title', 'true', 'found', tmp_path / 'm.png')
    boxes = [label.get_window_extent() for label in figures[0].axes[0].get_yticklabels()]
    tops = sorted({(box.y0, box.y1) for box in boxes})  # the names stand on both sides
    assert len(tops) == 40
    assert all(a[1] <= b[0] + 1 for a, b in zip(tops, tops[1:], strict=False))
    assert not figures[0].axes[0].texts
    assert cv2.imread(str(tmp_path / 'm.png')).std() > 1


def test_names_have_to_be_as_many_as_the_rows_and_columns(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='2, 3.* with 3 and 3 names'):
        draw_matrix(np.zeros((2, 3)), list('abc'), list('abc'), '', '', '', tmp_path / 'm.png')
