# Class-aware selective loss, arXiv 2110.10955, on the verified labels of Open Images.
_base_ = [
    './_base_/models/multilabel_tresnet_m.py',
    './_base_/datasets/openimages_multilabel_224.py',
    './_base_/schedules/multilabel_onecycle_40e.py',
    './_base_/multilabel_runtime.py',
]

model = dict(
    head=dict(
        num_classes=9605,  # as many as classes-trainable.txt lists, which differs by version
        bottleneck_channels=512,
        loss=dict(_delete_=True, type='PartialAsymmetricLoss', mode='selective')))
# Priors from the verified labels, or by file=... from those of a first model (docs/multilabel.md).
custom_hooks = [*_base_.custom_hooks, dict(type='ClassPriorsHook')]
