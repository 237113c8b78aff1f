"""Both tasks on one backbone: any kind of detector, checkpoints of either task, frozen parts."""
import copy

import pytest
import torch
from mmdet.registry import MODELS as DETECTORS
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.dataset import pseudo_collate
from mmengine.hub import get_config
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner.checkpoint import get_state_dict, load_state_dict
from mmengine.structures import InstanceData

from tresnet_mm.models import MultiLabelClassifier, MultiTaskTTAModel
from tresnet_mm.models.image_labels import image_labels

CLASSES = 3
PREPROCESSOR = dict(type='DetDataPreprocessor', mean=[0.] * 3, std=[255.] * 3, bgr_to_rgb=True,
                    pad_size_divisor=32)
TINY = dict(type='TResNet', arch=dict(depths=(1, 1, 1, 1), width=0.125,
                                      blocks=('basic', 'basic', 'bottleneck', 'bottleneck')))
CHANNELS = [8, 16, 128, 256]
IMAGE_HEAD = dict(type='MultiLabelLinearHead', num_classes=CLASSES)
NMS = dict(nms_pre=100, min_bbox_size=0, score_thr=0.0, nms=dict(type='nms', iou_threshold=0.6),
           max_per_img=20)


@pytest.fixture(autouse=True)
def _mmdet_scope():
    """What ``default_scope = 'mmdet'`` does in a config."""
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield


def fcos():
    return ConfigDict(
        type='FCOS', data_preprocessor=PREPROCESSOR, backbone=TINY,
        neck=dict(type='FPN', in_channels=CHANNELS, out_channels=16, start_level=1,
                  add_extra_convs='on_output', num_outs=4),
        bbox_head=dict(type='FCOSHead', num_classes=CLASSES, in_channels=16, feat_channels=16,
                       stacked_convs=1, norm_cfg=None, strides=[8, 16, 32, 64],
                       regress_ranges=((-1, 64), (64, 128), (128, 256), (256, 1e8))),
        test_cfg=NMS)


def faster_rcnn():
    model = get_config('mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py').model
    model.backbone, model.data_preprocessor = ConfigDict(TINY), ConfigDict(PREPROCESSOR)
    model.neck.update(in_channels=CHANNELS, out_channels=16)
    model.rpn_head.update(in_channels=16, feat_channels=16)
    model.roi_head.bbox_roi_extractor.out_channels = 16
    model.roi_head.bbox_head.update(in_channels=16, fc_out_channels=16, num_classes=CLASSES)
    return model


def deformable_detr():
    model = get_config('mmdet::deformable_detr/deformable-detr_r50_16xb2-50e_coco.py').model
    model.backbone = ConfigDict(TINY, out_indices=(1, 2, 3))
    model.data_preprocessor = ConfigDict(PREPROCESSOR)
    model.num_queries = 20
    model.neck.in_channels = CHANNELS[1:]
    model.bbox_head.num_classes = CLASSES
    for part in (model.encoder, model.decoder):
        part.num_layers = 1
        part.layer_cfg.ffn_cfg.feedforward_channels = 32
    model.test_cfg.max_per_img = 20
    return model


DETECTORS_OF_EACH_KIND = [fcos, faster_rcnn, deformable_detr]


def build(detector=None, head=None, **kwargs):
    model = MODELS.build(dict(type='MultiTaskDetector', detector=detector or fcos(),
                              image_head=head or IMAGE_HEAD, **kwargs))
    model.init_weights()
    return model


def batch(*shapes, seed=0):
    """Images with two objects each, the second of another class, and one crowd of class 2."""
    generator = torch.Generator().manual_seed(seed)
    data = []
    for i, (h, w) in enumerate(shapes):
        boxes = torch.tensor([[4., 4., 40., 36.], [10., 20., 60., 60.], [0., 0., 30., 30.]])
        sample = DetDataSample(metainfo=dict(
            img_id=i, img_path=f'{i}.jpg', img_shape=(h, w), ori_shape=(h, w),
            scale_factor=(1.0, 1.0), flip=False, flip_direction=None))
        sample.gt_instances = InstanceData(bboxes=boxes[:2], labels=torch.tensor([0, i % 2]))
        sample.ignored_instances = InstanceData(bboxes=boxes[2:], labels=torch.tensor([2]))
        image = torch.randint(0, 256, (3, h, w), generator=generator).to(torch.uint8)
        data.append(dict(inputs=image, data_samples=sample))
    return pseudo_collate(data)


LABELS = torch.tensor([[1., 0., 1.], [1., 1., 1.]])  # of batch(a, b)


@pytest.mark.parametrize('detector', DETECTORS_OF_EACH_KIND)
def test_one_backbone_pass_gives_both_tasks(detector):
    model = build(detector())
    passes = []
    model.backbone.register_forward_hook(lambda *args: passes.append(args[2]))
    data = model.data_preprocessor(batch((64, 96), (64, 64)), training=True)
    model.train()
    losses = model(**copy.deepcopy(data), mode='loss')
    assert len(passes) == 1
    assert 'loss_mlc' in losses and sum('loss' in k for k in losses) >= 3
    loss, _ = model.parse_losses(losses)
    loss.backward()
    assert loss.isfinite()
    unused = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert not unused
    model.eval()
    with torch.no_grad():
        results = model(**copy.deepcopy(data), mode='predict')
        logits = model.image_head(passes[1])
    assert len(passes) == 2
    torch.testing.assert_close(torch.stack([r.gt_labels for r in results]), LABELS)
    for sample in results:
        assert len(sample.pred_instances.scores) and sample.pred_scores.shape == (CLASSES, )
    torch.testing.assert_close(results[0].pred_scores, logits[0].sigmoid())  # the unpadded image


@pytest.mark.parametrize('detector', DETECTORS_OF_EACH_KIND)
def test_boxes_are_the_plain_detectors(detector):
    cfg = detector()
    plain = DETECTORS.build(copy.deepcopy(cfg))
    plain.init_weights()
    model = build(cfg)
    missing, unexpected = model.load_state_dict(plain.state_dict(), strict=False)
    assert all(k.startswith('image_head.') for k in missing) and not unexpected
    plain.eval(), model.eval()
    data = batch((64, 64), (64, 96))
    with torch.no_grad():
        a, b = plain.test_step(copy.deepcopy(data)), model.test_step(copy.deepcopy(data))
    for x, y in zip(a, b, strict=True):
        torch.testing.assert_close(y.pred_instances.bboxes, x.pred_instances.bboxes)
        torch.testing.assert_close(y.pred_instances.scores, x.pred_instances.scores)


def test_state_dict_has_the_detectors_keys_and_comes_back():
    model, other = build(), build()
    for state in (model.state_dict(), get_state_dict(model)):
        assert {k.split('.')[0] for k in state} == {'backbone', 'neck', 'bbox_head', 'image_head'}
    load_state_dict(other, get_state_dict(model), strict=True)
    for (k, a), b in zip(model.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b), k
    plain = DETECTORS.build(fcos())
    missing, unexpected = plain.load_state_dict(model.state_dict(), strict=False)
    assert not missing and all(k.startswith('image_head.') for k in unexpected)


@pytest.mark.parametrize('norm', ['InPlaceABN', 'BN'])
@pytest.mark.parametrize('get_state', [torch.nn.Module.state_dict, get_state_dict])
def test_its_backbone_is_converted_to_a_plain_detectors_norm(norm, get_state):
    model, cfg, images = build().eval(), fcos(), torch.rand(1, 3, 64, 64)
    torch.nn.init.constant_(model.backbone.conv1.norm.weight, -0.5)
    cfg.backbone = dict(cfg.backbone, norm_cfg=dict(type=norm))
    plain = DETECTORS.build(cfg).eval()
    plain.load_state_dict(get_state(model), strict=False)
    torch.testing.assert_close(plain.backbone(images), model.backbone(images))
    back = build().eval()
    back.load_state_dict(get_state(model))
    torch.testing.assert_close(back.backbone(images), model.backbone(images))


def test_state_dict_inside_another_module():
    model, other = build(), build()
    wrapped, target = torch.nn.ModuleDict(dict(ema=model)), torch.nn.ModuleDict(dict(ema=other))
    state = wrapped.state_dict()
    assert 'ema.backbone.conv1.conv.weight' in state
    target.load_state_dict(state, strict=True)
    assert torch.equal(other.image_head.fc.weight, model.image_head.fc.weight)


@pytest.mark.parametrize('loader', ['torch', 'mmengine'])
def test_a_classifiers_checkpoint_loads_into_its_part(loader):
    model, classifier = build(), MultiLabelClassifier(TINY, IMAGE_HEAD)
    classifier.init_weights()
    before = {k: v.clone() for k, v in model.neck.state_dict().items()}
    if loader == 'torch':
        _, unexpected = model.load_state_dict(classifier.state_dict(), strict=False)
        assert not unexpected
    else:
        load_state_dict(model, get_state_dict(classifier))
    assert torch.equal(model.image_head.fc.weight, classifier.head.fc.weight)
    assert torch.equal(model.backbone.conv1.conv.weight, classifier.backbone.conv1.conv.weight)
    assert all(torch.equal(v, before[k]) for k, v in model.neck.state_dict().items())


def test_weights_of_the_losses():
    data = batch((64, 64), (64, 64))
    results = []
    for weights in [(1.0, 1.0), (0.5, 3.0)]:
        torch.manual_seed(0)
        model = build(detector_loss_weight=weights[0], image_loss_weight=weights[1])
        results.append(model(**model.data_preprocessor(copy.deepcopy(data), True), mode='loss'))
    plain, weighted = results
    assert weighted.keys() == plain.keys()
    for name, loss in plain.items():
        factor = 3.0 if name == 'loss_mlc' else 0.5
        torch.testing.assert_close(weighted[name], factor * loss)


@pytest.mark.parametrize('loss', [
    'HillLoss', 'SPLCLoss', 'PartialAsymmetricLoss', 'TwoWayLoss', 'ZLPRLoss'])
def test_other_losses_and_class_weights_of_the_image_head(loss):
    data = batch((64, 64), (64, 64))
    model = build(head=dict(IMAGE_HEAD, loss=dict(type=loss)))
    data = model.data_preprocessor(data, True)
    model.image_head.set_class_weight([1.0, 1.0, 0.0])
    model(**data, mode='loss')['loss_mlc'].backward()
    grad = model.image_head.fc.bias.grad
    assert grad[0] != 0 and grad[1] != 0 and grad[2] == 0


def test_frozen_detector_keeps_its_boxes_while_the_image_head_learns():
    model = build(train_detector=False)
    data = batch((64, 64), (64, 64))
    before = copy.deepcopy(model.state_dict())
    model.train()
    assert not model.detector.training and model.image_head.training
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for _ in range(3):
        losses = model(**model.data_preprocessor(copy.deepcopy(data), True), mode='loss')
        assert list(losses) == ['loss_mlc']
        losses['loss_mlc'].backward()
        optimizer.step()
    changed = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    assert changed == {'image_head.fc.weight', 'image_head.fc.bias'}


def test_frozen_image_head_gives_no_loss():
    model = build(train_image_head=False).train()
    losses = model(**model.data_preprocessor(batch((64, 64)), True), mode='loss')
    assert 'loss_mlc' not in losses and losses
    model.parse_losses(losses)[0].backward()
    assert model.image_head.fc.weight.grad is None
    assert model.backbone.conv1.conv.weight.grad is not None


def test_image_labels():
    sample = DetDataSample()
    assert image_labels(sample, 4) is None
    sample.gt_instances = InstanceData()  # packed without annotations
    assert image_labels(sample, 4) is None
    sample.gt_instances = InstanceData(labels=torch.tensor([1, 1]))
    assert image_labels(sample, 4).tolist() == [0, 1, 0, 0]
    sample.ignored_instances = InstanceData(labels=torch.tensor([3]))
    assert image_labels(sample, 4).tolist() == [0, 1, 0, 1]
    sample.gt_instances = InstanceData(labels=torch.zeros(0, dtype=torch.long))
    sample.ignored_instances = InstanceData(labels=torch.zeros(0, dtype=torch.long))
    assert image_labels(sample, 4).tolist() == [0, 0, 0, 0]


def test_attributes_of_the_detector():
    model = build()
    assert model.bbox_head is model.detector.bbox_head and model.with_neck
    with pytest.raises(AttributeError):
        model.no_such_thing  # noqa: B018
    clone = copy.deepcopy(model)
    assert clone.backbone is clone.detector.backbone is not model.backbone
    passes = []
    model.backbone.register_forward_hook(lambda *args: passes.append(1))
    clone.eval().test_step(batch((64, 64)))
    assert not passes


def test_tensor_mode_returns_both():
    model = build().eval()
    (cls, *_), logits = model(torch.rand(2, 3, 64, 64))
    assert cls[0].shape[:2] == logits.shape == (2, CLASSES)
    with pytest.raises(ValueError, match="got 'boxes'"):
        model(torch.rand(2, 3, 64, 64), mode='boxes')


def test_views_are_merged_for_both_tasks():
    model = build().eval()
    model.image_head.thresholds = torch.full((CLASSES, ), 0.5)
    views = [batch((64, 64), (64, 64)), batch((64, 64), (64, 64), seed=1)]
    with torch.no_grad():
        singles = [model.test_step(copy.deepcopy(view)) for view in views]
        tta = MultiTaskTTAModel(module=model, tta_cfg=ConfigDict(
            nms=dict(type='nms', iou_threshold=0.5), max_per_img=7))
        merged = tta.test_step({key: [view[key] for view in views] for key in views[0]})
    for sample, a, b in zip(merged, *singles, strict=True):
        torch.testing.assert_close(sample.pred_scores, (a.pred_scores + b.pred_scores) / 2)
        assert 0 < len(sample.pred_instances) <= 7 and 'pred_labels' in sample


@pytest.mark.parametrize('kwargs, message', [
    (dict(train_detector=False, train_image_head=False), 'both False'),
    (dict(head=dict(IMAGE_HEAD, num_classes=7)), 'detector has 3 classes, .* image head has 7'),
])
def test_wrong_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        build(**kwargs)


def test_detector_without_backbone():
    class Odd(torch.nn.Module):
        pass

    DETECTORS.register_module(name='OddDetector', module=Odd, force=True)
    with pytest.raises(ValueError, match='Odd has no backbone to share'):
        build(dict(type='OddDetector'))


def test_a_checkpoint_with_another_head_is_refused():
    model = build()
    classifier = MultiLabelClassifier(TINY, dict(IMAGE_HEAD, num_classes=9))
    with pytest.raises(ValueError, match='checkpoint has .*9 classes'):
        model.load_state_dict(classifier.state_dict(), strict=False)
