# ASL, arXiv 2009.14119, on NUS-WIDE.
_base_ = [
    './_base_/models/multilabel_tresnet_m.py',
    './_base_/datasets/nuswide_multilabel_448.py',
    './_base_/schedules/multilabel_onecycle_40e.py',
    './_base_/multilabel_runtime.py',
]

model = dict(
    backbone=dict(arch='l', init_cfg=dict(checkpoint='tresnet://l_in1k_448')),
    head=dict(in_channels=2432, num_classes=81))
