# One class an image, at 224 px: what the sets of this kind have in common. They name themselves.
backend_args = None

train_pipeline = [
    dict(type='LoadImageChecked', backend_args=backend_args),
    dict(type='AntialiasResize', scale=(224, 224)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='ColorCutout', factor=0.5),
    dict(type='PackSingleLabelInputs'),
]
test_pipeline = [
    dict(type='LoadImageChecked', backend_args=backend_args),
    dict(type='AntialiasResize', scale=(224, 224)),
    dict(type='PackSingleLabelInputs'),
]

train_dataloader = dict(
    batch_size=64,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(pipeline=train_pipeline, backend_args=backend_args))
val_dataloader = dict(
    batch_size=64,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(pipeline=test_pipeline, test_mode=True, backend_args=backend_args))
test_dataloader = val_dataloader

val_evaluator = dict(type='SingleLabelMetric')
test_evaluator = val_evaluator

# The learning rate of the schedule is for this batch, over all processes.
auto_scale_lr = dict(enable=False, base_batch_size=64)
