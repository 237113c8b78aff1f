"""Says what to lower, and by how much, when memory runs out in training."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner

_GIB = 1 << 30


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory has run out, of the GPU or the machine."""
    return isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)) or (
        isinstance(error, RuntimeError)
        and any(text in str(error) for text in ("can't allocate memory", 'out of memory')))


@HOOKS.register_module()
class MemoryHook(Hook):
    """Keep the batch of each step, so that a smaller part of it can be tried where it is too much.

    Nothing is measured while memory suffices. `explain` is called by whoever catches the error.
    """

    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self._batch: Any = None

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        self._batch = data_batch

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None,
                         outputs: dict | None = None) -> None:
        self._batch = None

    def explain(self, runner: Runner, error: BaseException) -> str:
        """What to say of an error of memory, after trying how much of the batch fits.

        The step is tried with half of its images, a quarter, and so on. The error's frames lose
        their variables, which hold most of the memory.
        """
        traceback.clear_frames(error.__traceback__)
        size = _images(self._batch)
        where = f'iteration {runner.iter + 1}: memory has run out'
        found = largest_fitting(runner.model, self._batch, size // 2) if size else None
        if found is None:
            return (f'{where} ({_first_line(error)}). Lower train_dataloader.batch_size or the '
                    'size of the images')
        fitting, gib = found
        needed = f' in {gib:.1f} GiB' if gib else ''
        if fitting:
            advice = (f'{fitting} {"fit" if fitting > 1 else "fits"}{needed}: lower '
                      f'train_dataloader.batch_size to {fitting}, with gradients of '
                      f'{-(-size // fitting)} steps added up by '
                      f'optim_wrapper.accumulative_counts={-(-size // fitting)}')
        else:
            advice = ('one does not fit either: lower the size of the images, or take a smaller '
                      'arch')
        return (f'{where} with {size} images a step ({_first_line(error)}); {advice}. '
                '--grad-checkpoint, --amp (on a GPU) and --amp-dtype bfloat16 need less for the '
                'same batch')


def largest_fitting(model: torch.nn.Module, batch: Mapping[str, Any],
                    largest: int) -> tuple[int, float] | None:
    """How many images of a batch a training step has memory for: ``largest``, its half, and so on.

    Args:
        model: The model, in training mode; its gradients are dropped.
        batch: As mmengine's loaders give it.
        largest: How many to try first.

    Returns:
        The number, 0 if one is too many, and the GiB that it takes of a GPU's memory, 0 on a CPU.
        None if a step fails for another reason than memory, so that nothing is known.
    """
    inner: Any = model.module if is_model_wrapper(model) else model  # other processes do not join
    images = largest
    while images:
        inner.zero_grad(set_to_none=True)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        try:
            _step(inner, {key: value[:images] for key, value in batch.items()})
        except Exception as error:
            if not is_out_of_memory(error):
                return None
            traceback.clear_frames(error.__traceback__)
            images //= 2
        else:
            gib = torch.cuda.max_memory_allocated() / _GIB if torch.cuda.is_available() else 0.0
            return images, gib
    return 0, 0.0


def _step(model: Any, batch: dict[str, Any]) -> None:
    data = model.data_preprocessor(batch, True)
    losses = model(**data, mode='loss')
    model.parse_losses(losses)[0].backward()
    model.zero_grad(set_to_none=True)


def _images(batch: Any) -> int:
    """The number of images of a batch that can be cut; 0 for others."""
    inputs = batch.get('inputs') if isinstance(batch, Mapping) else None
    if not isinstance(inputs, (list, tuple, torch.Tensor)):
        return 0
    sizes = {len(value) for value in batch.values() if hasattr(value, '__len__')}
    return len(inputs) if sizes == {len(inputs)} else 0


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
