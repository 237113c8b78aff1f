# The small FCOS with a linear image-level head on the mean of the backbone's last map.
_base_ = './fcos.py'

model = dict(
    _delete_=True,
    type='MultiTaskDetector',
    detector=_base_.model,
    image_head=dict(
        type='MultiLabelLinearHead',
        num_classes=6,
        # summed over classes, averaged over images: of the size of the detector's losses
        loss=dict(
            type='AsymmetricLoss',
            gamma_neg=4,
            gamma_pos=0,
            clip=0.05,
            detach_weights=True,
            reduction='mean',
            loss_weight=6)),
    image_loss_weight=0.1)
test_evaluator = [_base_.test_evaluator, dict(type='MultiLabelMetric')]
