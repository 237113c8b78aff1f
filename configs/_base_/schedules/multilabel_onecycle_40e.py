# ASL's recipe: Adam with its weight decay in the gradient, one cycle laid out for 80 epochs and
# stopped after 40, an average of the weights at a decay of 0.9997, mixed precision on a GPU.
# To accumulate gradients over k batches: --cfg-options optim_wrapper.accumulative_counts=k
optim_wrapper = dict(
    type='AutoAmpOptimWrapper',
    optimizer=dict(type='Adam', lr=1e-4, betas=(0.95, 0.999), weight_decay=1e-4),  # lr: the peak
    # No decay on norms, biases and other vectors (the decoder's in_proj_bias).
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0, flat_decay_mult=0.0))

# PyTorch's OneCycleLR, which ASL calls with its defaults, also moves Adam's first beta, against
# the learning rate: 0.95 -> 0.85 -> 0.95.
param_scheduler = [
    dict(
        type='OneCycleFromLR', pct_start=0.2, begin=0, end=80, by_epoch=True,
        convert_to_iter_based=True),
    dict(
        type='CosineAnnealingMomentum', eta_min=0.85, begin=0, end=16, by_epoch=True,
        convert_to_iter_based=True),
    dict(
        type='CosineAnnealingMomentum', eta_min=0.95, begin=16, end=80, by_epoch=True,
        convert_to_iter_based=True),
]

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=40, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

custom_hooks = [
    # mmengine's momentum is 1 - decay. Buffers too: the running statistics belong to the weights.
    dict(type='EMAHook', momentum=0.0003, update_buffers=True),
    dict(type='PlainAndEMAEvalHook'),
    dict(type='BestWeightsHook', metric='multi-label/mAP'),
]
