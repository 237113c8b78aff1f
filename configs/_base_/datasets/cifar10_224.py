# CIFAR-10, enlarged to 224 px. CIFAR10_ROOT is the folder cifar-10-batches-bin or ...-py.
_base_ = 'single_label_224.py'

dataset = dict(type='CIFAR10', data_root='{{$CIFAR10_ROOT:data/cifar-10-batches-bin/}}')
# The images come with the data set: there is nothing to load.
train_pipeline = _base_.train_pipeline[1:]
test_pipeline = _base_.test_pipeline[1:]
train_dataloader = dict(dataset=dict(train=True, pipeline=train_pipeline, **dataset))
val_dataloader = dict(dataset=dict(train=False, pipeline=test_pipeline, **dataset))
test_dataloader = val_dataloader
