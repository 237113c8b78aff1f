# The focal loss's alpha and exponent for the negatives, less focusing on the positives.
_base_ = 'retinanet_tresnet_m.py'

model = dict(
    bbox_head=dict(
        loss_cls=dict(
            _delete_=True,
            type='AsymmetricFocalLoss',
            use_sigmoid=True,
            gamma_pos=1.0,
            gamma_neg=2.0,
            alpha=0.25,
            loss_weight=1.0)))
