# The images of shapes_detection.py with image-level labels (`python tools/make_shapes.py`).
data_root = '{{$SHAPES_ROOT:data/shapes/}}'.rstrip('/') + '/'

train_pipeline = [
    dict(type='LoadImageChecked'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackMultiLabelInputs'),
]
test_pipeline = [
    dict(type='LoadImageChecked'),
    dict(type='PackMultiLabelInputs'),
]
train_dataloader = dict(
    batch_size=32,
    num_workers=1,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='CocoMultiLabel',
        data_root=data_root,
        ann_file='annotations/instances_train.json',
        data_prefix=dict(img='train/'),
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=50,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='CocoMultiLabel',
        data_root=data_root,
        ann_file='annotations/instances_val.json',
        data_prefix=dict(img='val/'),
        pipeline=test_pipeline,
        test_mode=True))
test_dataloader = val_dataloader
val_evaluator = dict(type='MultiLabelMetric')
test_evaluator = val_evaluator
