"""Reliability diagrams: how often a label is there, over the score it gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..evaluation.reliability import reliability

#: Panels of single classes: those of the largest error before.
_MAX_CLASSES = 11
_COLUMNS = 4


def draw_reliability(scores: Mapping[str, np.ndarray], targets: np.ndarray,
                     classes: Sequence[str], out_file: str | Path) -> None:
    """Draw all classes together, and each of those that the first scores fit worst by itself.

    Args:
        scores: Name and probabilities (N, C) of each curve, such as before and after.
        targets: (N, C) of 1 present, 0 absent, -1 unknown (left out).
        classes: Their names.
        out_file: The picture, its format by its suffix; its folder is made.

    Raises:
        ValueError: If the suffix is unknown.
    """
    first = next(iter(scores.values()))
    errors = [reliability(first[:, c], targets[:, c]).expected_error for c in range(len(classes))]
    worst = [c for c in np.argsort(-np.nan_to_num(errors, nan=-1)) if np.isfinite(errors[c])]
    shown: list[tuple[str, Any]] = [('all classes', slice(None))]
    shown += [(classes[c], c) for c in worst[:_MAX_CLASSES]]
    columns = min(_COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(3.2 * columns, 3.2 * rows + 0.4), layout='constrained')
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel, (title, part) in zip(panels, shown, strict=False):
        panel.plot([0, 1], [0, 1], color='tab:grey', linewidth=0.8)
        text = []
        for index, (name, values) in enumerate(scores.items()):
            found = reliability(values[:, part], targets[:, part])
            panel.plot(found.scores, found.frequencies, 'o-', color=f'C{index}', markersize=4,
                       linewidth=1.2, label=name)
            text.append(f'{100 * found.expected_error:.1f}')
        panel.set(title=f'{title}: ECE {" → ".join(text)} %', xlabel='score', ylabel='frequency',
                  xlim=(0, 1), ylim=(0, 1))
        panel.title.set_fontsize(9)
        panel.grid(alpha=0.3)
    for panel in panels[len(shown):]:
        panel.remove()
    figure.legend(panels[0].lines[1:], list(scores), loc='outside upper center',
                  ncols=len(scores))
    Path(out_file).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out_file, dpi=120)
