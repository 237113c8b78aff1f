# CIFAR-100, enlarged to 224 px. CIFAR100_ROOT is the folder cifar-100-binary or cifar-100-python.
_base_ = 'cifar10_224.py'

dataset = dict(type='CIFAR100', data_root='{{$CIFAR100_ROOT:data/cifar-100-binary/}}')
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = val_dataloader
