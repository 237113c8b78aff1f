_base_ = 'retinanet_tresnet_m.py'

# Weights fine-tuned at 448 px: nearer to a detector's image size than those of 224 px.
model = dict(
    backbone=dict(arch='l', init_cfg=dict(checkpoint='tresnet://l_in1k_448')),
    neck=dict(in_channels=[76, 152, 1216, 2432]))
