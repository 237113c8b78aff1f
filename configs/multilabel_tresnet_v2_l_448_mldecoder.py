# ML-Decoder, arXiv 2111.12933: 90.0 mAP on COCO 2014. Its "TResNet-L" is the V2 network.
_base_ = [
    './_base_/models/multilabel_tresnet_m_mldecoder.py',
    './_base_/datasets/coco_multilabel_448.py',
    './_base_/schedules/multilabel_onecycle_40e.py',
    './_base_/multilabel_runtime.py',
]

model = dict(backbone=dict(arch='v2_l', init_cfg=dict(checkpoint='tresnet://v2_l_in21k')))
