# What the detectors share: TResNet-M with an FPN in the place of ResNet-50, and its input. mmengine
# merges no two bases that set one key, so a config takes this by its name: model = _base_.tresnet_m
tresnet_m = dict(
    data_preprocessor=dict(mean=[0, 0, 0], std=[255, 255, 255], bgr_to_rgb=True),
    backbone=dict(
        _delete_=True,
        type='TResNet',
        arch='m',
        frozen_stages=1,
        norm_eval=True,
        init_cfg=dict(type='Pretrained', checkpoint='tresnet://m_in21k_ft_in1k')),
    neck=dict(in_channels=[64, 128, 1024, 2048]))
