"""Playing cards: a detector, a classifier and both in one, with a small TResNet or ResNet.

The backbones have equal multiply-adds; schedule, augmentation and seeds are the same for all ten.
The joint model is the detector with an image-level head on its neck, or with the classifier's on
its backbone. Tested once, after the last epoch.

Examples:
    python -m benchmarks.experiments.cards --data path/to/images
    python -m benchmarks.experiments.cards --table
"""
from __future__ import annotations

from .backbone_comparison import BackboneComparison

COMPARISON = BackboneComparison(
    'cards', 'model', {
        'fcos': 'detector', 'classifier': 'classifier',
        'joint_linear': 'joint model, linear head on the backbone', 'joint': 'joint model',
        'joint_detached': 'joint model, features detached'},
    {'box mAP': ('coco/bbox_mAP', 100), 'at IoU 0.5': ('coco/bbox_mAP_50', 100),
     'label mAP': ('multi-label/mAP', 1), 'by its boxes': ('labels/boxes', 1),
     'mean of both': ('labels/mean', 1)},
    size=(192, 192), epochs=10)

if __name__ == '__main__':
    COMPARISON.main(__doc__)
