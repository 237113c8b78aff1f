"""Joint models with image labels of their own, on data that are annotated in part."""
import copy

import pytest
import torch
from mmdet.registry import MODELS as DETECTORS
from mmengine.config import ConfigDict
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner.checkpoint import get_state_dict, load_state_dict
from mmengine.structures import BaseDataElement

from tests.models.test_multitask_detector import (
    CLASSES,
    IMAGE_HEAD,
    batch,
    deformable_detr,
    faster_rcnn,
    fcos,
)
from tresnet_mm.models import MultiTaskTTAModel, multitask_detector
from tresnet_mm.models.image_labels import box_scores

WEATHER = dict(type='SingleLabelHead', num_classes=2)
SCENE = dict(type='MultiLabelLinearHead', num_classes=4, thresholds=0.5)
HEADS = dict(weather=WEATHER, scene=SCENE)
SHAPE = (64, 64)


@pytest.fixture(autouse=True)
def _mmdet_scope():
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield


def build(detector=None, **kwargs):
    torch.manual_seed(0)
    kwargs.setdefault('image_heads', HEADS)
    model = MODELS.build(dict(type='MultiTaskDetector', detector=detector or fcos(), **kwargs))
    model.init_weights()
    return model


def mixed_batch():
    """Four images: both annotated, boxes alone, labels alone, weather alone without boxes."""
    data = batch(SHAPE, SHAPE, SHAPE, SHAPE)
    samples = data['data_samples']
    for i, weather in ((0, 1), (2, 0), (3, 1)):
        samples[i].weather = BaseDataElement(gt_label=torch.tensor([weather]))
    samples[0].scene = BaseDataElement(gt_labels=torch.tensor([1., 0., 0., -1.]))
    samples[2].scene = BaseDataElement(gt_labels=torch.tensor([0., 1., 1., 0.]))
    for i in (2, 3):
        samples[i].set_metainfo(dict(has_boxes=False))
        samples[i].gt_instances = samples[i].gt_instances[:0]
        samples[i].ignored_instances = samples[i].ignored_instances[:0]
    return data


def gradients(model, losses):
    model.zero_grad()
    model.parse_losses(losses)[0].backward()
    return {name: param.grad.clone() for name, param in model.named_parameters()
            if param.grad is not None}


# mmcv's NMS of proposals takes float32 alone
@pytest.mark.parametrize('detector, dtype', [
    (fcos, torch.float64), (deformable_detr, torch.float64), (faster_rcnn, torch.float32)])
def test_a_mixed_batch_has_the_gradients_of_its_parts(detector, dtype):
    """Statistics frozen: those of the detector of the boxed images, each head of the labelled."""
    model = build(detector(), image_head=IMAGE_HEAD).to(dtype)
    model.train().backbone.eval()
    data = model.data_preprocessor(mixed_batch(), training=True)
    inputs, samples = data['inputs'].to(dtype), data['data_samples']
    for sample in samples:
        sample.gt_instances.bboxes = sample.gt_instances.bboxes.to(dtype)
        sample.ignored_instances.bboxes = sample.ignored_instances.bboxes.to(dtype)
    passes = []
    handle = model.backbone.register_forward_hook(lambda *args: passes.append(len(args[1][0])))
    torch.manual_seed(3)  # proposals are sampled
    joint = gradients(model, model(inputs, copy.deepcopy(samples), mode='loss'))
    assert passes == [4]
    handle.remove()

    torch.manual_seed(3)
    expected = gradients(model, model.detector(inputs[:2], copy.deepcopy(samples[:2]), mode='loss'))
    labels = [BaseDataElement(gt_labels=torch.tensor([1., i, 1.])) for i in (0., 1.)]
    for head, chosen, given in (
            (model.image_head, [0, 1], labels),
            (model.image_heads.weather, [0, 2, 3], [samples[i].weather for i in (0, 2, 3)]),
            (model.image_heads.scene, [0, 2], [samples[i].scene for i in (0, 2)])):
        part = gradients(model, head.loss(model.backbone(inputs[chosen]), given))
        for name, grad in part.items():
            expected[name] = expected[name] + grad if name in expected else grad
    assert joint.keys() == expected.keys()
    for name, grad in joint.items():
        torch.testing.assert_close(grad, expected[name], msg=name)


def test_losses_are_named_and_weighted_by_head():
    losses = {}
    for weight in (1.0, dict(weather=0.5, scene=0)):
        model = build(image_loss_weight=weight)
        data = model.data_preprocessor(mixed_batch(), True)
        losses[str(weight)] = model(**data, mode='loss')
    plain, weighted = losses.values()
    assert plain.keys() - {'loss_cls', 'loss_bbox', 'loss_centerness'} == {
        'weather.loss_cls', 'scene.loss_mlc'}
    torch.testing.assert_close(weighted['weather.loss_cls'], 0.5 * plain['weather.loss_cls'])
    assert weighted['scene.loss_mlc'] == 0
    total, log = model.parse_losses(plain)
    torch.testing.assert_close(total, sum(plain.values()))


def test_a_batch_without_boxes_gives_no_loss_of_the_detector():
    model = build()
    data = model.data_preprocessor(mixed_batch(), True)
    losses = model(data['inputs'][2:], data['data_samples'][2:], mode='loss')
    assert losses.keys() == {'weather.loss_cls', 'scene.loss_mlc'}
    losses = model(data['inputs'][1:2], data['data_samples'][1:2], mode='loss')
    assert not any('weather' in name or 'scene' in name for name in losses)
    for sample in data['data_samples']:
        sample.set_metainfo(dict(has_boxes=False))
        sample.pop('weather', None), sample.pop('scene', None)
    with pytest.raises(ValueError, match='no image of a batch is annotated'):
        model(**data, mode='loss')


def test_in_distributed_runs_every_parameter_gets_a_gradient(monkeypatch):
    """Where others wait for the detector's loss or for the gradients of a head."""
    monkeypatch.setattr(multitask_detector, 'get_world_size', lambda: 2)
    model = build(image_head=IMAGE_HEAD)
    data = model.data_preprocessor(mixed_batch(), True)
    losses = model(data['inputs'][3:], data['data_samples'][3:], mode='loss')
    only_weather = gradients(model, losses)
    learning = {n for n, p in model.named_parameters() if p.requires_grad}
    assert only_weather.keys() == learning
    moved = {n.rpartition('.')[0] for n, grad in only_weather.items()
             if not n.startswith('backbone') and not n.startswith('detector.backbone')
             and grad.abs().sum() > 0}
    assert moved == {'image_heads.weather.fc'}


@pytest.mark.parametrize('image_head', [None, IMAGE_HEAD])
def test_predictions_stand_in_named_fields(image_head):
    model = build(image_head=image_head).eval()
    with torch.no_grad():
        results = model.test_step(mixed_batch())
        feats = model.backbone(model.data_preprocessor(mixed_batch())['inputs'])
    for i, sample in enumerate(results):
        assert ('pred_scores' in sample) == (image_head is not None)
        weather = model.image_heads.weather(feats)[i].softmax(dim=0)
        torch.testing.assert_close(sample.weather.pred_scores, weather)
        assert sample.weather.pred_label == weather.argmax()
        scene = model.image_heads.scene(feats)[i].sigmoid()
        torch.testing.assert_close(sample.scene.pred_scores, scene)
        assert sample.scene.pred_labels.tolist() == (scene > 0.5).nonzero().flatten().tolist()
    assert results[0].to_dict()['weather']['gt_label'] == 1 and 'gt_label' not in results[1].weather


def test_tensor_mode_gives_the_logits_by_name():
    model = build(image_head=IMAGE_HEAD).eval()
    _, logits = model(torch.rand(2, 3, *SHAPE))
    assert {name: value.shape[1] for name, value in logits.items()} == dict(
        image_head=CLASSES, weather=2, scene=4)


def test_views_of_named_heads_are_averaged():
    model = build().eval()
    views = [mixed_batch(), mixed_batch()]
    views[1]['inputs'] = [image.flip(-1) for image in views[1]['inputs']]
    with torch.no_grad():
        singles = [model.test_step(copy.deepcopy(view)) for view in views]
        tta = MultiTaskTTAModel(module=model, tta_cfg=ConfigDict(
            nms=dict(type='nms', iou_threshold=0.5), max_per_img=7))
        merged = tta.test_step({key: [view[key] for view in views] for key in views[0]})
    for sample, a, b in zip(merged, *singles, strict=True):
        mean = (a.weather.pred_scores + b.weather.pred_scores) / 2
        torch.testing.assert_close(sample.weather.pred_scores, mean)
        assert sample.weather.pred_label == mean.argmax()


def test_named_heads_are_initialised_as_their_classes_say():
    head = build().image_heads.weather
    assert 0 < head.fc.weight.std() < 0.015 and head.fc.bias.abs().max() == 0  # N(0, 0.01)


def test_state_dict_of_named_heads_comes_back():
    model, other = build(), build()
    state = get_state_dict(model)
    assert {k.split('.')[0] for k in state} == {'backbone', 'neck', 'bbox_head', 'image_heads'}
    other.image_heads.weather.fc.weight.data.fill_(7)
    load_state_dict(other, state, strict=True)
    assert torch.equal(other.image_heads.weather.fc.weight, model.image_heads.weather.fc.weight)
    plain = DETECTORS.build(fcos())
    missing, unexpected = plain.load_state_dict(state, strict=False)
    assert not missing and all(k.startswith('image_heads.') for k in unexpected)


def test_frozen_halves_with_named_heads():
    data = mixed_batch()
    model = build(train_detector=False).train()
    losses = model(**model.data_preprocessor(copy.deepcopy(data), True), mode='loss')
    assert losses.keys() == {'weather.loss_cls', 'scene.loss_mlc'}
    assert {n.split('.')[0] for n in gradients(model, losses)} == {'image_heads'}
    model = build(train_image_head=False).train()
    losses = model(**model.data_preprocessor(data, True), mode='loss')
    assert not any('.' in name for name in losses)
    assert not model.image_heads.weather.fc.weight.requires_grad


def test_uncertainty_weighting_is_the_papers():
    """Section 3.2 of arXiv 1705.07115: L / variance + log deviation, for each task."""
    data = mixed_batch()
    plain, learnt = build(), build(loss_weighting='uncertainty')
    losses = plain(**plain.data_preprocessor(copy.deepcopy(data), True), mode='loss')
    logs = dict(detector=0.3, weather=-0.5, scene=1.0)
    for name, value in logs.items():
        learnt.loss_weights.log_variance[name].data.fill_(value)
    weighted = learnt(**learnt.data_preprocessor(data, True), mode='loss')
    expected = 0.0
    for name, value in logs.items():
        own = sum(loss for key, loss in losses.items()
                  if key.partition('.')[0] == name or ('.' not in key and name == 'detector'))
        variance = torch.tensor(value).exp()
        expected = expected + own / variance + variance.sqrt().log()
    total, _ = learnt.parse_losses(weighted)
    torch.testing.assert_close(total, expected)
    total.backward()
    assert all(p.grad != 0 for p in learnt.loss_weights.parameters())
    assert 'loss_weights.log_variance.weather' in learnt.state_dict()


def test_scores_of_labels_from_boxes():
    data = batch(SHAPE, SHAPE)
    scores = {}
    for kind in ('head', 'boxes', 'mean'):
        model = build(image_head=dict(IMAGE_HEAD, thresholds=0.1), image_heads=None,
                      label_scores=kind).eval()
        with torch.no_grad():
            results = model.test_step(copy.deepcopy(data))
        scores[kind] = torch.stack([sample.pred_scores for sample in results])
        for sample in results:
            assert sample.pred_labels.tolist() == (
                sample.pred_scores > 0.1).nonzero().flatten().tolist()
    for sample, found in zip(results, scores['boxes'], strict=True):
        best = [max([s for s, label in zip(sample.pred_instances.scores.tolist(),
                                           sample.pred_instances.labels.tolist(), strict=True)
                     if label == c], default=0.0) for c in range(CLASSES)]
        torch.testing.assert_close(found, torch.tensor(best))
    torch.testing.assert_close(scores['mean'], (scores['head'] + scores['boxes']) / 2)
    assert box_scores(_without_boxes(results[0]), CLASSES).sum() == 0


@pytest.mark.parametrize('kind', ['head', 'boxes', 'mean'])
def test_what_was_fitted_holds_for_the_scores_that_it_was_fitted_to(kind):
    """`calibrate` is given a model's predictions, whatever they are made of."""
    model = build(image_head=IMAGE_HEAD, image_heads=None, label_scores=kind).eval()
    with torch.no_grad():
        raw = torch.stack([s.pred_scores for s in model.test_step(batch(SHAPE, SHAPE))]).double()
        state = model.state_dict()
        fitted = dict(scale=torch.tensor([0.5, 2., 1.5]), bias=torch.tensor([1., -1., 0.]),
                      thresholds=torch.tensor([0.2, 0.9, 0.5]))
        state.update({f'image_head.calibration.{name}': x for name, x in fitted.items()})
        model.load_state_dict(state)
        results = model.test_step(batch(SHAPE, SHAPE))
    expected = torch.sigmoid(torch.logit(raw) * fitted['scale'] + fitted['bias']).float()
    torch.testing.assert_close(torch.stack([s.pred_scores for s in results]), expected)
    torch.testing.assert_close(torch.stack([s.raw_scores for s in results]), raw.float())
    for sample, row in zip(results, expected, strict=True):
        assert sample.pred_labels.tolist() == (
            row > fitted['thresholds']).nonzero().flatten().tolist()


def _without_boxes(sample):
    sample = sample.clone()
    sample.pred_instances = sample.pred_instances[:0]
    return sample


@pytest.mark.parametrize('kwargs, message', [
    (dict(image_heads=None), 'no image_head and there are no image_heads'),
    (dict(image_heads=dict(pred_instances=WEATHER)), "'pred_instances' cannot be the name"),
    (dict(image_heads={'a b': WEATHER}), "'a b' cannot be the name"),
    (dict(image_heads=dict(image_head=WEATHER)), "'image_head' cannot be the name"),
    (dict(image_heads=dict(forward=WEATHER)), "'forward' cannot be the name"),
    (dict(image_loss_weight=dict(wether=1)), r"names \['wether'\], the heads are \['weather', 'sc"),
    (dict(loss_weighting='learnt'), "'fixed' or 'uncertainty', got 'learnt'"),
    (dict(label_scores='boxes'), 'need an image_head'),
])
def test_wrong_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        build(**kwargs)


def test_a_single_label_head_needs_one_label():
    model = build()
    data = mixed_batch()
    data['data_samples'][2].weather = BaseDataElement(gt_labels=torch.tensor([1., 1.]))
    with pytest.raises(ValueError, match="image head 'weather': 2.jpg has 2 labels"):
        model(**model.data_preprocessor(data, True), mode='loss')
