_base_ = [
    'mmdet::atss/atss_r50_fpn_1x_coco.py',
    '_base_/models/tresnet_m_fpn.py',
    '_base_/datasets/checked_coco.py',
    'mmdet::retinanet/retinanet_tta.py',
]
custom_imports = dict(imports=['tresnet_mm'], allow_failed_imports=False)

model = _base_.tresnet_m

data_root = _base_.coco_root
train_dataloader = val_dataloader = test_dataloader = _base_.coco_loader
val_evaluator = test_evaluator = _base_.coco_evaluator
