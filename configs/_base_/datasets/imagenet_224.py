# ImageNet-1k at 224 px, in folders of synsets. IMAGENET_ROOT is the folder of train/ and val/.
# Evaluation as published: the shorter side to 256 by Pillow's bilinear filter, the middle 224.
# Training: a plain pipeline, not the TResNet paper's.
_base_ = 'single_label_224.py'

dataset = dict(type='ImageNet', data_root='{{$IMAGENET_ROOT:data/imagenet/}}')
test_pipeline = [
    _base_.test_pipeline[0],
    dict(type='ResizeShortSide', side=256),
    dict(type='CenterCrop', crop_size=224),
    _base_.test_pipeline[-1],
]
train_dataloader = dict(dataset=dict(data_prefix=dict(img='train'), **dataset))
val_dataloader = dict(
    dataset=dict(data_prefix=dict(img='val'), pipeline=test_pipeline, **dataset))
test_dataloader = val_dataloader
