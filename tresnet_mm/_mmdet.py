"""The names of mmdet that mean a class of ours once this package is imported.

A config of mmdet's (one whose backbone was swapped, one that a user has) says ``CocoDataset``,
``CocoMetric``, ``LoadImageFromFile``. If it got mmdet's own classes, a misspelt class would shift
the labels, a file with its categories in another order would halve the mAP, and a photograph with
an EXIF tag would have its boxes beside its objects, all without a word, while the same file is
refused or read rightly under our names. So these names, in mmdet's registries, are given to our
sub-classes of the same arguments. On sound files they give the same records, pixels and numbers.

mmdet's classes stay what they are: who imports them, or gives them to a pure-Python config as
classes, gets them. Other names (``CocoPanopticDataset``, ``LVISMetric``, ...) are not touched.

``PackDetInputs`` is among them for its speed alone.
"""

from mmdet.registry import DATASETS, METRICS, TRANSFORMS

from .datasets import CheckedCocoDataset
from .datasets.load_image_checked import LoadImageFromFileChecked
from .datasets.pack_det_inputs import FastPackDetInputs
from .evaluation.coco_metric import CheckedCocoMetric, CheckedFasterCocoMetric


def give_names() -> None:
    """Put our classes into mmdet's registries under the names that mmdet's configs use."""
    DATASETS.register_module('CocoDataset', force=True, module=CheckedCocoDataset)
    METRICS.register_module('CocoMetric', force=True, module=CheckedCocoMetric)
    METRICS.register_module('FasterCocoMetric', force=True, module=CheckedFasterCocoMetric)
    # mmdet has no loader of this name: it would be mmcv's, from the registry above mmdet's.
    TRANSFORMS.register_module('LoadImageFromFile', force=True, module=LoadImageFromFileChecked)
    TRANSFORMS.register_module('PackDetInputs', force=True, module=FastPackDetInputs)
