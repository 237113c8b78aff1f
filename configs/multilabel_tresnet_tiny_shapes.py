# The multi-label demo: labels of synthetic shapes, from scratch in minutes, so with a backbone cut
# down from TResNet-M. The full-size one: `tools/demo_multilabel.py --arch m`, or with this file
# --cfg-options model.backbone.arch=m
_base_ = [
    '_base_/models/multilabel_tresnet_tiny.py',
    '_base_/datasets/shapes_multilabel.py',
    '_base_/schedules/shapes_multilabel_onecycle.py',
    '_base_/multilabel_runtime.py',
]

randomness = dict(seed=0)
default_hooks = dict(
    logger=dict(interval=20), checkpoint=dict(max_keep_ckpts=1), visualization=dict(draw=False))
