# Open Images V6, the 9,605 trainable classes, at 224 px. OPENIMAGES_ROOT holds the files of labels
# and classes by their published names, and the images in train/, validation/ and test/.
_base_ = './coco_multilabel_224.py'

dataset = dict(
    _delete_=True,
    type='OpenImages',
    data_root='{{$OPENIMAGES_ROOT:data/openimages/}}',
    class_file='oidv6-class-descriptions.csv',
    class_list='oidv6-classes-trainable.txt',
    conflict='unknown')

train_dataloader = dict(
    dataset=dict(
        ann_file='oidv6-train-annotations-human-imagelabels.csv',
        data_prefix=dict(img='train/'),
        pipeline=_base_.train_pipeline,
        **dataset))
val_dataloader = dict(
    dataset=dict(
        ann_file='validation-annotations-human-imagelabels.csv',
        data_prefix=dict(img='validation/'),
        pipeline=_base_.test_pipeline,
        test_mode=True,
        **dataset))
test_dataloader = dict(
    dataset=dict(
        ann_file='test-annotations-human-imagelabels.csv',
        data_prefix=dict(img='test/'),
        pipeline=_base_.test_pipeline,
        test_mode=True,
        **dataset))
