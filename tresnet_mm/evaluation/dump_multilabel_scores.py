"""Write the scores and targets of an evaluation to a file."""

from pathlib import Path

import numpy as np
from mmengine.logging import print_log
from mmengine.registry import METRICS

from .multilabel_metric import MultiLabelMetric, class_names, stack_results
from .sample_field import field_classes, labelled


@METRICS.register_module()
class DumpMultiLabelScores(MultiLabelMetric):
    """Collect as `MultiLabelMetric` does, and write instead of measuring.

    The ``.npz`` holds ``scores`` (N, C) float32, ``targets`` (N, C) int8 of 1, 0 and -1,
    ``classes`` (C,) and ``images`` (N,) strings, in the order of the dataset.

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
        self.out_file = Path(out_file)
        if self.out_file.suffix != '.npz':
            raise ValueError(f'scores are written to an .npz file, got {str(out_file)!r}')

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Write the file; there is nothing to report."""
        scores, targets, images = stack_results(labelled(results))
        classes = class_names(field_classes(self.dataset_meta, self.field), scores.shape[1])
        self.out_file.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(self.out_file, scores=scores, targets=targets,
                            classes=np.array(classes), images=np.array(images))
        print_log(f'Scores of {len(scores)} images written to {self.out_file}', logger='current')
        return {}
