# The former name of multilabel_tresnet_tiny_shapes.py, for configs that inherit from it.
_base_ = 'multilabel_tresnet_tiny_shapes.py'
