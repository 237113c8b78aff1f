"""Image-level heads on the neck: they read what the detector's own head gets, in every path."""
import copy

import pytest
import torch
from mmengine.registry import MODELS, DefaultScope
from mmengine.structures import BaseDataElement

from tests.models.test_multitask_detector import (
    CLASSES,
    DETECTORS_OF_EACH_KIND,
    batch,
    deformable_detr,
    fcos,
)
from tresnet_mm.models.shared_features import of_images

SHAPE = (64, 64)
HEAD = dict(type='MultiLabelLinearHead', num_classes=CLASSES, features='neck')


@pytest.fixture(autouse=True)
def _mmdet_scope():
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield


def build(detector=None, image_head=HEAD, **kwargs):
    torch.manual_seed(0)
    model = MODELS.build(dict(type='MultiTaskDetector', detector=detector or fcos(),
                              image_head=image_head, **kwargs))
    model.init_weights()
    return model


class Passes(list):
    """What a module takes or returns, from now on."""

    def __init__(self, module, what):
        super().__init__()
        module.register_forward_hook(
            lambda module, args, output: self.append(dict(takes=args, returns=output)[what]))


@pytest.mark.parametrize('detector', DETECTORS_OF_EACH_KIND)
@pytest.mark.parametrize('mode', ['loss', 'predict', 'tensor'])
def test_a_head_reads_what_the_one_pass_of_the_neck_gives(detector, mode):
    channels = 256 if detector is deformable_detr else 16  # its neck does not say
    model = build(detector(), dict(HEAD, in_channels=channels)).train(mode == 'loss')
    data = model.data_preprocessor(batch(SHAPE, SHAPE), training=False)
    returned, taken = Passes(model.neck, 'returns'), Passes(model.neck, 'takes')
    backbone, read = Passes(model.backbone, 'returns'), []
    forward = model.image_head.forward
    model.image_head.forward = lambda feats, valid=None: (read.append(feats),
                                                          forward(feats, valid))[1]
    model(**data, mode=mode)
    assert len(returned) == len(backbone) == len(read) == 1
    assert all(a is b for a, b in zip(taken[0][0], backbone[0], strict=True))
    assert all(a is b for a, b in zip(read[0], returned[0], strict=True))


def test_a_dense_detectors_head_gets_the_same_maps():
    model = build().eval()
    # its parts: mmdet calls the head's forward itself
    first, read = model.bbox_head.cls_convs[0], Passes(model.image_head, 'takes')
    taken = Passes(first, 'takes')
    model(**model.data_preprocessor(batch(SHAPE), training=False), mode='tensor')
    assert all(a[0] is b for a, b in zip(taken, read[0][0], strict=True))


def part_boxed():
    """Two images with annotated boxes, one with labels alone."""
    data = batch(SHAPE, SHAPE, SHAPE)
    sample = data['data_samples'][2]
    sample.set_metainfo(dict(has_boxes=False))
    sample.gt_instances = sample.gt_instances[:0]
    sample.gt_labels = torch.tensor([0., 1., 0.])
    return data


@pytest.mark.parametrize('frozen', [False, True])
def test_a_batch_annotated_in_part_has_the_gradients_of_its_parts(frozen):
    model = build(train_detector=not frozen).double().train()
    model.backbone.eval()  # statistics frozen
    data = model.data_preprocessor(part_boxed(), training=True)
    inputs, samples = data['inputs'].double(), data['data_samples']
    for sample in samples:
        sample.gt_instances.bboxes = sample.gt_instances.bboxes.double()
    passes = Passes(model.backbone, 'returns'), Passes(model.neck, 'returns')
    losses = model(inputs, copy.deepcopy(samples), mode='loss')
    assert [len(p) for p in passes] == [1, 1] and len(passes[1][0][0]) == 3
    assert ('loss_cls' in losses) != frozen
    joint = gradients(model, losses)

    labels = [copy.deepcopy(sample) for sample in samples]
    labels[0].gt_labels, labels[1].gt_labels = (torch.tensor([1., i, 1.]) for i in (0., 1.))
    expected = gradients(model, model.image_head.loss(
        model.neck(model.backbone(inputs)), labels, inputs))
    if not frozen:
        boxes = gradients(model, model.detector(
            inputs[:2], copy.deepcopy(samples[:2]), mode='loss'))
        expected = {name: expected.get(name, 0) + boxes.get(name, 0)
                    for name in {*expected, *boxes}}
    assert joint.keys() == expected.keys()
    for name, grad in joint.items():
        torch.testing.assert_close(grad, expected[name], msg=name)


def gradients(model, losses):
    model.zero_grad()
    model.parse_losses(losses)[0].backward()
    return {name: param.grad.clone() for name, param in model.named_parameters()
            if param.grad is not None}


def test_heads_of_both_kinds_stand_beside_each_other():
    weather = dict(type='SingleLabelHead', num_classes=2)
    model = build(image_heads=dict(deep=weather, near=dict(weather, features='neck'))).eval()
    assert (model.image_heads.deep.in_channels, model.image_heads.near.in_channels) == (256, 16)
    images = torch.rand(2, 3, *SHAPE)
    _, logits = model(images)
    backbone = model.backbone(images)
    torch.testing.assert_close(logits['deep'], model.image_heads.deep(backbone))
    torch.testing.assert_close(logits['near'], model.image_heads.near(model.neck(backbone)))
    torch.testing.assert_close(logits['image_head'], model.image_head(model.neck(backbone)))


def test_the_last_of_several_necks_says_the_channels():
    detector = fcos()
    detector.neck = [detector.neck, dict(type='FPN', in_channels=[16] * 4, out_channels=16,
                                         num_outs=4)]
    assert build(detector).image_head.in_channels == 16


def test_of_images():
    maps = torch.rand(3, 2, 4, 4), torch.rand(3, 2, 2, 2)
    for whole, part in zip(maps, of_images(maps, [2, 0]), strict=True):
        assert torch.equal(part, whole[[2, 0]])
    assert torch.equal(of_images(maps[0], [1]), maps[0][1:2])


@pytest.mark.parametrize('features, message', [
    ('neck', "features='neck', and SingleStageDetector has no neck"),
    ('necks', 'has no necks')])
def test_features_that_are_not_there(features, message):
    detector = fcos()
    if features == 'neck':
        detector.update(type='SingleStageDetector', neck=None)
    with pytest.raises(ValueError, match=message):
        build(detector, dict(HEAD, features=features))


@pytest.mark.parametrize('data', [lambda: batch(SHAPE, SHAPE), part_boxed])
@pytest.mark.parametrize('features', ['backbone', 'neck'])
def test_a_head_may_leave_the_detector_as_it_is(data, features):
    detach = dict(features=features, detach_features=True)
    model = build(image_head=dict(HEAD, **detach), image_heads=dict(
        weather=dict(type='SingleLabelHead', num_classes=3, **detach)))
    given = data()
    for sample in given['data_samples']:
        sample.weather = BaseDataElement(gt_label=torch.tensor([1]))
    given = model.data_preprocessor(given, training=True)
    losses = model(**given, mode='loss')
    assert {'loss_mlc', 'weather.loss_cls'} <= losses.keys()
    of_labels = [losses[name] for name in ('loss_mlc', 'weather.loss_cls')]
    gradients = torch.autograd.grad(sum(of_labels), list(model.parameters()), allow_unused=True)
    learning = {name.split('.')[0] for (name, _), gradient in
                zip(model.named_parameters(), gradients, strict=True) if gradient is not None}
    assert learning == {'image_head', 'image_heads'}
