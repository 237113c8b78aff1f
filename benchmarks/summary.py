"""The recorded benchmarks against what the project promises and the paper reports."""
from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / 'results'
# V100, mixed precision, 224 px: images/s in training and inference over ResNet-50's (paper, table
# of the repository's README).
PAPER = dict(train=730 / 805, infer=2930 / 2830)

Row = Mapping[str, Any]


def best(rows: Sequence[Row], model: str, mode: str, key: str = 'images_per_s',
         format: str | None = None) -> float | None:
    """The largest value of a model in a mode, over all memory formats or in one; None if absent."""
    values = [row[key] for row in rows
              if row['model'] == model and row['mode'] == mode and row.get(key) is not None
              and format in (None, row['format'])]
    return max(values, default=None)


def ratio(a: float | None, b: float | None) -> float | None:
    """``a / b``, or None if either is missing."""
    return None if a is None or b is None else a / b


def backbone_rows(record: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Quantity, target and figure for the record of ``backbones``."""
    rows = record['rows']
    ours = next((row['model'] for row in rows if row['model'].startswith('TResNet')), None)
    if ours is None:
        return
    r50 = 'ResNet-50'
    on_cpu = 'gpu' not in record['environment'] or '--device cuda' not in record['command']

    def speed(model: str, mode: str, format: str | None = None) -> float | None:
        return best(rows, model, mode, format=format)

    saved = best(rows, ours, 'train', 'saved_MiB_per_image')
    if saved is not None:
        yield dict(quantity=f'{ours}, MiB saved for backward an image', target='<= 43',
                   measured=saved, met=saved <= 43)
    wanted = [
        *((f'{ours} / {norm}, training, {form}', target, None,
           ratio(speed(ours, 'train', form), speed(f'{ours} ({norm})', 'train', form)))
          for norm in ('inplace-abn', 'as published')
          for form, target in (('NCHW', 1.3 if on_cpu else None),
                               ('channels_last', 2.0 if on_cpu else 3.0))),
        (f'{ours} / ResNet-50, training, best formats', 0.85 if on_cpu else 1.0, PAPER['train'],
         ratio(speed(ours, 'train'), speed(r50, 'train'))),
        (f'{ours} / ResNet-50, inference, best formats', None, PAPER['infer'],
         ratio(speed(ours, 'infer'), speed(r50, 'infer'))),
        (f'{ours} fused / ResNet-50 folded, inference', 0.90 if on_cpu else None, None,
         ratio(speed(f'{ours}, fused', 'infer'), speed(f'{r50}, folded', 'infer'))),
        (f'{ours} fused / ResNet-50 folded and packed, inference', None, None,
         ratio(speed(f'{ours}, fused', 'infer'), speed(f'{r50}, folded, packed', 'infer')))]
    for quantity, target, paper, measured in wanted:
        if measured is not None:
            yield dict(quantity=quantity, target=target and f'>= {target}', paper=paper,
                       measured=measured, met=None if target is None else measured >= target)


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Read ``backbones.json`` of ``--out-dir`` (default: ``benchmarks/results``)."""
    path = Path(args.out_dir or RESULTS) / 'backbones.json'
    if not path.is_file():
        raise SystemExit(f'summary: {path} does not exist; '
                         'run `python -m benchmarks backbones --out-dir DIR` first')
    return list(backbone_rows(json.loads(path.read_text())))
