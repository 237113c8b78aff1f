# The classifier of small images: TResNet-M's kinds of blocks, one a stage and half as wide.
model = dict(
    type='MultiLabelClassifier',
    backbone=dict(
        type='TResNet',
        arch=dict(
            depths=(1, 1, 1, 1),
            width=0.5,
            blocks=('basic', 'basic', 'bottleneck', 'bottleneck')),
        out_indices=(3,)),
    head=dict(
        type='MultiLabelLinearHead',
        num_classes=6,
        loss=dict(
            type='AsymmetricLoss', gamma_neg=4, gamma_pos=0, clip=0.05, detach_weights=True)))
