"""Stops a run whose loss or gradient is NaN or infinite, before it ruins the weights."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from mmengine.device import get_device
from mmengine.dist import all_reduce, get_rank
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapperDict
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.distributed.fsdp import FullyShardedDataParallel

ACTIONS = ('stop', 'skip')
#: Files that a message names; the log has all of them.
MAX_NAMES = 4


class NotFinite(Exception):
    """A loss or a gradient is NaN or infinite."""


@HOOKS.register_module()
class FiniteHook(Hook):
    """See that losses and gradients are finite, before each step of the optimiser.

    The weights stay those of before the step. When the run stops, they are saved with the
    optimiser's state as ``not_finite_epoch_E_iter_I.pth``, from which ``tresnet-mm replay`` runs
    the step again. In mixed precision with a loss scale, steps that overflow are the scaler's to
    skip, and only the loss is looked at; so it is with DeepSpeed, whose optimisers tell no hook of
    their steps. Where each process has a shard of the gradients (FSDP), one answer holds for all.

    Args:
        action: 'stop', or 'skip' to leave the step out, weights and running statistics as they
            were, and go on.
        limit: Steps to skip in a row before the run stops all the same.

    Raises:
        NotFinite: Naming the iteration, the loss terms and the images.
    """

    priority = 'VERY_HIGH'

    def __init__(self, action: str = 'stop', limit: int = 10) -> None:
        if action not in ACTIONS:
            raise ValueError(f'action must be one of {ACTIONS}, got {action!r}')
        if limit < 1:
            raise ValueError(f'limit must be at least 1, got {limit}')
        self.action = action
        self.limit = limit
        self.skipped = 0
        self._in_a_row = 0
        self._sharded = False
        self._seen = False  # whether the loss of this iteration was looked at
        self._terms: dict[str, Tensor] = {}
        self._buffers: list[tuple[Tensor, Tensor]] = []
        self._batch: Any = None
        self._handles: list[Any] = []
        self._undo: Callable[[], None] | None = None

    def before_train(self, runner: Runner) -> None:
        """Look on at each optimiser's steps, and at the terms of the loss."""
        wrapper = runner.optim_wrapper
        wrappers = wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]
        self._handles = [
            one.optimizer.register_step_pre_hook(
                lambda optimizer, *_, runner=runner: self._before_step(runner, optimizer))
            for one in wrappers if hasattr(one.optimizer, 'register_step_pre_hook')]
        self._sharded = isinstance(runner.model, FullyShardedDataParallel)
        model: Any = _inner(runner.model)
        parse = model.parse_losses

        def keep_terms(losses: dict) -> Any:
            total, terms = parse(losses)
            self._terms = terms
            return total, terms

        model.parse_losses = keep_terms
        self._undo = lambda: model.__dict__.pop('parse_losses', None)

    def after_train(self, runner: Runner) -> None:
        """Look away, and tell how many steps were left out."""
        for handle in self._handles:
            handle.remove()
        if self._undo is not None:
            self._undo()
        if self.skipped:
            runner.logger.warning(f'{self.skipped} steps were skipped: their losses or gradients '
                                  'were not finite')

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Keep the batch, and what its forward pass will change."""
        self._batch = data_batch
        self._seen = False
        if self.action == 'skip':
            self._buffers = [(buffer, buffer.clone()) for buffer in _inner(runner.model).buffers()]

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None,
                         outputs: Mapping[str, Any] | None = None) -> None:
        """Look at the loss where no step was made: a scaler's, or of accumulated gradients."""
        every = 50 if torch.cuda.is_available() else 1  # reading it makes a GPU wait
        if (not self._seen and self._in_a_row == 0 and batch_idx % every == 0
                and (wrong := _wrong(self._terms))):
            self._stop(runner, f'the loss is not finite: {wrong}')
        self._batch = None

    def _before_step(self, runner: Runner, optimizer: torch.optim.Optimizer) -> None:
        parameters = [p for group in optimizer.param_groups for p in group['params']
                      if p.grad is not None]
        norms = [p.grad.norm() if p.grad.is_sparse else torch.linalg.vector_norm(p.grad)
                 for p in parameters]
        self._seen = True
        finite = not norms or _all_finite(
            [torch.stack([norm.float() for norm in norms]), *_tensors(self._terms)])
        if self._sharded:
            answer = torch.tensor(int(finite), device=get_device())
            all_reduce(answer, op='min')
            finite = bool(answer)
        if finite:
            self._in_a_row = 0
            return
        wrong = _wrong(self._terms)
        what = f'the loss is not finite: {wrong}' if wrong else (
            f'the gradient is not finite, of {_named(runner, parameters, norms)}')
        self._in_a_row += 1
        if self.action == 'stop' or self._in_a_row > self.limit:
            self._stop(runner, what)
        self.skipped += 1
        for parameter in parameters:
            parameter.grad = None
        for buffer, before in self._buffers:
            buffer.copy_(before)
        runner.logger.warning(f'iteration {runner.iter + 1} skipped: {what}; images: '
                              f'{", ".join(image_files(self._batch))}')

    def _stop(self, runner: Runner, what: str) -> None:
        name = f'not_finite_epoch_{runner.epoch}_iter_{runner.iter}.pth'
        files = image_files(self._batch)
        runner.logger.error(f'Images of iteration {runner.iter + 1} (process {get_rank()}): '
                            f'{", ".join(files) or "unknown"}')
        runner.save_checkpoint(runner.work_dir, name, by_epoch=False,
                               meta=dict(epoch=runner.epoch, iter=runner.iter))
        shown = ', '.join(files[:MAX_NAMES] + ['...'] * (len(files) > MAX_NAMES))
        bad = bad_inputs(self._batch)
        pixels = f'; there are NaN or infinite pixels in {", ".join(bad)}' if bad else ''
        path = os.path.join(runner.work_dir, name)
        raise NotFinite(
            f'iteration {runner.iter + 1} (epoch {runner.epoch + 1}): {what}{pixels}; images: '
            f'{shown or "unknown"}. Lower the learning rate, clip gradients or look at these '
            f'images; the step is saved, and run again by: tresnet-mm replay {path}')


def image_files(batch: Any) -> list[str]:
    """The image files, or ids, of a batch as mmengine's collate functions make it."""
    samples = batch.get('data_samples') if isinstance(batch, Mapping) else None
    return [str(info.get('img_path') or info.get('img_id', '?'))
            for info in (getattr(sample, 'metainfo', {}) for sample in samples or ())]


def bad_inputs(batch: Any) -> list[str]:
    """The files of those images whose pixels are not finite."""
    inputs = batch.get('inputs') if isinstance(batch, Mapping) else None
    if inputs is None:
        return []
    return [file for file, image in zip(image_files(batch), inputs, strict=False)
            if isinstance(image, Tensor) and not bool(image.isfinite().all())]


def _all_finite(values: list[Tensor]) -> bool:
    """Whether all is finite, by one answer that the host waits for."""
    flags = [value.detach().isfinite().all() for value in values]
    return bool(torch.stack([flag.to(flags[0].device) for flag in flags]).all())


def _tensors(terms: Mapping[str, Any]) -> list[Tensor]:
    return [value for value in terms.values() if isinstance(value, Tensor)]


def _wrong(terms: Mapping[str, Any]) -> str:
    if all(isinstance(value, Tensor) for value in terms.values()) and (
            not terms or _all_finite(_tensors(terms))):
        return ''
    wrong = {name: f'{name} is {float(torch.as_tensor(value).detach()):g}'
             for name, value in terms.items() if not torch.as_tensor(value).isfinite().all()}
    if len(wrong) > 1:
        wrong.pop('loss', None)  # the sum of the others
    return ', '.join(wrong.values())


def _named(runner: Runner, parameters: list[nn.Parameter], norms: list[Tensor]) -> str:
    names = {id(p): name for name, p in runner.model.named_parameters()}
    wrong = [names.get(id(p), 'a parameter') for p, norm in zip(parameters, norms, strict=True)
             if not norm.isfinite()]
    shown = ', '.join(wrong[:MAX_NAMES] + ['...'] * (len(wrong) > MAX_NAMES))
    return shown or "another process's shard"


def _inner(model: nn.Module) -> nn.Module:
    return cast(nn.Module, model.module) if is_model_wrapper(model) else model
