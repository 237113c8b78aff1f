"""The multi-label datasets in a pipeline of mmpretrain's."""

from mmcv.transforms import BaseTransform
from mmengine.registry import TRANSFORMS

from .pack_multilabel_inputs import label_vector


@TRANSFORMS.register_module()
class LabelsToScores(BaseTransform):
    """Hand an image's labels to mmpretrain's ``PackInputs``, which follows it in the pipeline.

    Required keys: ``gt_labels`` (class indices) and ``num_classes``. Optional: ``unknown_labels``
    (class indices).

    Adds ``gt_score``, a float tensor (num_classes,): 1 present, 0 absent, -1 unknown. Of unknown
    labels the losses and metrics of this package know, not mmpretrain's own.
    """

    def transform(self, results: dict) -> dict:
        """Add ``gt_score``."""
        results['gt_score'] = label_vector(results)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
