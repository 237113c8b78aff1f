"""What the checks look at: a config, its data and a checkpoint, each read once and when needed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

from mmengine.config import Config
from torch import nn

from ..config_tree import metric_parts
from .checkpoint_facts import CheckpointFacts
from .dataset_facts import DatasetFacts, DatasetReader
from .loader_facts import LoaderFacts, process_count
from .model_facts import HeadFacts, build_model, heads

Task = Literal['train', 'test']


class Subject:
    """A run that is to be checked.

    Args:
        cfg: The config, as the runner would get it.
        checkpoint: Path or name of a checkpoint; None takes the config's ``load_from``, or, with
            ``resume``, the latest of its ``work_dir``.
        task: 'train' or 'test'.
        keep: Hold the annotation files that are read for the data sets of the run.
    """

    def __init__(self, cfg: Config, checkpoint: str | None = None, task: Task = 'train',
                 keep: bool = False) -> None:
        if task not in ('train', 'test'):
            raise ValueError(f"task must be 'train' or 'test', got {task!r}")
        self.cfg = cfg
        self.task = task
        self.resume = task == 'train' and bool(cfg.get('resume'))
        self.checkpoint = CheckpointFacts.of_run(cfg, checkpoint, self.resume)
        self.reader = DatasetReader(cfg, keep)
        self._loaders: dict[str, LoaderFacts | None] = {}

    @property
    def model(self) -> Mapping[str, Any]:
        """The model's config."""
        return self.cfg.get('model') or {}

    @cached_property
    def heads(self) -> list[HeadFacts]:
        """The heads that tell classes apart."""
        return list(heads(self.model))

    @cached_property
    def built(self) -> nn.Module | Exception:
        """The model, or why it cannot be built."""
        try:
            return build_model(self.model)
        except Exception as error:  # noqa: BLE001 - any model, with errors of its own
            return error

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that the task reads, the one that matters first."""
        return ('train', 'val') if self.task == 'train' else ('test',)

    def loader(self, split: str) -> LoaderFacts | None:
        """The loader of a split; None where the config has none."""
        key = f'{split}_dataloader'
        if key not in self._loaders:
            cfg = self.cfg.get(key)
            self._loaders[key] = None if not isinstance(cfg, Mapping) else LoaderFacts(
                key, cfg, self.reader.facts(cfg, key), process_count(self.cfg.get('launcher')))
        return self._loaders[key]

    @property
    def loaders(self) -> list[LoaderFacts]:
        """The loaders that the task reads."""
        return [loader for split in self.splits if (loader := self.loader(split)) is not None]

    @property
    def datasets(self) -> list[DatasetFacts]:
        """Their innermost datasets."""
        return [dataset for loader in self.loaders for dataset in loader.datasets]

    def metrics(self, split: str) -> list[tuple[str, Mapping[str, Any]]]:
        """The metrics of a split with their dotted keys."""
        return list(metric_parts(self.cfg.get(f'{split}_evaluator'), f'{split}_evaluator'))
