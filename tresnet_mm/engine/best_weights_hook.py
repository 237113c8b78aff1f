"""Keeps the best weights of a run, plain or averaged, in a file that any tool loads."""

import json
import os.path as osp
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner, save_checkpoint
from mmengine.runner.checkpoint import get_state_dict, weights_to_cpu
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel

from ..whole_file import write_text
from .plain_and_ema_eval_hook import ema_key, find_ema_hook

_RECORD = 'best_weights.json'


@HOOKS.register_module()
class BestWeightsHook(Hook):
    """After each validation, keep the better of plain and averaged weights if it is the best yet.

    mmengine's ``save_best`` follows one metric and, beside ``EMAHook``, always stores the averaged
    weights as the ``state_dict``: a score of the plain weights would come with a file that does
    not reproduce it. Here the ``state_dict`` is that of the weights that reached the score, without
    optimiser state: ``best_multi-label_mAP_ema_epoch_7.pth``, its predecessor removed.
    ``best_weights.json`` beside it tells file, score, epoch, iteration and which weights;
    a resumed run goes on from there.

    Args:
        metric: Name of the metric for the plain weights; greater is better. The one for the
            averaged weights is found by `ema_key`, where it is reported.
    """

    priority = 'VERY_LOW'

    def __init__(self, metric: str = 'multi-label/mAP') -> None:
        self.metric = metric
        self.best: dict | None = None
        self._training = False

    def before_train(self, runner: Runner) -> None:
        """Start anew, or from the record of the run that is resumed."""
        if isinstance(runner.model, FullyShardedDataParallel):
            raise ValueError(
                'BestWeightsHook writes the weights of one process, and FSDPStrategy gives each a '
                f'shard: set default_hooks.checkpoint.save_best={self.metric!r} in its place')
        self._training = True
        self.best = self._read_record(runner) if runner._resume else None
        if self.best is not None and is_main_process():
            self._remove_others(Path(runner.work_dir), self.best['file'])

    def after_train(self, runner: Runner) -> None:
        """Say what was kept."""
        self._training = False
        if self.best is not None:
            runner.logger.info(
                f'Best {self.metric}: {self.best["score"]:.4f} with the {self.best["weights"]} '
                f'weights after epoch {self.best["epoch"]}, in {self.best["file"]}'
            )

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Save if a score is the best yet."""
        if not self._training:
            return
        metrics = metrics or {}
        names = {'plain': self.metric, 'ema': ema_key(self.metric)}
        scores = {weights: metrics[name] for weights, name in names.items() if name in metrics}
        if not scores:
            raise ValueError(
                f'BestWeightsHook: no metric {self.metric!r} in the validation results, which '
                f'hold {sorted(metrics)}'
            )
        weights = max(scores, key=scores.__getitem__)
        if self.best is None or scores[weights] > self.best['score']:
            self._keep(runner, weights, float(scores[weights]))

    def _keep(self, runner: Runner, weights: str, score: float) -> None:
        previous = self.best and self.best['file']
        # ``runner.epoch`` already counts the epoch just finished, the iterations likewise.
        name = f'{self._prefix}{weights}_epoch_{runner.epoch}.pth'
        self.best = dict(
            file=name, score=score, weights=weights, epoch=runner.epoch, iter=runner.iter
        )
        if not is_main_process():
            return
        folder = Path(runner.work_dir)
        meta = dict(
            cfg=runner.cfg.pretty_text,
            dataset_meta=getattr(runner.val_dataloader.dataset, 'metainfo', None),
            experiment_name=runner.experiment_name,
            epoch=runner.epoch,
            iter=runner.iter,
            best=dict(self.best, metric=self.metric),
        )
        state_dict = weights_to_cpu(get_state_dict(self._model(runner, weights)))
        save_checkpoint(dict(meta=meta, state_dict=state_dict), osp.join(runner.work_dir, name))
        write_text(folder / _RECORD, json.dumps(self.best, indent=2) + '\n')
        if runner._resume:
            self._remove_others(folder, name)
        elif previous and previous != name:  # those of another run in the folder stay
            (folder / previous).unlink(missing_ok=True)
        runner.logger.info(f'Best {self.metric} so far: {score:.4f} ({weights} weights), in {name}')

    def _remove_others(self, folder: Path, name: str) -> None:
        """Remove what a run that was killed during the exchange has left beside its best."""
        if (folder / name).is_file():
            for path in folder.glob(f'{self._prefix}*_epoch_*.pth'):
                if path.name != name:
                    path.unlink()

    @property
    def _prefix(self) -> str:
        return f'best_{self.metric.replace("/", "_")}_'

    @staticmethod
    def _read_record(runner: Runner) -> dict | None:
        """What the resumed run had kept; None, with a warning, where the record is damaged."""
        path = Path(runner.work_dir) / _RECORD
        if not path.exists():
            return None
        try:
            record = json.loads(path.read_text())
            return {key: record[key] for key in ('file', 'score', 'weights', 'epoch', 'iter')}
        except (OSError, ValueError, KeyError, TypeError) as error:
            runner.logger.warning(f'{path} cannot be read ({error}): the best weights of the '
                                  'resumed run are looked for anew')
            return None

    @staticmethod
    def _model(runner: Runner, weights: str) -> nn.Module:
        if weights == 'ema':
            hook = find_ema_hook(runner)
            assert hook is not None  # else there is no score of averaged weights
            return hook.ema_model.module
        return runner.model.module if is_model_wrapper(runner.model) else runner.model
