_base_ = [
    'mmdet::gfl/gfl_r50_fpn_1x_coco.py',
    'mmdet::retinanet/retinanet_tta.py',
]
custom_imports = dict(imports=['tresnet_mm'], allow_failed_imports=False)

model = dict(
    data_preprocessor=dict(mean=[0, 0, 0], std=[255, 255, 255], bgr_to_rgb=True),
    backbone=dict(
        _delete_=True,
        type='TResNet',
        arch='m',
        frozen_stages=1,
        norm_eval=True,
        init_cfg=dict(type='Pretrained', checkpoint='tresnet://m_in21k_ft_in1k')),
    neck=dict(in_channels=[64, 128, 1024, 2048]))

data_root = '{{$COCO_ROOT:data/coco/}}'.rstrip('/') + '/'
train_dataloader = dict(dataset=dict(type='CheckedCocoDataset', data_root=data_root))
val_dataloader = dict(dataset=dict(type='CheckedCocoDataset', data_root=data_root))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'annotations/instances_val2017.json')
test_evaluator = val_evaluator
