# The former name of fcos_tresnet_tiny_shapes.py, for configs that inherit from it.
_base_ = 'fcos_tresnet_tiny_shapes.py'
