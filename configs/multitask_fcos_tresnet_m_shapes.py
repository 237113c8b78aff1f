# The former name of multitask_fcos_tresnet_tiny_shapes.py, for configs that inherit from it.
_base_ = 'multitask_fcos_tresnet_tiny_shapes.py'
