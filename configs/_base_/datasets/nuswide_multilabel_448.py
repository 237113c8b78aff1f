# NUS-WIDE at 448 px, the original split and files below NUSWIDE_ROOT. Images that could not be got
# are left out and counted.
_base_ = './coco_multilabel_448.py'

dataset = dict(
    type='NUSWIDE',
    data_root='{{$NUSWIDE_ROOT:data/nuswide/}}',
    data_prefix=dict(img='Flickr/'),
    missing_images='skip')

train_dataloader = dict(dataset=dict(ann_file='ImageList/TrainImagelist.txt', **dataset))
val_dataloader = dict(dataset=dict(ann_file='ImageList/TestImagelist.txt', **dataset))
test_dataloader = val_dataloader
