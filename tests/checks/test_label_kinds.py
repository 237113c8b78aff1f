"""The head, the metrics and the packing of one label an image, or of several."""

import pytest

KEYS = {f'{split}_dataloader.dataset.pipeline': None for split in ('train', 'val')}


@pytest.mark.parametrize('head, metric, pack, wrong', [
    ('MultiLabelLinearHead', 'MultiLabelMetric', 'PackMultiLabelInputs', {}),
    ('SingleLabelHead', 'SingleLabelMetric', 'PackSingleLabelInputs', {}),
    ('SingleLabelHead', 'MultiLabelMetric', 'PackSingleLabelInputs',
     {'val_evaluator.type': 'SingleLabelMetric'}),
    ('MultiLabelLinearHead', 'SingleLabelMetric', 'PackMultiLabelInputs',
     {'val_evaluator.type': 'MultiLabelMetric'}),
    ('SingleLabelHead', 'SingleLabelMetric', 'PackMultiLabelInputs',
     {f'{key}.1.type': 'PackSingleLabelInputs' for key in KEYS}),
])
def test_kinds_that_do_not_meet(own, problems, head, metric, pack, wrong):
    cfg = own('multilabel_tresnet_tiny_shapes')
    cfg.model.head = dict(type=head, num_classes=2, in_channels=512)
    cfg.val_evaluator = dict(type=metric)
    for split in ('train', 'val'):
        cfg[f'{split}_dataloader'].dataset.pipeline = [
            dict(type='LoadImageChecked'), dict(type=pack)]
    found = {key: problem.right for key, problem in problems(cfg).items()
             if problem.right.startswith(('Pack', 'Single', 'Multi'))}
    assert found == wrong
