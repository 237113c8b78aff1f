"""A score whose best epoch is the second of three, whatever the machine's rounding."""

from mmengine.evaluator import BaseMetric
from mmengine.logging import MessageHub
from mmengine.registry import METRICS


@METRICS.register_module()
class RisingScore(BaseMetric):
    """By the epoch, and by a little the sum of what the model predicts.

    Args:
        iterations: Of an epoch.
    """

    default_prefix = 'rising'

    def __init__(self, iterations: int) -> None:
        super().__init__()
        self.iterations = iterations

    def process(self, data_batch, data_samples):
        for sample in data_samples:
            scores = sample['pred_scores'] if 'pred_scores' in sample else (
                sample['pred_instances']['scores'])
            self.results.append(float(scores.sum()))

    def compute_metrics(self, results):
        # Counted from 0 within training, and from 1 where a resumed run validates first.
        epoch = (MessageHub.get_current_instance().get_info('iter') + 1) // self.iterations
        return dict(score={1: 1e6, 2: 3e6}.get(epoch, 2e6) + sum(results))
