# Open Images at 224 px: OPENIMAGES_ROOT holds the tables and train/, validation/ of images. Files
# of V6 and V7 have a prefix to their names (oidv6-train-...): rename them, or set ann_file.
_base_ = './coco_multilabel_224.py'

data_root = '{{$OPENIMAGES_ROOT:data/openimages/}}'
classes = dict(class_file='class-descriptions.csv', class_list='classes-trainable.txt')

train_dataloader = dict(
    dataset=dict(
        type='OpenImages',
        data_root=data_root,
        ann_file='train-annotations-human-imagelabels.csv',
        data_prefix=dict(img='train/'),
        **classes))
val_dataloader = dict(
    dataset=dict(
        type='OpenImages',
        data_root=data_root,
        ann_file='validation-annotations-human-imagelabels.csv',
        data_prefix=dict(img='validation/'),
        **classes))
test_dataloader = val_dataloader
