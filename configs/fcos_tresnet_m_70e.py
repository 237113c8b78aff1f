# The long schedule of the TResNet paper (44.0 mAP there): 48 images a step, 70 epochs, learning
# rate x 0.1 at 40 and 60. Details from memory of the paper, never run to the end: unverified.
_base_ = 'fcos_tresnet_m.py'

train_dataloader = dict(batch_size=6)  # times 8 GPUs
train_cfg = dict(max_epochs=70, val_interval=5)
param_scheduler = [
    dict(type='LinearLR', start_factor=1.0 / 3.0, by_epoch=False, begin=0, end=500),
    dict(type='MultiStepLR', begin=0, end=70, by_epoch=True, milestones=[40, 60], gamma=0.1),
]
optim_wrapper = dict(optimizer=dict(lr=0.01, momentum=0.9, weight_decay=0.0001))
auto_scale_lr = dict(base_batch_size=48)
