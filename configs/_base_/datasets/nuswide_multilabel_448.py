# NUS-WIDE at 448 px, the split of its own files. NUSWIDE_ROOT holds the images in Flickr/, and
# ImageList/, Groundtruth/, ConceptsList/.
_base_ = './coco_multilabel_448.py'

data_root = '{{$NUSWIDE_ROOT:data/nuswide/}}'
data_prefix = dict(img='Flickr/')

train_dataloader = dict(
    dataset=dict(
        type='NUSWIDE',
        data_root=data_root,
        ann_file='ImageList/TrainImagelist.txt',
        label_files='Groundtruth/TrainTestLabels/Labels_{}_Train.txt',
        data_prefix=data_prefix))
val_dataloader = dict(
    dataset=dict(
        type='NUSWIDE',
        data_root=data_root,
        ann_file='ImageList/TestImagelist.txt',
        label_files='Groundtruth/TrainTestLabels/Labels_{}_Test.txt',
        data_prefix=data_prefix))
test_dataloader = val_dataloader
