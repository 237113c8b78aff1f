"""Plots of recorded benchmarks."""
from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt  # noqa: E402


def draw(record: Mapping[str, Any], out_dir: str | Path) -> list[Path]:
    """Draw what there is to draw of a record.

    Args:
        record: What ``timing.report`` returned.
        out_dir: Folder of the record; the PNGs go into its parent if it is called ``results``.

    Returns:
        The files written; none for subjects without a plot.
    """
    folder = Path(out_dir)
    folder = folder.parent if folder.name == 'results' else folder
    draw_of = dict(backbones=speed_memory, scale=sweeps)
    if record['name'] not in draw_of:
        return []
    figure = draw_of[record['name']](record['rows'])
    if figure is None:
        return []
    path = folder / f'{record["name"]}.png'
    figure.savefig(path, dpi=120, bbox_inches='tight')
    plt.close(figure)
    return [path]


def speed_memory(rows: list[Mapping[str, Any]]) -> plt.Figure | None:
    """Training speed against the memory that an image takes, one point a model and format."""
    rows = [row for row in rows if row['mode'] == 'train' and row.get('saved_MiB_per_image')]
    if not rows:
        return None
    figure, axes = plt.subplots(figsize=(7, 5))
    markers = {'NCHW': 'o', 'channels_last': '^'}
    colours = {name: f'C{i}' for i, name in enumerate(dict.fromkeys(r['model'] for r in rows))}
    for row in rows:
        axes.scatter(row['saved_MiB_per_image'], row['images_per_s'], s=70,
                     marker=markers[row['format']], color=colours[row['model']],
                     label=f'{row["model"]}, {row["format"]}')
    axes.set(xlabel='bytes saved for backward (MiB an image)', ylabel='training, images/s',
             title=f'{rows[0]["size"]} px, batch {rows[0]["batch"]}')
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return figure


def sweeps(rows: list[Mapping[str, Any]]) -> plt.Figure:
    """Cost against each quantity that was varied, one panel a quantity."""
    panels = {name: list(group) for name, group in groupby(rows, lambda row: row['sweep'])}
    figure, all_axes = plt.subplots(1, len(panels), figsize=(4 * len(panels), 3.5), squeeze=False)
    for axes, (name, group) in zip(all_axes[0], panels.items(), strict=True):
        key = 'ms' if 'classes' in name else 'images_per_s'
        axes.plot([row['value'] for row in group], [row[key] for row in group], 'o-')
        axes.set(xlabel=name.split(',')[0], ylabel='ms a step of 8' if key == 'ms' else 'images/s',
                 title=name)
        if 'classes' in name:
            axes.set_xscale('log')
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    figure.tight_layout()
    return figure
