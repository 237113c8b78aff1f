_base_ = [
    'mmdet::_base_/models/cascade-rcnn_r50_fpn.py',
    '_base_/datasets/coco_detection.py',
    'mmdet::_base_/schedules/schedule_1x.py',
    'mmdet::retinanet/retinanet_tta.py',
    '_base_/default_runtime.py',
]

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
