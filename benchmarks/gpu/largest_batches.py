"""The largest batch that a training step can take within the memory of the paper's GPU."""
from __future__ import annotations

from functools import partial

import torch

from .. import networks
from .backbone_speed import contenders
from .parts import Absent, Row
from .settings import GIB, Settings


def largest_batches(settings: Settings) -> list[Row]:
    """Of each backbone in channels_last: by doubling, then by bisection."""
    if not settings.on_gpu:
        raise Absent("the largest batch is one of a GPU's memory")
    total = torch.cuda.get_device_properties(0).total_memory
    memory = min(total, settings.batch_memory)
    models, rows = contenders(settings)
    try:
        torch.cuda.set_per_process_memory_fraction(memory / total)
        for name, model in models.items():
            model.to(settings.device).to(memory_format=torch.channels_last).train()
            step = partial(networks.train_step, model, args=settings.arguments())
            found = networks.largest_batch(
                lambda x, step=step: step(x.to(memory_format=torch.channels_last)),
                settings.image_size, settings.device)
            rows.append(dict(model=name, mode='largest batch', format='channels_last',
                             batch=found, memory_GiB=memory / GIB))
            model.zero_grad(set_to_none=True)
            model.to('cpu')
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    return rows
