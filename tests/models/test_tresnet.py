"""The backbone: shapes, sizes, freezing, checkpointing, norm layers, initialisation."""

import copy

import pytest
import torch
from mmengine.model import convert_sync_batchnorm
from mmengine.registry import MODELS
from torch import nn

from tests.lines import needs_compiler
from tresnet_mm.models import ARCHS, TResNet
from tresnet_mm.models.layers import InPlaceABN

TINY = dict(depths=(1, 2, 1, 1), width=0.25)
#: Channels of the stages and parameters of the published backbones.
PUBLISHED = {
    's': ((64, 128, 1024, 2048), None),
    'm': ((64, 128, 1024, 2048), 29_340_032),
    'l': ((76, 152, 1216, 2432), 53_556_256),
    'xl': ((83, 166, 1328, 2656), 75_779_244),
    'v2_l': ((256, 512, 1024, 2048), 44_125_824),
    'v2_xl': ((256, 512, 1024, 2048), 67_251_712),
}


def tiny(**kwargs) -> TResNet:
    """A small network with random running statistics and no zero scale."""
    torch.manual_seed(0)
    model = TResNet(TINY, **kwargs)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.8, 1.2)
    return model


def gradients(model: nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    sum(f.square().mean() for f in model(x)).backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize('arch', ARCHS)
def test_channels_and_parameters_are_the_published_ones(arch):
    channels, parameters = PUBLISHED[arch]
    with torch.device('meta'):
        model = TResNet(arch)
    assert model.out_channels == channels
    if parameters is not None:
        assert sum(p.numel() for p in model.parameters()) == parameters


def test_is_built_from_a_config_of_any_scope():
    model = MODELS.build(dict(type='TResNet', arch=TINY, out_indices=(1, 3)))
    assert isinstance(model, TResNet)
    from mmdet.registry import MODELS as MMDET_MODELS
    assert MMDET_MODELS.get('TResNet') is TResNet


@pytest.mark.parametrize('arch', [TINY, dict(TINY, blocks=('bottleneck',) * 4)])
def test_every_parameter_gets_a_gradient(arch):
    model = TResNet(arch)
    grads = gradients(model, torch.rand(2, 3, 64, 64))
    assert set(grads) == {name for name, _ in model.named_parameters()}
    assert all(grad.isfinite().all() for grad in grads.values())


@pytest.mark.parametrize('size', [(32, 32), (33, 47), (64, 100), (70, 51)])
def test_any_size_is_the_padded_one(size):
    model = tiny().eval()
    x = torch.rand(2, 3, *size)
    h, w = -(-size[0] // 4) * 4, -(-size[1] // 4) * 4
    padded = torch.zeros(2, 3, h, w)
    padded[:, :, :size[0], :size[1]] = x
    with torch.no_grad():
        outs, expected = model(x), model(padded)
    for i, (out, other) in enumerate(zip(outs, expected, strict=True)):
        stride = 4 * 2 ** i
        assert out.shape[2:] == (-(-size[0] // stride), -(-size[1] // stride))
        assert torch.equal(out, other)


def test_too_small_an_image_is_named():
    with pytest.raises(ValueError, match='at least 32 x 32 pixels, got 31 x 64'):
        tiny()(torch.rand(2, 3, 31, 64))


def test_out_indices():
    x = torch.rand(2, 3, 64, 64)
    whole, some = tiny().eval(), tiny(out_indices=(1, 2)).eval()
    assert some.out_channels == whole.out_channels[1:3]
    torch.testing.assert_close(some(x), whole(x)[1:3])


def test_stages_that_do_not_run_want_no_gradient():
    model = tiny(out_indices=(1,))
    grads = gradients(model, torch.rand(2, 3, 64, 64))
    assert set(grads) == {name for name, p in model.named_parameters() if p.requires_grad}
    assert not any(p.requires_grad for p in model.layer3.parameters())


def test_other_input_channels():
    assert tiny(in_channels=5).eval()(torch.rand(1, 5, 32, 32))[0].shape == (1, 16, 8, 8)


def test_strides_and_dilations_keep_the_resolution():
    model = tiny(strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4)).eval()
    outs = model(torch.rand(1, 3, 64, 64))
    assert [tuple(f.shape[2:]) for f in outs] == [(16, 16), (8, 8), (8, 8), (8, 8)]
    assert model.layer4[0].conv2.conv.dilation == (4, 4)
    # The weights are those of the network without dilation.
    model.load_state_dict(tiny().state_dict(), strict=True)


@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last])
def test_memory_formats_agree(memory_format):
    model, x = tiny(), torch.rand(2, 3, 64, 64)
    expected = gradients(copy.deepcopy(model), x)
    model.to(memory_format=memory_format)
    grads = gradients(model, x.to(memory_format=memory_format))
    for name, grad in grads.items():
        torch.testing.assert_close(grad, expected[name], rtol=1e-3, atol=1e-5)


def test_train_returns_self_and_freezes():
    model = tiny(frozen_stages=2)
    assert model.train() is model
    assert model.eval() is model
    model.train()
    before = copy.deepcopy(model.state_dict())
    grads = gradients(model, torch.rand(2, 3, 64, 64))
    assert grads
    assert all(name.startswith(('layer3', 'layer4')) for name in grads)
    changed = {name.split('.')[0] for name, value in model.state_dict().items()
               if not torch.equal(value, before[name])}
    assert changed == {'layer3', 'layer4'}


def test_frozen_backbone_passes_gradients_on_to_its_input():
    model, x = tiny(frozen_stages=4), torch.rand(2, 3, 64, 64, requires_grad=True)
    model(x)[-1].sum().backward()
    assert x.grad.abs().sum() > 0


def test_norm_eval_keeps_all_statistics():
    model = tiny(norm_eval=True).train()
    before = copy.deepcopy(dict(model.named_buffers()))
    grads = gradients(model, torch.rand(2, 3, 64, 64))
    assert len(grads) == len(list(model.parameters()))
    assert all(torch.equal(b, before[name]) for name, b in model.named_buffers())


@pytest.mark.parametrize('norm', ['InPlaceABN', 'BN'])
def test_gradient_checkpointing_changes_nothing(norm):
    x = torch.rand(2, 3, 64, 64)
    plain, lean = (tiny(norm_cfg=dict(type=norm), with_cp=cp) for cp in (False, True))
    expected, grads = gradients(plain, x), gradients(lean, x)
    assert set(grads) == set(expected)
    for name, grad in grads.items():
        torch.testing.assert_close(grad, expected[name], rtol=1e-4, atol=1e-6)
    for name, buffer in lean.named_buffers():
        torch.testing.assert_close(buffer, plain.get_buffer(name), msg=name)


@pytest.mark.parametrize('norm', ['BN', 'SyncBN'])
def test_other_norm_layers_keep_the_activations(norm):
    """A batch norm whose scale is |weight| + eps is the same network."""
    ours, other = tiny(), tiny(norm_cfg=dict(type=norm))
    parameters, buffers = dict(ours.named_parameters()), dict(ours.named_buffers())
    for name, parameter in other.named_parameters():
        parameter.data.copy_(parameters[name])
    for name, buffer in other.named_buffers():
        buffer.copy_(buffers[name])
    for name, module in ours.named_modules():
        if isinstance(module, InPlaceABN):
            other.get_submodule(name).weight.data = module.weight.abs() + module.eps
    x = torch.rand(2, 3, 64, 64)
    for ours_out, other_out in zip(ours.eval()(x), other.eval()(x), strict=True):
        torch.testing.assert_close(ours_out, other_out, rtol=1e-4, atol=1e-5)


def test_sync_bn_conversion_keeps_the_network():
    model, x = tiny(), torch.rand(2, 3, 64, 64)
    expected = model(x)[-1]
    converted = convert_sync_batchnorm(model)
    norms = [m for m in converted.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert norms
    assert all(isinstance(m, InPlaceABN) and m.sync for m in norms)
    torch.testing.assert_close(converted(x)[-1], expected)


def slopes(model: nn.Module) -> list[float]:
    return [m.activation_param for m in model.modules()
            if isinstance(m, InPlaceABN) and m.activation == 'leaky_relu']


def test_slopes():
    stem, *blocks = slopes(tiny())
    assert stem == 1e-2
    assert set(blocks) == {1e-3}
    assert set(slopes(tiny(leaky_slope=1e-6))) == {1e-6}


def test_initialisation():
    model = TResNet(dict(depths=(2, 2, 2, 2), width=1.0))
    model.init_weights()
    weight = model.layer2[1].conv1.conv.weight  # 128 filters of 3 x 3
    assert weight.std().item() == pytest.approx((2 / (128 * 9)) ** 0.5, rel=0.02)
    last = [b.conv3.norm if hasattr(b, 'conv3') else b.conv2.norm
            for stage in model.stages for b in stage]
    assert all((norm.weight == 0).all() for norm in last)
    others = [m for m in model.modules() if isinstance(m, InPlaceABN) and m not in last]
    assert all((norm.weight == 1).all() for norm in others)


@needs_compiler
@pytest.mark.parametrize('training', [True, False])
def test_compiles_without_graph_break(training):
    model = tiny().train(training)
    compiled = torch.compile(copy.deepcopy(model), backend='aot_eager', fullgraph=True)
    x = torch.rand(2, 3, 64, 64)
    expected, grads = gradients(model, x), gradients(compiled, x)
    for (_, value), (_, other) in zip(sorted(expected.items()), sorted(grads.items()), strict=True):
        torch.testing.assert_close(value, other, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(('kwargs', 'message'), [
    (dict(arch='r50'), "unknown arch 'r50'; known are s, m, l, xl, v2_l, v2_xl"),
    (dict(arch=dict(depth=(1, 1, 1, 1))), 'a custom arch is a dict with depths'),
    (dict(arch=dict(depths=(1, 1, 1))), 'depths must be four numbers'),
    (dict(arch=dict(TINY, blocks=('basic', 'wide', 'basic', 'basic'))), 'blocks must be four of'),
    (dict(arch=dict(TINY, width=0)), 'width must leave'),
    (dict(arch=TINY, out_indices=(0, 4)), 'out_indices must be some of'),
    (dict(arch=TINY, frozen_stages=5), 'frozen_stages must be from -1 to 4, got 5'),
    (dict(arch=TINY, strides=(1, 2, 3, 1)), 'strides must be four of 1 and 2'),
    (dict(arch=TINY, dilations=(1, 1, 0, 1)), 'dilations must be four numbers'),
])
def test_unusable_arguments_are_named(kwargs, message):
    with pytest.raises(ValueError, match=message):
        TResNet(**kwargs)
