"""The joint model on every kind of detector that is shipped, on a batch annotated in part."""
import copy

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import BaseDataElement

from tests.test_configs import CONFIGS, batch, shrunk

#: docs/multitask.md lists these.
HOSTS = ['atss', 'cascade_rcnn', 'dino', 'faster_rcnn', 'fcos', 'gfl', 'mask_rcnn', 'retinanet',
         'rtmdet']


def joint_batch(size: int, with_masks: bool) -> dict:
    """An image with boxes alone, and one with a label of its own whose boxes are not annotated."""
    data = batch(size, with_masks)
    boxed, labelled = data['data_samples']
    labelled.set_metainfo(dict(has_boxes=False))
    labelled.gt_instances = labelled.gt_instances[torch.zeros(2, dtype=torch.bool)]
    labelled.weather = BaseDataElement(gt_label=torch.tensor([1]))
    return data


@pytest.mark.slow
@pytest.mark.parametrize('host', HOSTS)
def test_a_step_and_a_prediction(host):
    init_default_scope('mmdet')
    detector = shrunk(Config.fromfile(CONFIGS / f'{host}_tresnet_m.py').model)
    model = MODELS.build(dict(
        type='MultiTaskDetector', detector=detector,
        image_head=dict(type='MultiLabelLinearHead', num_classes=80),
        image_heads=dict(weather=dict(type='SingleLabelHead', num_classes=3))))
    if host == 'dino':  # made of memory as it is found, and set by init_weights alone
        torch.nn.init.normal_(model.detector.level_embed)
    size = 320 if host == 'dino' else 128
    data = joint_batch(size, with_masks=host == 'mask_rcnn')
    passes = []
    model.backbone.register_forward_hook(lambda *args: passes.append(len(args[1][0])))
    model.train()
    processed = model.data_preprocessor(copy.deepcopy(data), training=True)
    losses = model(**processed, mode='loss')
    assert passes == [2]  # the backbone ran once, for both images
    assert {'loss_mlc', 'weather.loss_cls'} < losses.keys()
    total, _ = model.parse_losses(losses)
    total.backward()
    assert total.isfinite() and model.backbone.layer2[0].conv1.conv.weight.grad.abs().sum() > 0
    labels = model.data_preprocessor(data, training=True)
    alone = model(labels['inputs'][1:], labels['data_samples'][1:], mode='loss')
    assert alone.keys() == {'weather.loss_cls'}
    model.eval()
    with torch.no_grad():
        results = model.test_step(batch(size, with_masks=False))
    for sample in results:
        assert len(sample.pred_instances) > 0
        torch.testing.assert_close(sample.weather.pred_scores.sum(), torch.tensor(1.0))
        assert sample.pred_scores.shape == (80, )
