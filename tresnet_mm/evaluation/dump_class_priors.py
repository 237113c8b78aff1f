"""Write a model's mean scores, which serve as class priors."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmengine.registry import METRICS

from ..class_values import save_class_values
from .multilabel_metric import class_names


@METRICS.register_module()
class DumpClassPriors(BaseMetric):
    """Write the mean of each class's scores for `PartialAsymmetricLoss`; measure nothing.

    Keeps sums alone, so that it goes over any number of images and classes. (What a distributed
    sampler repeats to even out the processes counts twice: fewer images than processes.)

    Args:
        out_file: The ``.json``, as ``tresnet-mm class-priors`` writes it from saved scores.
        collect_device: See ``BaseMetric``.
        collect_dir: See ``BaseMetric``.

    Raises:
        ValueError: If the file is no ``.json``.
    """

    default_prefix = 'priors'

    def __init__(self, out_file: str, collect_device: str = 'cpu',
                 collect_dir: str | None = None) -> None:
        super().__init__(collect_device=collect_device, collect_dir=collect_dir)
        if not str(out_file).endswith('.json'):
            raise ValueError(f'class priors are written to a .json file, got {str(out_file)!r}')
        self.out_file = out_file

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Add up the scores of a batch; ``pred_scores`` (C,), probabilities."""
        scores = np.stack([sample['pred_scores'].cpu().numpy() for sample in data_samples])
        total, count = self.results.pop() if self.results else (0, 0)
        self.results.append((total + scores.sum(0, dtype=np.float64), count + len(scores)))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Write the file; there is nothing to report."""
        count = sum(count for _, count in results)
        priors = sum(total for total, _ in results) / count
        save_class_values(self.out_file, 'priors', priors,
                          class_names(self.dataset_meta, len(priors)), images=count)
        print_log(f'Class priors, means over {count} images, written to {self.out_file}',
                  logger='current')
        return {}
