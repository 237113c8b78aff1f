_base_ = [
    'mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py',
    '_base_/models/tresnet_m_fpn.py',
    '_base_/datasets/checked_coco.py',
]
custom_imports = dict(imports=['tresnet_mm'], allow_failed_imports=False)

model = _base_.tresnet_m
model.backbone.out_indices = (1, 2, 3)
model.neck.in_channels = [128, 1024, 2048]

data_root = _base_.coco_root
train_dataloader = val_dataloader = test_dataloader = _base_.coco_loader
val_evaluator = test_evaluator = _base_.coco_evaluator
