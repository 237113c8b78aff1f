# The small joint model whose image-level head leaves the detector as it is.
_base_ = './joint.py'

model = dict(image_head=dict(detach_features=True))
