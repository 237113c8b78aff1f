# NUS-WIDE at 448 px, the original split and files below NUSWIDE_ROOT. Images that could not be got
# are left out and counted.
_base_ = './coco_multilabel_448.py'

dataset = dict(
    type='NUSWIDE',
    data_root='{{$NUSWIDE_ROOT:data/nuswide/}}',
    data_prefix=dict(img='Flickr/'),
    skip_missing=True)

labels = 'Groundtruth/TrainTestLabels/Labels_{}'

train_dataloader = dict(dataset=dict(
    ann_file='ImageList/TrainImagelist.txt', label_files=f'{labels}_Train.txt', **dataset))
val_dataloader = dict(dataset=dict(
    ann_file='ImageList/TestImagelist.txt', label_files=f'{labels}_Test.txt', **dataset))
test_dataloader = val_dataloader
