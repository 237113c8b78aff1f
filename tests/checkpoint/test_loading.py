"""Published and own checkpoints through mmengine's own doors: init_cfg, load_from, state dicts."""

import copy
import logging

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.model import BaseModel, ExponentialMovingAverage
from mmengine.registry import MODELS
from mmengine.runner.checkpoint import load_checkpoint, save_checkpoint
from torch import nn

from tresnet_mm.checkpoint import convert, load_pretrained, write_file
from tresnet_mm.models import MultiLabelClassifier, TResNet


class Detector(BaseModel):
    """The layout of mmdet's detectors, without mmdet."""

    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone
        self.neck = nn.Conv2d(4, 4, 1)
        self.bbox_head = nn.Conv2d(4, 4, 1)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return self.backbone(inputs)


@pytest.fixture
def log():
    """Messages of mmengine's current logger."""
    records = []

    class Handler(logging.Handler):
        def emit(self, record):
            records.append((record.levelno, record.getMessage()))

    logger, handler = MMLogger.get_current_instance(), Handler()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)  # whatever another test left
    yield records
    logger.setLevel(level)
    logger.removeHandler(handler)


def classifier(make, **head) -> MultiLabelClassifier:
    head = dict(type='MultiLabelLinearHead', num_classes=5) | head
    model = MultiLabelClassifier(
        backbone=dict(type='TResNet', arch=make().arch), head=head)
    return model.eval()


@pytest.mark.parametrize('ending', ['.pth', '.safetensors'])
@pytest.mark.parametrize('norm', ['InPlaceABN', 'BN'])
@pytest.mark.parametrize('family', ['official', 'timm'])
def test_init_cfg(family, norm, ending, request, make, images, assert_same, tmp_path):
    state_dict = request.getfixturevalue(family)
    path = tmp_path / f'model{ending}'
    if ending == '.pth':
        torch.save({'model': state_dict}, path)
    else:
        from safetensors.torch import save_file
        save_file(state_dict, path)
    net = MODELS.build(dict(type='TResNet', arch=make().arch, norm_cfg=dict(type=norm),
                            init_cfg=dict(type='Pretrained', checkpoint=str(path))))
    net.init_weights()
    assert net.is_init
    reference = request.getfixturevalue('abn_net' if family == 'official' else 'bn_net')
    assert_same(net, reference, images)


@pytest.mark.parametrize('prefix', [None, 'backbone', 'backbone.'])
@pytest.mark.parametrize('norm', ['InPlaceABN', 'BN'])
def test_init_cfg_from_a_trained_detector(prefix, norm, make, bn_net, images, assert_same,
                                          tmp_path):
    """Also across norm layers, and with mmengine's option for a part of a model."""
    path = str(tmp_path / 'epoch_1.pth')
    detector = Detector(bn_net)
    save_checkpoint({'state_dict': detector.state_dict(), 'meta': {}}, path)
    net = make(norm, seed=1)
    net.init_cfg = dict(type='Pretrained', checkpoint=path, prefix=prefix)
    net.init_weights()
    assert_same(net, bn_net, images)


def test_init_cfg_of_a_published_file_with_prefix(make, timm, bn_net, images, assert_same,
                                                  tmp_path):
    torch.save(timm, tmp_path / 'model.pth')
    net = make('InPlaceABN', seed=1)
    load_pretrained(net, str(tmp_path / 'model.pth'), prefix='backbone.')
    assert_same(net, bn_net, images)


def test_init_cfg_with_another_initialiser(make, official, abn_net, images, assert_same,
                                           tmp_path):
    """The pretrained weights come last, whatever else is in the list."""
    torch.save(official, tmp_path / 'model.pth')
    net = make(seed=1)
    net.init_cfg = [dict(type='Pretrained', checkpoint=str(tmp_path / 'model.pth')),
                    dict(type='Constant', layer='Conv2d', val=0.1)]
    net.init_weights()
    assert_same(net, abn_net, images)


def test_init_cfg_errors_name_file_and_archs(make, official, tmp_path):
    path = str(tmp_path / 'model.pth')
    torch.save(official, path)
    net = TResNet(arch=dict(depths=(1, 1, 1, 1), width=0.25),
                  init_cfg=dict(type='Pretrained', checkpoint=path))
    with pytest.raises(ValueError) as error:
        net.init_weights()
    for part in (path, 'depths', '(1, 2, 1, 2)', '(1, 1, 1, 1)'):
        assert part in str(error.value)


def test_init_cfg_of_another_model(tmp_path):
    path = str(tmp_path / 'r50.pth')
    torch.save({'state_dict': {'backbone.conv1.weight': torch.ones(64, 3, 7, 7)}}, path)
    net = TResNet(arch=dict(depths=(1, 1, 1, 1), width=0.25))
    with pytest.raises(ValueError, match='r50.pth.*no TResNet.*backbone.conv1.weight'):
        load_pretrained(net, path)
    with pytest.raises(ValueError, match="no keys under 'student.'"):
        load_pretrained(net, path, prefix='student')


@pytest.mark.parametrize('norm', ['InPlaceABN', 'BN'])
@pytest.mark.parametrize('family', ['official', 'timm'])
def test_load_from_into_a_detector(family, norm, request, make, images, assert_same, tmp_path,
                                   log):
    """The backbone whole; the published head goes in one line, the missing parts are named."""
    path = str(tmp_path / 'model.pth')
    torch.save({'model': request.getfixturevalue(family)}, path)
    detector = Detector(make(norm, seed=1))
    load_checkpoint(detector, path, map_location='cpu', logger='current')
    reference = request.getfixturevalue('abn_net' if family == 'official' else 'bn_net')
    assert_same(detector.backbone, reference, images)
    assert len([m for _, m in log if 'head (2 parameters)' in m]) == 1
    warnings = [m for level, m in log if level >= logging.WARNING]
    assert all('head.fc' not in m and 'backbone.' not in m for m in warnings)
    assert any('bbox_head.weight' in m for m in warnings)


class Teacher(BaseModel):
    """A model around a detector that renames keys, as mmdet's semi-supervised ones do."""

    def __init__(self, detector):
        super().__init__()
        self.teacher = detector

    def forward(self, *args, **kwargs):
        return self.teacher(*args, **kwargs)

    def _load_from_state_dict(self, state_dict, prefix, *args):
        for key in list(state_dict):
            state_dict['teacher.' + key] = state_dict.pop(key)
        super()._load_from_state_dict(state_dict, prefix, *args)


def test_load_from_into_a_model_that_renames_keys(make, timm, bn_net, images, assert_same,
                                                  tmp_path):
    path = str(tmp_path / 'model.pth')
    torch.save(timm, path)
    model = Teacher(Detector(make('InPlaceABN', seed=1)))
    load_checkpoint(model, path)
    assert_same(model.teacher.backbone, bn_net, images)


def test_load_from_with_the_wrong_arch(make, official, tmp_path):
    path = str(tmp_path / 'model.pth')
    torch.save(official, path)
    detector = Detector(TResNet(arch=dict(depths=(1, 2, 2, 2), width=0.25)))
    with pytest.raises(ValueError, match=r'\(1, 2, 1, 2\).*the model of arch.*\(1, 2, 2, 2\)'):
        load_checkpoint(detector, path)


def test_arch_mismatch_of_published_archs_names_both():
    with torch.device('meta'):
        net, other = TResNet(arch='l'), TResNet(arch='v2_l')
    with pytest.raises(ValueError, match="of TResNet arch 'v2_l', the model of arch 'l'"):
        net.load_state_dict(other.state_dict())


def test_own_detector_loads_as_ever(make, images, assert_same, tmp_path, log):
    path = str(tmp_path / 'epoch_1.pth')
    source, target = Detector(make(seed=1)), Detector(make(seed=2))
    save_checkpoint({'state_dict': source.state_dict(), 'meta': {}}, path)
    load_checkpoint(target, path, strict=True)
    for key, value in source.state_dict().items():
        assert torch.equal(target.state_dict()[key], value), key
    assert not [m for level, m in log if level >= logging.WARNING and 'match' in m]


def test_own_detector_across_norm_layers(bn_net, make, images, assert_same, tmp_path):
    path = str(tmp_path / 'epoch_1.pth')
    save_checkpoint({'state_dict': Detector(bn_net).state_dict(), 'meta': {}}, path)
    target = Detector(make('InPlaceABN', seed=1))
    load_checkpoint(target, path, strict=True)
    assert_same(target.backbone, bn_net, images)


def test_partial_backbone_is_refused(make, tmp_path):
    """mmengine alone would warn and go on with half a network."""
    state_dict = Detector(make()).state_dict()
    del state_dict['backbone.layer3.0.conv1.conv.weight']
    path = str(tmp_path / 'broken.pth')
    torch.save({'state_dict': state_dict}, path)
    with pytest.raises(ValueError, match='missing layer3.0.conv1.conv.weight'):
        load_checkpoint(Detector(make()), path)


def test_file_without_a_backbone_is_refused(make, tmp_path):
    path = str(tmp_path / 'other.pth')
    torch.save({'state_dict': {'neck.weight': torch.ones(4, 4, 1, 1)}}, path)
    with pytest.raises(ValueError, match='holds nothing for the model'):
        load_checkpoint(Detector(make()), path)


@pytest.mark.parametrize('through', ['file', 'state_dict'])
@pytest.mark.parametrize('family', ['official', 'timm'])
def test_load_from_into_the_classifier(family, through, request, make, images, tmp_path):
    state_dict = request.getfixturevalue(family)
    reference = request.getfixturevalue('abn_net' if family == 'official' else 'bn_net')
    model = classifier(make)
    if through == 'file':
        torch.save({'model': state_dict}, tmp_path / 'model.pth')
        load_checkpoint(model, str(tmp_path / 'model.pth'), strict=True)
    else:
        model.load_state_dict(state_dict)
    with torch.no_grad():
        pooled = reference(images)[-1].mean(dim=(2, 3))
        expected = pooled @ state_dict['head.fc.weight'].T + state_dict['head.fc.bias']
        assert torch.allclose(model(images), expected, rtol=1e-4, atol=1e-4)


def test_class_names_reach_the_model_and_the_checkpoint_s_meta(make, official, tmp_path):
    path = str(tmp_path / 'asl.pth')
    names = tuple('abcde')
    torch.save({'model': official, 'idx_to_class': dict(enumerate(names))}, path)
    model = classifier(make)
    assert model.dataset_meta is None
    checkpoint = load_checkpoint(model, path, strict=True)
    assert model.dataset_meta['classes'] == names
    assert checkpoint['meta']['dataset_meta']['classes'] == names
    assert checkpoint['meta']['tresnet_mm']['family'] == 'asl'


def test_other_class_count_is_refused(make, official, tmp_path):
    path = str(tmp_path / 'model.pth')
    torch.save(official, path)
    with pytest.raises(ValueError, match='linear head for 5 classes.*linear head for 7 classes.*'
                                         'init_cfg'):
        load_checkpoint(classifier(make, num_classes=7), path)


def test_other_kind_of_head_is_refused(make, official, tmp_path):
    path = str(tmp_path / 'model.pth')
    torch.save(official, path)
    with pytest.raises(ValueError, match='linear head.*ml_decoder head for 5 classes in 5 groups'):
        load_checkpoint(classifier(make, type='MLDecoderHead', embed_dims=8), path)


def test_backbone_only_file_leaves_the_classifiers_head(make, official, abn_net, images,
                                                        assert_same, tmp_path):
    path = str(tmp_path / 'backbone.safetensors')
    converted = convert(official).backbone_only()
    write_file(path, converted.state_dict, {'tresnet_mm': {'norm': converted.norm}})
    model = classifier(make, num_classes=7)
    before = copy.deepcopy(model.head.state_dict())
    load_checkpoint(model, path)
    assert all(torch.equal(v, before[k]) for k, v in model.head.state_dict().items())
    assert_same(model.backbone, abn_net, images)


def test_averaged_and_copied_models_load(make, official, abn_net, images, assert_same, tmp_path):
    """What mmengine's EMAHook does: a deep copy of the model, loaded from the same file."""
    path = str(tmp_path / 'model.pth')
    torch.save(official, path)
    averaged = ExponentialMovingAverage(Detector(make(seed=1)))
    load_checkpoint(averaged.module, path)
    assert_same(averaged.module.backbone, abn_net, images)
    state_dict = averaged.state_dict()
    again = ExponentialMovingAverage(Detector(make(seed=2)))
    again.load_state_dict(state_dict)
    assert_same(again.module.backbone, abn_net, images)


@pytest.mark.parametrize('name', ['fcos', 'retinanet'])
def test_load_from_into_mmdet(name, make, official, abn_net, images, assert_same, tmp_path, log):
    pytest.importorskip('mmdet.models', exc_type=ImportError)
    from mmdet.utils import register_all_modules
    register_all_modules(init_default_scope=False)
    channels = make().out_channels
    head = dict(fcos=dict(type='mmdet.FCOSHead'),
                retinanet=dict(type='mmdet.RetinaHead', anchor_generator=dict(
                    type='mmdet.AnchorGenerator', octave_base_scale=4, scales_per_octave=3,
                    ratios=[0.5, 1.0, 2.0], strides=[8, 16, 32, 64, 128])))[name]
    kind = dict(fcos='mmdet.FCOS', retinanet='mmdet.RetinaNet')[name]
    detector = MODELS.build(dict(
        type=kind,
        backbone=dict(type='TResNet', arch=make().arch),
        neck=dict(type='mmdet.FPN', in_channels=list(channels), out_channels=32, start_level=1,
                  add_extra_convs='on_output', num_outs=5),
        bbox_head=dict(num_classes=3, in_channels=32, feat_channels=32, **head)))
    path = str(tmp_path / 'model.pth')
    torch.save({'model': official}, path)
    load_checkpoint(detector, path, logger='current')
    assert_same(detector.backbone, abn_net, images)
    assert len([m for _, m in log if 'head (2 parameters)' in m]) == 1
