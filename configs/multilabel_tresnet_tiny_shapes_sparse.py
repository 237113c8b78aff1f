# Labels as sparse as COCO's: 48 classes of shape x hue, about 5 % positives, 96 px. Written by
# `python tools/make_shapes.py --sparse`; the set on which the losses are compared.
_base_ = 'multilabel_tresnet_tiny_shapes.py'

data_root = '{{$SPARSE_SHAPES_ROOT:data/shapes_sparse/}}'.rstrip('/') + '/'
model = dict(head=dict(num_classes=48))
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=10)
optim_wrapper = dict(optimizer=dict(lr=2e-3))
param_scheduler = [
    dict(type='OneCycleFromLR', total_steps=10, by_epoch=True, convert_to_iter_based=True)
]
