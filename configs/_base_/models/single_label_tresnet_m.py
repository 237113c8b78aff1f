# TResNet-M with a linear head and a softmax, from ImageNet-21k weights. The configs on top set the
# number of classes.
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
        type='SingleLabelHead',
        in_channels=2048,
        # Cross entropy with label smoothing; gamma_neg=4 makes it ASL's single-label loss.
        loss=dict(
            type='AsymmetricLossSingleLabel', gamma_neg=0, gamma_pos=0, label_smoothing=0.1)))
