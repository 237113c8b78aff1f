"""Whose channels follow the arch: each rule with the numbers that it has to give."""

import pytest
from mmengine.config import Config

from tresnet_mm import swap_backbone

RESNET = dict(type='ResNetV1c', depth=50, out_indices=(0, 1, 2, 3))
#: Channels of ResNet-50 and of TResNet-L: 256, 512, 1024, 2048 and 76, 152, 1216, 2432.


def swapped(arch='l', backbone=RESNET, **model):
    cfg = Config(dict(model=dict(backbone=backbone, **model), default_scope='mmseg'))
    return swap_backbone(cfg, arch).model.to_dict()


@pytest.mark.parametrize(('head', 'channels'), [
    (dict(in_channels=2048, in_index=3), 2432),
    (dict(in_channels=1024, in_index=2), 1216),
    (dict(in_channels=1024, in_index=-2), 1216),
    (dict(in_channels=256, in_index=0), 76),
    (dict(in_channels=2048), 2432),  # mmseg's default is the last map
    (dict(in_channels=512), 152),  # the only one of so many channels
    (dict(in_channels=[1024, 2048], in_index=[2, 3]), [1216, 2432]),
    (dict(in_channels=[2048, 256], in_index=[3, 0]), [2432, 76]),
    (dict(in_channels=[256, 512, 1024, 2048], in_index=[0, 1, 2, 3],
          input_transform='resize_concat'), [76, 152, 1216, 2432]),
    (dict(in_channels=[512, 1024, 2048]), [152, 1216, 2432]),
    (dict(in_channels=(512, 1024)), (152, 1216)),
])
@pytest.mark.parametrize('name', ['decode_head', 'auxiliary_head', 'head'])
def test_channels_of_a_head(name, head, channels):
    assert swapped(**{name: dict(type='Head', **head)})[name]['in_channels'] == channels


def test_each_head_of_a_list():
    model = swapped(
        decode_head=[dict(type='FCNHead', in_channels=1024, in_index=2, channels=256),
                     dict(type='OCRHead', in_channels=2048, in_index=3, channels=512)],
        auxiliary_head=[dict(type='FCNHead', in_channels=512, in_index=1, channels=1024)])
    assert [head['in_channels'] for head in model['decode_head']] == [1216, 2432]
    assert [head['channels'] for head in model['decode_head']] == [256, 512]
    assert model['auxiliary_head'] == [
        dict(type='FCNHead', in_channels=152, in_index=1, channels=1024)]


def test_shallow_map_of_deeplabv3plus():
    head = dict(type='DepthwiseSeparableASPPHead', in_channels=2048, in_index=3)
    assert swapped(decode_head=dict(c1_in_channels=256, **head))['decode_head'] == dict(
        type='DepthwiseSeparableASPPHead', in_channels=2432, in_index=3, c1_in_channels=76)
    assert swapped(decode_head=dict(c1_in_channels=0, **head))['decode_head'][
        'c1_in_channels'] == 0, '0 means that no such map is read'


def test_only_the_head_inside_that_reads_the_backbone():
    """K-Net: the update heads read what the generating one makes, of as many channels by chance."""
    head = swapped(decode_head=dict(
        type='IterativeDecodeHead',
        kernel_update_head=[dict(type='KernelUpdateHead', in_channels=512, out_channels=512)],
        kernel_generate_head=dict(type='FCNHead', in_channels=2048, in_index=3)))['decode_head']
    assert head['kernel_update_head'][0]['in_channels'] == 512
    assert head['kernel_generate_head']['in_channels'] == 2432


def test_heads_behind_a_neck_read_the_neck():
    model = swapped(
        neck=dict(type='FPN', in_channels=[256, 512, 1024, 2048], out_channels=256),
        decode_head=dict(type='FPNHead', in_channels=[256] * 4, in_index=[0, 1, 2, 3]),
        auxiliary_head=dict(type='FCNHead', in_channels=256, in_index=0))
    assert model['neck']['in_channels'] == [76, 152, 1216, 2432]
    assert model['decode_head']['in_channels'] == [256] * 4
    assert model['auxiliary_head']['in_channels'] == 256


def test_neck_that_hands_on_all_maps_but_its_own():
    """FastFCN: the last map is the neck's, which has the 2048 channels of ResNet's by chance."""
    model = swapped(
        backbone=dict(RESNET, out_indices=(1, 2, 3)),
        neck=dict(type='JPU', in_channels=(512, 1024, 2048), mid_channels=512),
        decode_head=dict(type='PSPHead', in_channels=2048, in_index=2),
        auxiliary_head=dict(type='FCNHead', in_channels=1024, in_index=1))
    assert model['neck']['in_channels'] == (152, 1216, 2432)
    assert model['decode_head']['in_channels'] == 2048
    assert model['auxiliary_head']['in_channels'] == 1216


def test_pooling_hands_on_the_channels():
    last = dict(type='ResNet', depth=50, out_indices=(3,))
    model = swapped(backbone=last, neck=dict(type='GlobalAveragePooling'),
                    head=dict(type='LinearClsHead', in_channels=2048, num_classes=1000))
    assert model['head'] == dict(type='LinearClsHead', in_channels=2432, num_classes=1000)
    model = swapped(backbone=last, neck=None, head=dict(type='CSRAClsHead', in_channels=2048))
    assert model['head']['in_channels'] == 2432


def test_predictor_behind_a_neck_of_as_many_channels():
    """SimSiam: 2048 channels thrice, of which one is the backbone's."""
    model = swapped(
        backbone=dict(type='ResNet', depth=50, out_indices=(3,)),
        neck=dict(type='NonLinearNeck', in_channels=2048, hid_channels=2048, out_channels=2048),
        head=dict(predictor=dict(type='NonLinearNeck', in_channels=2048, out_channels=2048)))
    assert model['neck'] == dict(type='NonLinearNeck', in_channels=2432, hid_channels=2048,
                                 out_channels=2048)
    assert model['head']['predictor']['in_channels'] == 2048


def test_encoder_given_as_a_list():
    cfg = Config(dict(model=dict(
        image_encoder=[dict(type='ResNet', depth=50), dict(type='GlobalAveragePooling')],
        head=dict(type='ArcFaceClsHead', in_channels=2048)), default_scope='mmpretrain'))
    model = swap_backbone(cfg, 'l').model.to_dict()
    assert model['image_encoder'] == [
        dict(type='TResNet', arch='l', out_indices=(3,)), dict(type='GlobalAveragePooling')]
    assert model['head']['in_channels'] == 2432


def test_two_models_in_one_each_have_their_channels():
    cfg = Config(dict(model=dict(
        detector=dict(backbone=dict(type='ResNet', depth=50),
                      neck=dict(type='FPN', in_channels=[256, 512, 1024, 2048])),
        reid=dict(backbone=dict(type='ResNet', depth=18, out_indices=(3,)),
                  neck=dict(type='GlobalAveragePooling'), head=dict(in_channels=512)))))
    model = swap_backbone(cfg, 'm').model
    assert model.detector.neck.in_channels == [64, 128, 1024, 2048]
    assert (model.reid.head.in_channels, model.reid.backbone.out_indices) == (2048, (3,))


def test_a_model_inside_a_part_reads_its_own_backbone():
    """Both have maps of 512, 1024 and 2048 channels: the outer one's are not the inner neck's."""
    model = swapped(part=dict(inner=dict(
        backbone=dict(type='ResNet', depth=50, out_indices=(1, 2, 3)),
        neck=dict(type='FPN', in_channels=[512, 1024, 2048]))))
    assert model['part']['inner']['neck']['in_channels'] == [152, 1216, 2432]


@pytest.mark.parametrize(('arch', 'depth', 'context', 'spatial', 'expected'), [
    ('l', 50, (512, 1024, 2048), (256, 256, 256, 512),
     dict(context_channels=(512, 1216, 2432), spatial_channels=(256, 256, 256, 704))),
    ('m', 18, (128, 256, 512), (64, 64, 64, 128),
     dict(context_channels=(128, 1024, 2048), spatial_channels=(64, 64, 64, 896))),
])
def test_bisenetv1(arch, depth, context, spatial, expected):
    """Its two paths are concatenated, and read as context_channels[1]; its outputs stay."""
    model = swapped(arch, backbone=dict(
        type='BiSeNetV1', context_channels=context, spatial_channels=spatial, out_channels=256,
        backbone_cfg=dict(type='ResNet', depth=depth)),
        decode_head=dict(type='FCNHead', in_channels=256, in_index=0))
    backbone = model['backbone']
    assert backbone.pop('backbone_cfg') == dict(type='TResNet', arch=arch)
    assert backbone == dict(type='BiSeNetV1', out_channels=256, **expected)
    assert sum(expected['spatial_channels'][-1:] + context[:1]) == expected['context_channels'][1]
    assert model['decode_head']['in_channels'] == 256


@pytest.mark.parametrize('given', [dict(layer_channels=(512, 2048)), {}])
def test_icnet(given):
    backbone = swapped(backbone=dict(type='ICNet', backbone_cfg=dict(
        RESNET, strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4)), **given),
        neck=dict(type='ICNeck', in_channels=(64, 256, 256)))['backbone']
    assert backbone == dict(type='ICNet', layer_channels=(152, 2432), backbone_cfg=dict(
        type='ICNetTResNet', arch='l', strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4)))


@pytest.mark.parametrize(('model', 'message'), [
    (dict(decode_head=dict(in_channels=1024, in_index=3)),
     r'model.decode_head.in_channels=1024 \(map 3\) does not say which .* have 256, 512, 1024, '),
    (dict(decode_head=dict(in_channels=2048, in_index=4)), r'in_channels=2048 \(map 4\)'),
    (dict(auxiliary_head=[dict(in_channels=320)]), 'model.auxiliary_head.in_channels=320'),
    (dict(decode_head=dict(in_channels=3840, input_transform='resize_concat', in_index=[0, 1])),
     r'in_channels=3840 does not go with an index of \[0, 1\]'),
    (dict(decode_head=dict(in_channels=[1024, 2048], in_index=3)), 'not go with an index of 3'),
    (dict(decode_head=dict(in_channels=[256, 1024])), r'in_channels=\[256, 1024\] does not say'),
    (dict(neck=dict(type='FPN', in_channels=[512, 1024, 4096])), r'model.neck.in_channels=\[512,'),
    (dict(backbone=dict(type='ICNet', layer_channels=(128, 512), backbone_cfg=RESNET)),
     'model.backbone.layer_channels.0=128'),
    (dict(backbone=dict(type='BiSeNetV1', backbone_cfg=dict(type='SwinTransformer'))),
     'is a SwinTransformer, and only these'),
])
def test_what_cannot_be_followed_is_refused(model, message):
    with pytest.raises(ValueError, match=message) as error:
        swapped(**model)
    assert '\n' not in str(error.value)


def test_maps_of_equal_channels_need_an_index():
    """No ResNet of any library has such, but a neck may hand on what is like one of its maps."""
    from tresnet_mm.backbone_swap.readers import FeatureMap, _followed
    maps = [FeatureMap(512, 152), FeatureMap(512, 1216)]
    with pytest.raises(ValueError, match='h.in_channels=512 does not say which feature map'):
        _followed(512, None, maps, 'h.in_channels')
    assert _followed(512, 1, maps, 'h.in_channels') == 1216
