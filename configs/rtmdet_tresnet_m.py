# RTMDet-m's settings. Its neck is as wide as the stages it reads: on TResNet's (128, 1024 and 2048
# channels) it would have 62 M parameters, more than twice the backbone's. So 1x1 convolutions come
# first; with 384 channels both have 11 M, as RTMDet-m's neck has.
_base_ = [
    'mmdet::rtmdet/rtmdet_m_8xb32-300e_coco.py',
    '_base_/models/tresnet_m_fpn.py',
    '_base_/datasets/checked_coco.py',
]
custom_imports = dict(imports=['tresnet_mm'], allow_failed_imports=False)

model = _base_.tresnet_m
model.backbone.out_indices = (1, 2, 3)
model.neck = [
    dict(
        type='ChannelMapper',
        in_channels=[128, 1024, 2048],
        out_channels=384,
        kernel_size=1,
        norm_cfg=dict(type='SyncBN'),
        act_cfg=dict(type='SiLU', inplace=True)),
    dict(
        type='CSPNeXtPAFPN',
        in_channels=[384, 384, 384],
        out_channels=192,
        num_csp_blocks=2,
        expand_ratio=0.5,
        norm_cfg=dict(type='SyncBN'),
        act_cfg=dict(type='SiLU', inplace=True)),
]

data_root = _base_.coco_root
train_dataloader = val_dataloader = test_dataloader = _base_.coco_loader
val_evaluator = test_evaluator = _base_.coco_evaluator
