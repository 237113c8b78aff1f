"""A matrix over classes as a picture."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

#: Up to so many classes the cells have their numbers in them.
_WITH_NUMBERS = 25


def draw_matrix(matrix: np.ndarray, row_names: Sequence[str], column_names: Sequence[str],
                title: str, row_title: str, column_title: str, out_file: str | Path) -> None:
    """Draw a matrix of shares, a cell for each pair of classes, with the names on its sides.

    The picture grows with the number of classes, so that all names can be read.

    Args:
        matrix: (R, C) in [0, 1]; NaN stays white.
        row_names: R names.
        column_names: C names.
        title: Line above.
        row_title: What the rows are.
        column_title: What the columns are.
        out_file: The picture, its format by its suffix.

    Raises:
        ValueError: If the numbers of names do not fit.
    """
    if matrix.shape != (len(row_names), len(column_names)):
        raise ValueError(f'a matrix of shape {matrix.shape} with {len(row_names)} and '
                         f'{len(column_names)} names')
    rows, columns = matrix.shape
    cell = 0.42 if max(matrix.shape) <= _WITH_NUMBERS else 0.19  # inches
    longest = 0.075 * max(map(len, [*row_names, *column_names]))
    figure = Figure(figsize=(max(5, columns * cell + longest + 1.2),
                             max(4.2, rows * cell + longest + 1.2)), layout='constrained')
    axes = figure.subplots()
    shown = axes.imshow(100 * matrix, cmap='viridis', vmin=0, vmax=100)
    axes.set_xticks(range(columns), column_names, rotation=90, fontsize=8)
    axes.set_yticks(range(rows), row_names, fontsize=8)
    axes.set(xlabel=column_title, ylabel=row_title)
    axes.set_title(title, fontsize=10 if max(matrix.shape) <= _WITH_NUMBERS else 16)
    if max(matrix.shape) <= _WITH_NUMBERS:
        for (row, column), value in np.ndenumerate(matrix):
            if not np.isnan(value):
                axes.text(column, row, f'{100 * value:.0f}', ha='center', va='center', fontsize=8,
                          color='white' if value < 0.6 else 'black')
    else:  # lines to find one's way by
        axes.set_xticks(np.arange(-0.5, columns), minor=True)
        axes.set_yticks(np.arange(-0.5, rows), minor=True)
        axes.grid(which='minor', color='white', linewidth=0.3)
        axes.tick_params(which='minor', length=0)
        axes.tick_params(top=True, labeltop=True, right=True, labelright=True)
    figure.colorbar(shown, ax=axes, shrink=0.6, aspect=30, label='%')
    figure.savefig(out_file, dpi=120)
