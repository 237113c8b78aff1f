"""Forms of a model for use side by side: PyTorch's, and exported files by onnxruntime and OpenVINO.

One image at a time, one thread, from preprocessed images to scores and boxes. Times are those of
the processor, not of the clock, which others on the machine do not lengthen by taking it away.
"""
from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement

from tresnet_mm.deploy import OnnxModel, export_onnx, fuse, quantize_onnx

from . import timing
from .exported import (
    Batch,
    OpenVinoModel,
    TrainedModel,
    run_all,
    same_shape,
    trained_models,
    with_others,
)
from .markdown_table import markdown_table
from .onnx import build_classifier

#: What of a model is compiled: what goes before and after is not worth it.
COMPILED = ('backbone', 'neck', 'bbox_head')
#: Name, for --models, of the whole network with random weights, which is timed and not tested.
UNTRAINED = 'untrained'


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure mAP and time of the trained models, and the time of a whole TResNet classifier.

    ``--quick`` leaves ``torch.compile`` out, which takes minutes.
    """
    torch.set_num_threads(1)
    rows = []
    for model in trained_models(args):
        batches = same_shape(model.batches('test'), 8)
        rows += _rows(model.name, model.model, batches, model.calibration(), model.onnx_config,
                      args, model)
    if UNTRAINED in (args.models or [UNTRAINED]):
        size = args.image_size or 224
        batches = [Batch(torch.rand(1, 3, size, size), [BaseDataElement(
            metainfo=dict(img_shape=(size, size)))])]
        rows += _rows(f'{UNTRAINED}, TResNet-{args.arch.upper()}, {size} px',
                      build_classifier(args.arch), batches, [batch.feed() for batch in batches],
                      lambda file: dict(file=str(file)), args)
    return with_others(rows, args)


def _rows(name: str, model: BaseModel, batches: list[Batch],
          feeds: Iterable[Mapping[str, np.ndarray]], onnx_config: Callable[[Path], dict],
          args: argparse.Namespace, data: TrainedModel | None = None) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        forms = {**pytorch_forms(model, compiled=not args.quick),
                 **file_forms(model, Path(folder), feeds, onnx_config)}
        metrics = {form: data.evaluate(forms[form]) if data else {} for form in forms}
        times = timing.alternate(
            {form: run_all(forms[form], batches, 'fused' in form) for form in forms},
            args.rounds, clock=time.process_time)
    load = round(os.getloadavg()[0], 1)
    rows = [dict(model=name, form=form, **metrics[form],
                 ms=1e3 * times['median'][form] / len(batches),
                 speed_ratio=times['ratio'][form], spread=times['spread'][form], load=load)
            for form in forms]
    print(markdown_table(rows), flush=True)
    return rows


def pytorch_forms(model: BaseModel, compiled: bool) -> dict[str, BaseModel]:
    """A model as it is trained, fused, and fused and compiled."""
    fused = fuse(model).to(memory_format=torch.channels_last)
    forms = {'PyTorch': model, 'PyTorch, fused': fused}
    if compiled:
        forms['PyTorch, fused, torch.compile'] = with_compiled_parts(
            fuse(model).to(memory_format=torch.channels_last))
    return forms


def with_compiled_parts(model: BaseModel) -> BaseModel:
    """The model itself, whose `COMPILED` modules are compiled at their first call."""
    for name, module in model.named_modules():
        if name.rpartition('.')[2] in COMPILED:
            module.compile(dynamic=False)
    return model


def file_forms(model: BaseModel, folder: Path, feeds: Iterable[Mapping[str, np.ndarray]],
               onnx_config: Callable[[Path], dict[str, Any]]) -> dict[str, BaseModel]:
    """Exported files of a model, and what runs them."""
    unfused, fused, small = (folder / f'{name}.onnx' for name in ('unfused', 'fused', 'small'))
    export_onnx(model, unfused, fold=False)
    export_onnx(model, fused)
    quantize_onnx(fused, small, feeds)
    forms: dict[str, BaseModel] = {
        form: OnnxModel(**onnx_config(file), threads=1) for form, file in {
            'onnxruntime, exported unfused': unfused, 'onnxruntime, exported fused': fused,
            'onnxruntime, 8 bits': small}.items()}
    if find_spec('openvino') is None:
        print('without OpenVINO: pip install openvino', flush=True)
        return forms
    for form, file, precision in (('OpenVINO', fused, 'f32'), ('OpenVINO, bfloat16', fused, 'bf16'),
                                  ('OpenVINO, 8 bits', small, 'f32')):
        forms[form] = OpenVinoModel(precision, **onnx_config(file))
    return forms
