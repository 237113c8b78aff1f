_base_ = 'mmdet::_base_/default_runtime.py'

custom_imports = dict(imports=['tresnet_mm'], allow_failed_imports=False)
default_hooks = dict(summary=dict(type='RunSummaryHook'))
