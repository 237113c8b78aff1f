# The demo's detector with an image-level head on its neck.
_base_ = ['fcos_tresnet_tiny_shapes.py', '_base_/models/image_head.py']

model = dict(
    _delete_=True,
    type='MultiTaskDetector',
    detector=_base_.model,
    image_head=dict(
        _base_.image_head, num_classes=6, loss=dict(_base_.image_head.loss, loss_weight=6)),
    image_loss_weight=0.3,
    label_scores='mean')
tta_model = dict(
    type='MultiTaskTTAModel',
    tta_cfg=dict(nms=dict(type='nms', iou_threshold=0.5), max_per_img=100))

val_evaluator = [_base_.val_evaluator, dict(type='MultiLabelMetric')]
test_evaluator = val_evaluator
visualizer = dict(type='MultiLabelVisualizer')  # draws the boxes, too
