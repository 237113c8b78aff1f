# Labels of the same images under the same schedule, with the same backbone. Images keep their
# shape; the smaller ones of a batch are padded, and the head leaves the padding out.
_base_ = ['./detection.py', '../../../configs/_base_/models/multilabel_tresnet_tiny.py']

model = dict(head=dict(loss=dict(reduction='mean', loss_weight=6)))
train_dataloader = dict(
    dataset=dict(
        type='CocoMultiLabel',
        pipeline=[
            dict(type='LoadImageChecked'),
            dict(type='RandomFlip', prob=[0.25, 0.25, 0.25],
                 direction=['horizontal', 'vertical', 'diagonal']),
            dict(type='PackMultiLabelInputs'),
        ]))
test_dataloader = dict(
    dataset=dict(
        type='CocoMultiLabel',
        pipeline=[
            dict(type='LoadImageChecked'),
            dict(type='PackMultiLabelInputs'),
        ]))
test_evaluator = dict(_delete_=True, type='MultiLabelMetric')
