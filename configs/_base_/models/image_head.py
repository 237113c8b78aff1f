# The image-level head of joint models on COCO, and its measure.
image_head = dict(
    type='MultiLabelDenseHead',
    features='neck',
    feat_channels=64,  # 2 % of the detector's multiply-adds; the neck's 256 were 11 %
    num_classes=80,
    # summed over classes, averaged over images: of the size of the detector's losses
    loss=dict(
        type='AsymmetricLoss',
        gamma_neg=4,
        gamma_pos=0,
        clip=0.05,
        detach_weights=True,
        reduction='mean',
        loss_weight=80))
# The protocol leaves out images without annotations, which COCO's mAP needs.
image_metric = dict(type='MultiLabelMetric', skip_unlabelled=True)
