"""What a checkpoint says of a head's scores is taken, used, checked, and left out in training."""

import pytest
import torch
from mmengine.structures import BaseDataElement

from tests.inference.conftest import HEAD, TINY
from tresnet_mm.checkpoint import CheckpointMismatch
from tresnet_mm.models import MultiLabelClassifier
from tresnet_mm.models.heads import MultiLabelLinearHead

FITTED = {'calibration.scale': torch.tensor([0.5, 1.0, 2.0]),
          'calibration.bias': torch.tensor([0.25, 0.0, -1.0]),
          'calibration.thresholds': torch.tensor([0.0, 1.0, 0.0])}
FEATURES = torch.randn(2, 8, 3, 3, generator=torch.Generator().manual_seed(0))


def head(**kwargs) -> MultiLabelLinearHead:
    return MultiLabelLinearHead(3, 8, **kwargs)


def calibrated(**kwargs) -> MultiLabelLinearHead:
    made = head(**kwargs)
    made.load_state_dict({**made.state_dict(), **FITTED})
    return made


def predict(model):
    return model.eval().predict(FEATURES, [BaseDataElement(), BaseDataElement()])


def test_a_plain_head_takes_a_calibration_and_uses_it():
    model = calibrated()
    logits = model(FEATURES)
    for sample, row in zip(predict(model), logits, strict=True):
        torch.testing.assert_close(sample.pred_scores, torch.sigmoid(
            row * FITTED['calibration.scale'] + FITTED['calibration.bias']))
        torch.testing.assert_close(sample.raw_scores, row.sigmoid())
        assert sample.pred_labels.tolist() == [0, 2]
    again = head()
    again.load_state_dict(model.state_dict())
    assert set(model.state_dict()) == {'fc.weight', 'fc.bias', *FITTED}
    torch.testing.assert_close(predict(again)[0].pred_scores, predict(model)[0].pred_scores)


def test_switched_off_it_is_as_if_there_were_none():
    model = calibrated(calibrated=False)
    for sample, row in zip(predict(model), model(FEATURES), strict=True):
        torch.testing.assert_close(sample.pred_scores, row.sigmoid())
        assert 'raw_scores' not in sample and 'pred_labels' not in sample


def test_thresholds_of_the_config_come_first():
    assert calibrated(thresholds=0.25).thresholds.tolist() == [0.25] * 3


def test_a_plain_checkpoint_lacks_nothing_and_takes_it_away():
    model = calibrated()
    model.load_state_dict(head().state_dict())  # strict
    assert not model.calibration.fitted and model.thresholds is None
    assert set(model.state_dict()) == {'fc.weight', 'fc.bias'}


@pytest.mark.parametrize(('name', 'value', 'message'), [
    ('scale', [1.0, 0.0, 1.0], 'should be positive'),
    ('scale', [1.0, 1.0], r'is \(2,\) instead of \(3,\)'),
    ('bias', [0.0, float('nan'), 0.0], 'finite'),
    ('thresholds', [0.5, 0.5, 2.0], r'in \[0, 1\]'),
])
def test_wrong_calibrations_are_refused(name, value, message):
    model = head()
    with pytest.raises(CheckpointMismatch, match=f'calibration.{name} .*{message}'):
        model.load_state_dict({**model.state_dict(), f'calibration.{name}': torch.tensor(value)})


def test_training_leaves_it_out():
    model = calibrated().train()
    sample = BaseDataElement(gt_labels=torch.tensor([1, 0, 1]))
    model.loss(FEATURES, [sample, sample.clone()])
    for found, row in zip(predict(model), model(FEATURES), strict=True):
        torch.testing.assert_close(found.pred_scores, row.sigmoid())
    assert model.thresholds.tolist() == [0.5] * 3


def test_a_classifier_takes_it():
    model = MultiLabelClassifier(TINY, HEAD)
    state = {**model.state_dict(), **{f'head.{key}': value for key, value in FITTED.items()}}
    model.load_state_dict(state)  # strict
    for key, value in FITTED.items():
        torch.testing.assert_close(model.state_dict()[f'head.{key}'], value)
