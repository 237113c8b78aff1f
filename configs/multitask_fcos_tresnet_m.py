# Boxes and image-level labels from one TResNet-M: FCOS and a head on its neck, evaluated by COCO's
# mAP and the multi-label measures in one run.
_base_ = ['fcos_tresnet_m.py', '_base_/models/image_head.py']

model = dict(
    _delete_=True,
    type='MultiTaskDetector',
    detector=_base_.model,
    image_head=_base_.image_head,
    image_loss_weight=0.3,
    label_scores='mean')
tta_model = dict(type='MultiTaskTTAModel')

val_evaluator = [_base_.val_evaluator, _base_.image_metric]
test_evaluator = val_evaluator
visualizer = dict(type='MultiLabelVisualizer')  # draws the boxes, too
