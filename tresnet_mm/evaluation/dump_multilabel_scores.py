"""Write the scores and targets of an evaluation to a file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log
from mmengine.registry import METRICS

from .multilabel_metric import MMPRETRAIN_NAMES, MultiLabelMetric, class_names, stack_results
from .sample_field import field_classes, labelled


@METRICS.register_module()
class DumpMultiLabelScores(MultiLabelMetric):
    """Collect as `MultiLabelMetric` does, and write instead of measuring.

    The ``.npz`` holds ``scores`` (N, C) float32, ``targets`` (N, C) int8 of 1, 0 and -1,
    ``classes`` (C,) and ``images`` (N,) strings, in the order of the dataset, and ``head``, the
    ``field``, or ''. Of a single-label model, whose samples have ``gt_label``, the targets are 1
    for that class alone; ``one_label`` is True where the model predicts one an image.

    Args:
        out_file: Path that ends with ``.npz``; its folder is made.
        field: As in `MultiLabelMetric`.
        collect_device: See ``BaseMetric``.
        collect_dir: See ``BaseMetric``.

    Raises:
        ValueError: If the file is no ``.npz``.
    """

    default_prefix = 'scores'

    def __init__(self, out_file: str, collect_device: str = 'cpu',
                 collect_dir: str | None = None, field: str | None = None) -> None:
        super().__init__(collect_device=collect_device, collect_dir=collect_dir, field=field)
        self.one_label = False
        self.out_file = Path(out_file)
        if self.out_file.suffix != '.npz':
            raise ValueError(f'scores are written to an .npz file, got {str(out_file)!r}')

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Store ``pred_scores`` and the targets of a batch; raises as `MultiLabelMetric`."""
        super().process(data_batch, [_with_targets(sample) for sample in data_samples])
        self.one_label |= any('pred_label' in (sample if self.field is None else sample[self.field])
                              for sample in data_samples)

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Write the file; there is nothing to report."""
        scores, targets, images = stack_results(labelled(results, self.field))
        classes = class_names(field_classes(self.dataset_meta, self.field), scores.shape[1])
        self.out_file.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(self.out_file, scores=scores, targets=targets,
                            classes=np.array(classes), images=np.array(images),
                            head=np.array(self.field or ''), one_label=np.array(self.one_label))
        print_log(f'Scores of {len(scores)} images written to {self.out_file}', logger='current')
        return {}


def head_file(path: str | Path, head: str | None) -> Path:
    """The file that stands beside another for a named image head: ``x.npz`` is ``x.HEAD.npz``.

    Args:
        path: The file that is named on the command line.
        head: The name; None gives the path itself.
    """
    path = Path(path)
    return path if head is None else path.with_name(f'{path.stem}.{head}{path.suffix}')


def _with_targets(sample: dict) -> dict:
    """A sample with ``gt_labels`` (C,), where it has the index of one class instead."""
    if 'gt_label' not in sample or 'pred_scores' not in sample or any(
            name in sample for name in ('gt_labels', MMPRETRAIN_NAMES['gt_labels'])):
        return sample
    count, label = len(sample['pred_scores']), int(sample['gt_label'])
    if not 0 <= label < count:
        raise ValueError(f'{sample.get("img_path", "an image")} has the label {label}, and {count} '
                         'pred_scores; model and dataset differ in classes')
    return {**sample, 'gt_labels': (np.arange(count) == label).astype(np.int8)}
