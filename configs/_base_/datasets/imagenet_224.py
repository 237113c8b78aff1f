# ImageNet-1k at 224 px, in folders of synsets. IMAGENET_ROOT is the folder of train/ and val/.
# Evaluation as published: the shorter side to 256 by Pillow's bilinear filter, the middle 224.
# Training: a plain pipeline, not the TResNet paper's.
data_root = '{{$IMAGENET_ROOT:data/imagenet/}}'
backend_args = None

train_pipeline = [
    dict(type='LoadImageChecked', backend_args=backend_args),
    dict(type='Resize', scale=(224, 224), keep_ratio=False, backend='pillow'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='ColorCutout', factor=0.5),
    dict(type='PackSingleLabelInputs'),
]
test_pipeline = [
    dict(type='LoadImageChecked', backend_args=backend_args),
    dict(type='ResizeShortSide', side=256),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackSingleLabelInputs'),
]

train_dataloader = dict(
    batch_size=64,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='ImageNet',
        data_prefix=dict(img='train'),
        data_root=data_root,
        pipeline=train_pipeline,
        backend_args=backend_args))
val_dataloader = dict(
    batch_size=64,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ImageNet',
        data_prefix=dict(img='val'),
        data_root=data_root,
        pipeline=test_pipeline,
        test_mode=True,
        backend_args=backend_args))
test_dataloader = val_dataloader

val_evaluator = dict(type='SingleLabelMetric')
test_evaluator = val_evaluator

# The learning rate of the schedule is for this batch, over all processes.
auto_scale_lr = dict(enable=False, base_batch_size=64)
