# Boxes and image-level labels from one TResNet-M: RTMDet and a linear head. The labels are those of
# the boxes that mosaic and mix-up left in an image.
_base_ = 'rtmdet_tresnet_m.py'

model = dict(
    _delete_=True,
    type='MultiTaskDetector',
    detector=_base_.model,
    image_head=dict(
        type='MultiLabelLinearHead',
        num_classes=80,
        # summed over classes, averaged over images: of the size of the detector's losses
        loss=dict(
            type='AsymmetricLoss',
            gamma_neg=4,
            gamma_pos=0,
            clip=0.05,
            detach_weights=True,
            reduction='mean',
            loss_weight=80)),
    image_loss_weight=0.5)
tta_model = dict(type='MultiTaskTTAModel')

# The protocol leaves out images without annotations, which COCO's mAP needs.
image_metric = dict(type='MultiLabelMetric', skip_unlabelled=True)
val_evaluator = [_base_.val_evaluator, image_metric]
test_evaluator = val_evaluator
visualizer = dict(type='MultiLabelVisualizer')  # draws the boxes, too
