"""Trains a list of configs, each in a process of its own, and keeps what comes out.

Every run's result is written at once, and a run that has one is not trained again. The processes
are forked from one that has the libraries imported, so short trainings do not pay for imports.
"""
from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from copy import deepcopy
from pathlib import Path
from typing import Any

from mmengine.config import Config

from tresnet_mm.commands.runs import SPEED, RunError

from ..record import environment

RESULTS = Path(__file__).resolve().parents[1] / 'results'
CONFIGS = Path(__file__).parent / 'configs'


def load_config(name: str, data: Path, classes: Sequence[str], epochs: int) -> Config:
    """A config of `CONFIGS` for a data set of `small_sets` and a number of epochs."""
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        loader.dataset.data_root = f'{data}/'
        loader.dataset.metainfo = dict(classes=tuple(classes))
    evaluators = cfg.test_evaluator
    for evaluator in evaluators if isinstance(evaluators, list) else [evaluators]:
        if 'ann_file' in evaluator:
            evaluator.ann_file = f'{data}/annotations/instances_test.json'
    for part in (cfg.model, cfg.model.get('detector', {})):
        for head in ('bbox_head', 'image_head', 'head'):
            if head in part:
                part[head].num_classes = len(classes)
    cfg.train_cfg.max_epochs = epochs
    cfg.param_scheduler[0].total_steps = epochs
    return cfg


class Trainings:
    """The runs of one experiment and the file that holds their results.

    Args:
        name: Of the experiment; ``<name>.json`` is the file of results.
        configs: A config for each contender.
        seeds: Every contender is trained once with each.
        folder: Where the file of results lies.
        facts: What else the file says about the experiment.
    """

    def __init__(self, name: str, configs: Mapping[str, Config], seeds: Sequence[int],
                 folder: Path = RESULTS, facts: Mapping[str, Any] | None = None) -> None:
        self.name, self.configs, self.seeds = name, configs, seeds
        self.file = folder / f'{name}.json'
        self.facts = dict(facts or {})

    def run(self, jobs: int = 1) -> list[dict[str, Any]]:
        """Train what has no result yet, ``jobs`` at a time; the runs of all contenders.

        Results that a contender had by another config or on other annotations are not kept beside
        the new ones, with which they would be averaged.

        Raises:
            RunError: A training failed, or contenders were trained for unequal iterations.
        """
        wanted = [dict(contender=contender, seed=seed, config=fingerprint(cfg),
                       data=data_fingerprint(cfg))
                  for seed in self.seeds for contender, cfg in self.configs.items()]
        now = {self._settings(run) for run in wanted}
        kept = {self._key(run): run for run in read_runs(self.file)
                if self._settings(run) in now or run['contender'] not in self.configs}
        missing = [run for run in wanted if self._key(run) not in kept]
        for run, result in self._train(missing, jobs):
            kept[self._key(run)] = run | result
            print(f'{self.name}: {run["contender"]}, seed {run["seed"]}: '
                  f'{result["seconds"]:.0f} s, {result["metrics"]}', flush=True)
            self._write(list(kept.values()))
        runs = [kept[self._key(run)] for run in wanted]
        check_equal_budgets(runs)
        return runs

    @staticmethod
    def _settings(run: Mapping[str, Any]) -> tuple[str, str, str]:
        return run['contender'], run['config'], run['data']

    @classmethod
    def _key(cls, run: Mapping[str, Any]) -> tuple[Any, ...]:
        return run['seed'], cls._settings(run)

    def _train(self, runs: Sequence[dict], jobs: int) -> Iterator[tuple[dict, dict]]:
        if not runs:
            return
        os.environ.update({**SPEED, 'OMP_NUM_THREADS': '1', 'OMP_WAIT_POLICY': 'PASSIVE',
                           **os.environ})
        context = multiprocessing.get_context('forkserver')
        context.set_forkserver_preload([__name__, 'tresnet_mm', 'mmdet.models'])
        with context.Pool(jobs, maxtasksperchild=1) as pool:
            jobs_given = []
            for run in runs:
                cfg = deepcopy(self.configs[run['contender']])
                cfg.randomness = dict(seed=run['seed'])
                cfg.work_dir = f'work_dirs/experiments/{self.name}/{run["contender"]}_{run["seed"]}'
                jobs_given.append((run, pool.apply_async(train_and_test, (cfg.to_dict(), ))))
            for run, job in jobs_given:
                try:
                    yield run, job.get()
                except Exception as error:
                    raise RunError(f'{self.name}: {run["contender"]}, seed {run["seed"]}: '
                                   f'{type(error).__name__}: {error}') from error

    def _write(self, runs: list[dict[str, Any]]) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        new = self.file.with_suffix('.part')
        new.write_text(json.dumps(dict(name=self.name, environment=environment(), **self.facts,
                                       runs=runs), indent=1) + '\n')
        new.replace(self.file)


def train_and_test(settings: dict[str, Any]) -> dict[str, Any]:
    """Train a config and test what it is after the last epoch, in this process.

    Args:
        settings: The config's values.

    Returns:
        ``metrics`` of the test part, ``iterations``, ``images`` seen in training, ``parameters``,
        and the wall-clock ``seconds`` of the training alone.
    """
    import torch
    from mmengine.runner import Runner
    from mmengine.utils import import_modules_from_strings
    torch.set_num_threads(1)
    import_modules_from_strings(**settings['custom_imports'])
    with open(os.devnull, 'w') as nowhere, redirect_stdout(nowhere):  # pycocotools prints
        runner = Runner.from_cfg(Config(settings))
        start = time.perf_counter()
        runner.train()
        seconds = time.perf_counter() - start
        metrics = {key: round(float(value), 4) for key, value in runner.test().items()}
    return dict(metrics=metrics, iterations=runner.iter,
                images=runner.iter * settings['train_dataloader']['batch_size'],
                parameters=sum(p.numel() for p in runner.model.parameters()),
                seconds=round(seconds, 1), load=round(os.getloadavg()[0], 2))


def fingerprint(cfg: Config) -> str:
    """Eight letters that change with the config; where its data lies does not count."""
    def without_places(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: without_places(v) for k, v in value.items()
                    if k not in ('data_root', 'ann_file')}
        return [without_places(v) for v in value] if isinstance(value, list | tuple) else value

    text = json.dumps(without_places(cfg.to_dict()), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def data_fingerprint(cfg: Config) -> str:
    """Eight letters that change with the annotations of the training and the test part."""
    files = [Path(loader.dataset.data_root) / loader.dataset.ann_file
             for loader in (cfg.train_dataloader, cfg.test_dataloader)]
    return hashlib.sha256(b''.join(file.read_bytes() for file in files)).hexdigest()[:8]


def read_runs(file: Path) -> list[dict[str, Any]]:
    """The runs of a file of results; none where there is no file."""
    return json.loads(file.read_text())['runs'] if file.is_file() else []


def check_equal_budgets(runs: Sequence[Mapping[str, Any]]) -> None:
    """RunError unless all runs were trained for the same number of iterations."""
    budgets = {run['iterations'] for run in runs}
    if len(budgets) > 1:
        raise RunError(f'trained for unequal iterations: {sorted(budgets)}')


def mean_and_spread(runs: Sequence[Mapping[str, Any]], contender: str, metric: str,
                    scale: float = 1.0, digits: int = 1) -> str:
    """Mean and standard deviation of a metric over a contender's seeds, or '-' without runs."""
    values = [scale * run['metrics'][metric] for run in runs
              if run['contender'] == contender and metric in run['metrics']]
    if not values:
        return '-'
    spread = f' ± {statistics.stdev(values):.{digits}f}' if len(values) > 1 else ''
    return f'{statistics.mean(values):.{digits}f}{spread}'


def seeds_of(runs: Sequence[Mapping[str, Any]], contender: str) -> str:
    """With which seeds a contender was trained."""
    return ', '.join(str(run['seed']) for run in runs if run['contender'] == contender) or '-'
