# TResNet-M with a linear head on pooled features, 80 classes, from ImageNet-21k weights.
model = dict(
    type='MultiLabelClassifier',
    data_preprocessor=dict(
        type='ImgDataPreprocessor', mean=[0, 0, 0], std=[255, 255, 255], bgr_to_rgb=True),
    backbone=dict(
        type='TResNet',
        arch='m',
        out_indices=(3,),
        init_cfg=dict(type='Pretrained', checkpoint='tresnet://m_in21k')),
    head=dict(
        type='MultiLabelLinearHead',
        num_classes=80,
        in_channels=2048,
        # The values of ASL's training script, not the class defaults of its repository.
        loss=dict(
            type='AsymmetricLoss', gamma_neg=4, gamma_pos=0, clip=0.05, detach_weights=True)))
