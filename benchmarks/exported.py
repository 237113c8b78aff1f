"""Trained models and their exported files: what deployment and quantisation are measured on."""
from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.model import BaseModel
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import Runner, load_checkpoint
from torch import Tensor

from tresnet_mm.deploy import OnnxModel, with_onnx_model

from .experiments.deployed_models import TRAINED, trained

#: metric -> column, and what makes percent of it
METRICS = {'coco/bbox_mAP': ('box mAP', 100), 'coco/bbox_mAP_50': ('at IoU 0.5', 100),
           'multi-label/mAP': ('label mAP', 1)}


class Batch(NamedTuple):
    """Images (N, 3, H, W) as the data preprocessor returns them, and their data samples."""

    images: Tensor
    samples: list[Any]

    @property
    def sizes(self) -> Tensor:
        """Height and width (N, 2) of the images without padding."""
        return torch.tensor([sample.metainfo['img_shape'][:2] for sample in self.samples])

    def feed(self) -> dict[str, np.ndarray]:
        """The inputs of an exported file."""
        return dict(images=self.images.numpy(), sizes=self.sizes.numpy())


class TrainedModel:
    """One of `TRAINED`, with its weights and data."""

    def __init__(self, name: str) -> None:
        config, weights = trained(name)
        init_default_scope('mmdet')
        self.name = name
        self.cfg = Config.fromfile(config)
        self.model = MODELS.build(self.cfg.model).eval()
        load_checkpoint(self.model, str(weights), map_location='cpu', strict=True)

    def onnx_config(self, file: Path | str) -> dict[str, Any]:
        """Arguments of an `OnnxModel` of an exported file."""
        return {key: value for key, value in with_onnx_model(self.cfg, str(file)).model.items()
                if key != 'type'}

    def loader(self, part: str = 'test') -> Any:
        """Single images of the 'test' or the 'train' part, as the test pipeline gives them."""
        cfg = deepcopy(self.cfg.test_dataloader)
        cfg.batch_size = 1
        if part == 'train':
            for key in ('ann_file', 'data_prefix'):
                cfg.dataset[key] = self.cfg.train_dataloader.dataset[key]
        return Runner.build_dataloader(cfg)

    def batches(self, part: str) -> Iterator[Batch]:
        """The images of a part, one in each batch."""
        for data in self.loader(part):
            data = self.model.data_preprocessor(data, False)
            yield Batch(data['inputs'], data['data_samples'])

    def calibration(self, count: int = 32) -> list[dict[str, np.ndarray]]:
        """Feeds of ``count`` training images, spread over all."""
        batches = list(self.batches('train'))
        return [batches[i * len(batches) // count].feed() for i in range(count)]

    @torch.no_grad()
    def evaluate(self, model: BaseModel) -> dict[str, float]:
        """Metrics of a form of this model on the test part, in percent, by column of a table."""
        loader = self.loader()
        with open(os.devnull, 'w') as nowhere, redirect_stdout(nowhere):  # pycocotools prints
            evaluator = Evaluator(self.cfg.test_evaluator)
            evaluator.dataset_meta = loader.dataset.metainfo
            for data in loader:
                evaluator.process(model.test_step(data), data)
            found = evaluator.evaluate(len(loader.dataset))
        return {column: round(scale * found[metric], 2)
                for metric, (column, scale) in METRICS.items() if metric in found}


class OpenVinoModel(OnnxModel):
    """Runs an exported file by OpenVINO, one thread.

    Args:
        precision: Of the float operations: 'f32', or 'bf16' where the processor has it.
        arguments: As `OnnxModel`.
    """

    def __init__(self, precision: str = 'f32', **arguments: Any) -> None:
        super().__init__(**arguments)
        import openvino
        compiled = openvino.Core().compile_model(
            openvino.convert_model(self.file), 'CPU',
            dict(INFERENCE_NUM_THREADS=1, PERFORMANCE_HINT='LATENCY',
                 INFERENCE_PRECISION_HINT=precision))
        self.request = compiled.create_infer_request()

    def outputs_of(self, *inputs: Tensor) -> dict[str, Tensor]:
        """The file's outputs by name, of its inputs in their order."""
        found = self.request.infer(
            {name: value.numpy() for name, value in zip(self.inputs, inputs, strict=True)})
        return {name: torch.from_numpy(found[name]) for name in self.outputs}


def trained_models(args: argparse.Namespace, names: Iterable[str] = TRAINED
                   ) -> list[TrainedModel]:
    """Those of ``names`` that were trained, and that ``--models`` names if it is given."""
    found = [TrainedModel(name) for name in names
             if trained(name)[1].is_file() and name in (args.models or names)]
    if not found:
        print('no trained model: python -m benchmarks.experiments.deployed_models', flush=True)
    return found


def with_others(rows: list[dict[str, Any]], args: argparse.Namespace) -> list[dict[str, Any]]:
    """The rows, behind those of other models that ``--out-dir`` has, if ``--models`` is given."""
    file = Path(args.out_dir or '') / f'{args.subject}.json'
    if not args.models or not args.out_dir or not file.is_file():
        return rows
    measured = {row['model'] for row in rows}
    kept = json.loads(file.read_text())['rows']
    return [row for row in kept if row['model'] not in measured] + rows


def same_shape(batches: Iterable[Batch], count: int) -> list[Batch]:
    """The first batches of the most frequent shape."""
    batches = list(batches)
    shapes = [batch.images.shape for batch in batches]
    shape = max(set(shapes), key=shapes.count)
    return [batch for batch in batches if batch.images.shape == shape][:count]


@torch.no_grad()
def run_all(model: BaseModel, batches: Sequence[Batch], channels_last: bool = False
            ) -> Callable[[], None]:
    """What runs a model on batches, from images to scores and boxes."""
    if isinstance(model, OnnxModel):
        inputs = [(batch.images, batch.sizes) for batch in batches]
        return lambda: [model.outputs_of(*given) for given in inputs]
    form = torch.channels_last if channels_last else torch.contiguous_format
    given = [(batch.images.contiguous(memory_format=form), batch.samples) for batch in batches]

    @torch.no_grad()
    def run() -> None:
        for images, samples in given:
            model(images, samples, mode='predict')
    return run
