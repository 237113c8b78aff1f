"""The one writer of markdown tables."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def markdown_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows (dictionaries of scalars) as a markdown table; columns in order of first appearance."""
    if not rows:
        return '(no rows)'
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(line[i]) for line in [columns, *cells]) for i in range(len(columns))]
    lines = [columns, ['-' * width for width in widths], *cells]
    lines = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
             for line in lines]
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def _cell(value: Any) -> str:
    """A table cell: floats to four significant digits, missing values empty."""
    if value is None:
        return ''
    if isinstance(value, float):
        return f'{value:.4g}' if abs(value) < 1000 else f'{value:.0f}'
    return str(value)
