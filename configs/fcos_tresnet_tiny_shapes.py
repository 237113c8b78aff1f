# The demo: FCOS trained from scratch on synthetic shapes in minutes, so with a backbone cut down
# from TResNet-M. The full-size one: `tools/demo.py --arch m`, or with this file
# --cfg-options model.backbone.arch=m model.neck.in_channels="[64,128,1024,2048]"
_base_ = [
    '_base_/models/fcos_tresnet_tiny.py',
    '_base_/datasets/shapes_detection.py',
    '_base_/schedules/shapes_onecycle.py',
    '_base_/default_runtime.py',
]

randomness = dict(seed=0)
default_hooks = dict(logger=dict(interval=25), checkpoint=dict(max_keep_ckpts=1))
