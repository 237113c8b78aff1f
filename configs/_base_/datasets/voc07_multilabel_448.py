# PASCAL VOC 2007 as multi-label data at 448 px. VOC_ROOT is the folder VOC2007.
_base_ = './coco_multilabel_448.py'

data_root = '{{$VOC_ROOT:data/VOCdevkit/VOC2007/}}'
data_prefix = dict(img='JPEGImages/', ann='Annotations/')

train_dataloader = dict(
    dataset=dict(
        type='VOCMultiLabel',
        data_root=data_root,
        ann_file='ImageSets/Main/trainval.txt',
        data_prefix=data_prefix))
val_dataloader = dict(
    dataset=dict(
        type='VOCMultiLabel',
        data_root=data_root,
        ann_file='ImageSets/Main/test.txt',
        data_prefix=data_prefix))
test_dataloader = val_dataloader
