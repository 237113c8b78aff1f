# Class-aware selective loss, arXiv 2110.10955: of most labels nobody knows whether they are there.
_base_ = [
    './_base_/models/multilabel_tresnet_m.py',
    './_base_/datasets/openimages_multilabel_224.py',
    './_base_/schedules/multilabel_onecycle_40e.py',
    './_base_/multilabel_runtime.py',
]

model = dict(
    head=dict(
        num_classes=9605,
        # Without class priors only the likeliest labels of a batch are spared. Once a first model,
        # trained with mode='ignore', has scored training images: class_priors='priors.json', as
        # tresnet-mm class-priors writes it.
        loss=dict(_delete_=True, type='PartialAsymmetricLoss', mode='selective')))
