# The multi-label schedule, which keeps the weights of the best top-1 accuracy. A starting point,
# not the TResNet paper's.
_base_ = './multilabel_onecycle_40e.py'

custom_hooks = [
    dict(type='EMAHook', momentum=0.0003, update_buffers=True),
    dict(type='PlainAndEMAEvalHook'),
    dict(type='BestWeightsHook', metric='single-label/top1'),
]
