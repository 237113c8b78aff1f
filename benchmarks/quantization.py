"""What 8 bits cost: accuracy and time of exported files, by what stays in float."""
from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from tresnet_mm.deploy import OnnxModel, export_onnx, quantize_onnx
from tresnet_mm.deploy.onnx_parts import PARTS
from tresnet_mm.deploy.quantize import FLOAT_PARTS

from . import timing
from .exported import TrainedModel, run_all, same_shape, trained_models, with_others
from .markdown_table import markdown_table

#: What stays in float, one row each.
KEPT: dict[str, tuple[str, ...]] = {
    'nothing': (), **{part: (part, ) for part in PARTS}, ', '.join(FLOAT_PARTS): FLOAT_PARTS,
    'all of these': tuple(PARTS)}
#: The joint model's parts are those of the two others.
MEASURED = ('cards_classifier', 'cards_fcos', 'bccd_fcos')


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure mAP and time of each trained model's file, with each part in float.

    ``--quick`` measures what `quantize_onnx` does by default alone.
    """
    kept = {'nothing': (), ', '.join(FLOAT_PARTS): FLOAT_PARTS} if args.quick else KEPT
    rows = [row for model in trained_models(args, MEASURED)
            for row in _rows(model, kept, args.rounds)]
    return with_others(rows, args)


def _rows(model: TrainedModel, kept: dict[str, tuple[str, ...]], rounds: int
          ) -> list[dict[str, Any]]:
    feeds = model.calibration()
    batches = same_shape(model.batches('test'), 8)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / 'float.onnx'
        export_onnx(model.model, file)
        forms = {'everything': OnnxModel(**model.onnx_config(file), threads=1)}
        for name, parts in kept.items():
            out = Path(folder) / f'{name}.onnx'
            quantize_onnx(file, out, feeds, parts)
            forms[name] = OnnxModel(**model.onnx_config(out), threads=1)
        metrics = {name: model.evaluate(form) for name, form in forms.items()}
        times = timing.alternate({name: run_all(form, batches) for name, form in forms.items()},
                                 rounds, clock=time.process_time)
        load = round(os.getloadavg()[0], 1)
    rows = [dict(model=model.name, in_float=name, **metrics[name],
                 ms=1e3 * times['median'][name] / len(batches),
                 speed_ratio=times['ratio'][name], spread=times['spread'][name], load=load)
            for name in forms]
    print(markdown_table(rows), flush=True)
    return rows
