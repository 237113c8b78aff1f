# ML-Decoder, arXiv 2111.12933: 84.2 mAP on COCO 2014.
_base_ = [
    './_base_/models/multilabel_tresnet_m_mldecoder.py',
    './_base_/datasets/coco_multilabel_224.py',
    './_base_/schedules/multilabel_onecycle_40e.py',
    './_base_/multilabel_runtime.py',
]
