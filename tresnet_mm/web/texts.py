"""What the page says in words. Names of files and classes may be a stranger's: all is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

#: Lines of a table; the picture shows all boxes.
_MOST = 50


def warnings_box(messages: Sequence[str]) -> str:
    """HTML of what went wrong, a line each; empty where nothing did."""
    lines = ''.join(f'<p>{escape(message)}</p>' for message in messages)
    return f'<div class="left-out" role="alert">{lines}</div>' if messages else ''


def results_table(name: str, result: Mapping[str, Any]) -> str:
    """HTML table of one image's results.

    Args:
        name: The image's.
        result: As `WebModel.describe` gives it.
    """
    size = f'{result["width"]} × {result["height"]} pixels'
    rows = [_row(box, ', '.join(f'{value:.0f}' for value in box['bbox']))
            for box in result.get('boxes', ())]
    labels = [_row(label, 'image') for label in result.get('labels', ())]
    for kind, named in result.get('image_labels', {}).items():
        labels += [_row(label, f'image, {escape(kind)}') for label in named['labels']]
    count, score = result.get('others', (0, 0.))
    if count:
        labels.append(_row(dict(score=score, label=f'all {count} others'), 'image'))
    rows = labels + rows
    if len(rows) > _MOST:
        rows[_MOST:] = [f'<tr><td colspan="3">and {len(rows) - _MOST} more</td></tr>']
    if not rows:
        rows = ['<tr><td colspan="3">nothing above the threshold</td></tr>']
    return (f'<table class="results"><caption>{escape(name)}, {size}</caption><thead><tr>'
            '<th scope="col">score</th><th scope="col">class</th>'
            '<th scope="col">where: x1, y1, x2, y2</th></tr></thead>'
            f'<tbody>{"".join(rows)}</tbody></table>')


def classes_by_score(classes: Sequence[str], scores: Mapping[str, float]) -> list[tuple[str, int]]:
    """The choices of a class: a text and its number, the highest score first."""
    order = sorted(range(len(classes)), key=lambda number: -scores[classes[number]])
    return [(f'{classes[number]}  {scores[classes[number]]:.2f}', number) for number in order]


def _row(found: Mapping[str, Any], where: str) -> str:
    cells = f'{found["score"]:.2f}', escape(found['label']), where
    return f'<tr>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
