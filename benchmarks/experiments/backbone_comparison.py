"""Some models, each with the small TResNet and with a small ResNet of equal multiply-adds."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..markdown_table import markdown_table
from .command import experiment
from .small_backbones import BACKBONES, NAMES, check_equal, costs, use_backbone
from .small_sets import classes_of
from .trainings import Trainings, load_config, mean_and_spread, seeds_of


@dataclass(frozen=True)
class BackboneComparison:
    """Neck, heads, schedule, augmentation and seeds are the same for both backbones."""

    name: str
    """Of the module, and of the file of results."""
    title: str
    """Of the column of models."""
    models: Mapping[str, str]
    """Config to name in the table."""
    metrics: Mapping[str, tuple[str, int]]
    """Column to a metric and what makes percent of it."""
    size: tuple[int, int]
    """(height, width) of the images in pixels, for which multiply-adds are counted."""
    epochs: int

    def contenders(self, data: Path, epochs: int | None = None) -> dict[str, Config]:
        """A config of every model with every backbone."""
        configs = {}
        for model in self.models:
            for backbone in BACKBONES:
                cfg = load_config(model, data, classes_of(data), epochs or self.epochs)
                use_backbone(cfg, backbone)
                configs[f'{model}_{backbone}'] = cfg
        return configs

    def trainings(self, data: Path, seeds: Sequence[int]) -> Trainings:
        """All runs of the experiment."""
        found = costs(*self.size)
        check_equal(found)
        facts = dict(long_side=max(self.size), epochs=self.epochs, backbones=found)
        return Trainings(self.name, self.contenders(data), seeds, facts=facts)

    def table(self, runs: Sequence[Mapping[str, Any]]) -> str:
        """Means and standard deviations over the seeds, in percent."""
        return markdown_table([
            {self.title: name, 'backbone': NAMES[backbone], **{
                column: mean_and_spread(runs, f'{model}_{backbone}', metric, scale)
                for column, (metric, scale) in self.metrics.items()},
             'seeds': seeds_of(runs, f'{model}_{backbone}')}
            for model, name in self.models.items() for backbone in BACKBONES])

    def main(self, doc: str | None) -> None:
        """The experiment's command."""
        experiment(self.name, doc, self.trainings, self.table, max(self.size))
