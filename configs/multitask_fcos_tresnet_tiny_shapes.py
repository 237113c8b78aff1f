# The demo's detector with an image-level head on its neck.
_base_ = 'fcos_tresnet_tiny_shapes.py'

model = dict(
    _delete_=True,
    type='MultiTaskDetector',
    detector=_base_.model,
    image_head=dict(
        type='MultiLabelDenseHead',
        features='neck',
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
    image_loss_weight=0.3,
    label_scores='mean')
tta_model = dict(
    type='MultiTaskTTAModel',
    tta_cfg=dict(nms=dict(type='nms', iou_threshold=0.5), max_per_img=100))

val_evaluator = [_base_.val_evaluator, dict(type='MultiLabelMetric')]
test_evaluator = val_evaluator
visualizer = dict(type='MultiLabelVisualizer')  # draws the boxes, too
