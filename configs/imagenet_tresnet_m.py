# Evaluation of the published weights: `tresnet-mm test imagenet_tresnet_m tresnet://m_in1k`.
# Published with them: 80.8 top-1. Training starts from ImageNet-21k weights and is not the paper's
# recipe.
_base_ = [
    './_base_/models/single_label_tresnet_m.py',
    './_base_/datasets/imagenet_224.py',
    './_base_/schedules/single_label_onecycle_40e.py',
    './_base_/multilabel_runtime.py',
]

model = dict(head=dict(num_classes=1000))
