# COCO as multi-label data at 640 px, the batch halved to fit; ASL gives none for this size.
_base_ = './coco_multilabel_448.py'

train_pipeline = _base_.train_pipeline
test_pipeline = _base_.test_pipeline
tta_pipeline = _base_.tta_pipeline
train_pipeline[1].scale = test_pipeline[1].scale = tta_pipeline[1].scale = (640, 640)

train_dataloader = dict(batch_size=28, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=28, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
auto_scale_lr = dict(base_batch_size=28)
