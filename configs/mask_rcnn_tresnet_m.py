_base_ = [
    'mmdet::_base_/models/mask-rcnn_r50_fpn.py',
    '_base_/models/tresnet_m_fpn.py',
    '_base_/datasets/coco_instance.py',
    'mmdet::_base_/schedules/schedule_1x.py',
    '_base_/default_runtime.py',
]

model = _base_.tresnet_m
