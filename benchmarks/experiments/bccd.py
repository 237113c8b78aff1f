"""FCOS, RetinaNet and ATSS on blood cells, with a small TResNet and with a small ResNet.

The two backbones have equal multiply-adds; neck, width of the heads, schedule, augmentation and
seeds are the same for all. Tested once, after the last epoch.

Examples:
    python -m benchmarks.experiments.bccd --data path/to/BCCD_Dataset/BCCD
    python -m benchmarks.experiments.bccd --table
"""
from __future__ import annotations

from .backbone_comparison import BackboneComparison

COMPARISON = BackboneComparison(
    'bccd', 'detector', {'fcos': 'FCOS', 'retinanet': 'RetinaNet', 'atss': 'ATSS'},
    {'mAP': ('coco/bbox_mAP', 100), 'at IoU 0.5': ('coco/bbox_mAP_50', 100),
     'at IoU 0.75': ('coco/bbox_mAP_75', 100)},
    size=(192, 256), epochs=12)

if __name__ == '__main__':
    COMPARISON.main(__doc__)
