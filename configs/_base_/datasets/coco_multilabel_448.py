# COCO as multi-label data at 448 px, batch 56 (ASL's recipe). COCO_ROOT is the data folder,
# COCO_YEAR 2014 (what the literature reports) or 2017.
data_root = '{{$COCO_ROOT:data/coco/}}'
backend_args = None

# Two of these, each done half of the time, at random strength: the ranges of the `randaugment`
# package, which ASL uses, in mmdet's operations; the fast ones give the pixels of mmdet's. Its
# sixteenth, a 20 px cutout, is not among them: ColorCutout has been there before.
rand_augment_space = [
    [dict(type='FastAutoContrast', prob=0.5)],
    [dict(type='FastEqualize', prob=0.5)],
    [dict(type='mmdet.Invert', prob=0.5)],
    [dict(type='mmdet.Posterize', prob=0.5, min_mag=4.0, max_mag=8.0)],
    [dict(type='FastSolarize', prob=0.5)],
    [dict(type='mmdet.Color', prob=0.5)],
    [dict(type='FastContrast', prob=0.5)],
    [dict(type='FastBrightness', prob=0.5)],
    [dict(type='FastSharpness', prob=0.5)],
    [dict(type='mmdet.Rotate', prob=0.5, max_mag=30.0)],
    [dict(type='mmdet.ShearX', prob=0.5, max_mag=16.7)],  # degrees: a slope of 0.3
    [dict(type='mmdet.ShearY', prob=0.5, max_mag=16.7)],
    [dict(type='mmdet.TranslateX', prob=0.5, max_mag=0.45)],
    [dict(type='mmdet.TranslateY', prob=0.5, max_mag=0.45)],
]

# The bilinear filter of Pillow, which anti-aliases, to one level of 255, and the whole image
# squished to a square: the published weights were trained and are evaluated so.
train_pipeline = [
    dict(type='LoadImageChecked', backend_args=backend_args),
    dict(type='AntialiasResize', scale=(448, 448)),
    dict(type='ColorCutout', factor=0.5),
    dict(type='mmdet.RandAugment', aug_num=2, aug_space=rand_augment_space),
    dict(type='PackMultiLabelInputs'),
]
test_pipeline = [
    dict(type='LoadImageChecked', backend_args=backend_args),
    dict(type='AntialiasResize', scale=(448, 448)),
    dict(type='PackMultiLabelInputs'),
]

train_dataloader = dict(
    batch_size=56,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='CocoMultiLabel',
        data_root=data_root,
        ann_file='annotations/instances_train{{$COCO_YEAR:2014}}.json',
        data_prefix=dict(img='train{{$COCO_YEAR:2014}}/'),
        pipeline=train_pipeline,
        backend_args=backend_args))
val_dataloader = dict(
    batch_size=56,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='CocoMultiLabel',
        data_root=data_root,
        ann_file='annotations/instances_val{{$COCO_YEAR:2014}}.json',
        data_prefix=dict(img='val{{$COCO_YEAR:2014}}/'),
        pipeline=test_pipeline,
        test_mode=True,
        backend_args=backend_args))
test_dataloader = val_dataloader

val_evaluator = dict(type='MultiLabelMetric')
test_evaluator = val_evaluator

tta_model = dict(type='MultiLabelTTAModel')
tta_pipeline = [
    dict(type='LoadImageChecked', backend_args=backend_args),
    dict(type='AntialiasResize', scale=(448, 448)),
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)],
            [dict(type='PackMultiLabelInputs')],
        ]),
]

# The learning rate of the schedule is for this batch, over all processes.
auto_scale_lr = dict(enable=False, base_batch_size=56)
