# Oxford Flowers 102, from ImageNet-21k weights.
_base_ = [
    './_base_/models/single_label_tresnet_m.py',
    './_base_/datasets/flowers102_224.py',
    './_base_/schedules/single_label_onecycle_40e.py',
    './_base_/multilabel_runtime.py',
]

model = dict(head=dict(num_classes=102))
