"""The single-label head: loss, scores, checks."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from mmengine.structures import BaseDataElement

from tresnet_mm.models.heads import SingleLabelHead

FEATS = torch.randn(3, 8, 2, 2, generator=torch.Generator().manual_seed(0))


def head(**kwargs):
    torch.manual_seed(0)
    head = MODELS.build(dict(type='SingleLabelHead', num_classes=4, in_channels=8, **kwargs))
    torch.nn.init.normal_(head.fc.weight)
    return head


def samples(*labels):
    return [BaseDataElement(metainfo=dict(img_path=f'{i}.jpg'), gt_label=torch.tensor([label]))
            for i, label in enumerate(labels)]


def logits_of(head):
    return F.linear(FEATS.mean(dim=(2, 3)), head.fc.weight, head.fc.bias)


@pytest.mark.parametrize('loss, smoothing', [
    (None, 0.1),
    (dict(type='AsymmetricLossSingleLabel', gamma_neg=0, label_smoothing=0.3), 0.3),
    (dict(type='mmdet.CrossEntropyLoss'), 0.0),
])
def test_loss_is_cross_entropy(loss, smoothing):
    model = head(loss=loss)
    expected = F.cross_entropy(logits_of(model), torch.tensor([3, 0, 1]),
                               label_smoothing=smoothing)
    torch.testing.assert_close(model.loss([FEATS], samples(3, 0, 1)), dict(loss_cls=expected))


def test_predict():
    model = head()
    results = model.predict([FEATS], samples(3, 0, 1))
    expected = logits_of(model).softmax(1)
    torch.testing.assert_close(torch.stack([s.pred_scores for s in results]), expected)
    assert torch.cat([s.pred_label for s in results]).equal(expected.argmax(1))


def test_refusals():
    with pytest.raises(ValueError, match='takes no thresholds'):
        head(thresholds=0.5)
    with pytest.raises(ValueError, match='gt_label of 1.jpg is 4, .*num_classes=4'):
        head().loss([FEATS], samples(0, 4, 1))
    with pytest.raises(ValueError, match='0.jpg has no gt_label; .*PackSingleLabelInputs'):
        head().loss([FEATS], [BaseDataElement(metainfo=dict(img_path='0.jpg'))])
    with pytest.raises(ValueError, match='NaN or infinite logits'):
        head().loss([FEATS * float('nan')], samples(0, 1, 2))


def test_class_weights_weight_the_images_of_a_class():
    plain = SingleLabelHead(3, 4)
    head = SingleLabelHead(3, 4, class_weight=[1.0, 0.0, 2.0])
    head.load_state_dict(plain.state_dict())
    feats = [torch.randn(1, 4, 2, 2)]
    for label, weight in enumerate([1.0, 0.0, 2.0]):
        sample = BaseDataElement(gt_label=torch.tensor([label]))
        expected = weight * plain.loss(feats, [sample])['loss_cls']
        torch.testing.assert_close(head.loss(feats, [sample])['loss_cls'], expected)
