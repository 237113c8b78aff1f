"""The image-level heads against the published networks, PyTorch's own layers, and bad input."""
import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from mmengine.structures import BaseDataElement
from torch import nn

from tresnet_mm.models.heads import MLDecoderHead, MultiLabelLinearHead, build_image_head
from tresnet_mm.models.heads.valid_cells import valid_cells

# ML-Decoder's names of what MLDecoderHead holds; the last column of the published state dict's keys
PUBLISHED = {
    'fc.': 'fc.',
    'decoder.duplicate_pooling_bias': 'group_fc.bias',
    'decoder.duplicate_pooling': 'group_fc.weight',
    'decoder.embed_standart.': 'embed.',
    'decoder.query_embed.': 'query_embed.',
    'decoder.layers.0.multihead_attn.': 'cross_attn.',
    'decoder.layers.0.': '',
}
SMALL = dict(embed_dims=16, num_heads=4, feedforward_channels=24)


def samples(*rows, **meta):
    result = []
    for i, row in enumerate(rows):
        sample = BaseDataElement(metainfo=dict(img_path=f'{i}.jpg', **meta))
        if row is not None:
            sample.gt_labels = torch.tensor(row, dtype=torch.float32)
        result.append(sample)
    return result


def heads(num_classes=5, in_channels=6, **kwargs):
    return [
        MultiLabelLinearHead(num_classes, in_channels, **kwargs),
        MLDecoderHead(num_classes, in_channels, num_groups=2, **SMALL, **kwargs),
    ]


@pytest.mark.parametrize('name', ['asl_l_coco', 'mldecoder_v2_l', 'mldecoder_m_groups'])
def test_logits_of_the_published_heads(golden_dir, name):
    import importlib.util
    spec = importlib.util.spec_from_file_location('golden_weights', golden_dir / 'weights.py')
    weights = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(weights)
    meta, state, arrays = weights.load(golden_dir / f'{name}.npz')
    ours = {}
    for key, value in state.items():
        if key.startswith('head.'):
            old, new = next((o, n) for o, n in PUBLISHED.items() if key[5:].startswith(o))
            ours[new + key[5 + len(old):]] = torch.from_numpy(value)
    features = torch.from_numpy(arrays['stage4'])
    if 'fc.weight' in ours:
        head = MultiLabelLinearHead(meta['num_classes'], features.shape[1])
    else:
        head = MLDecoderHead(meta['num_classes'], features.shape[1],
                             num_groups=len(ours['query_embed.weight']))
    head.load_state_dict(ours, strict=True)
    with torch.no_grad():
        logits = head.eval()((features, )).numpy()
    expected = arrays['logits']
    assert np.abs(logits - expected).max() < 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize('num_classes, num_groups', [(5, 5), (5, 2), (7, 3), (4, 1), (130, None)])
def test_ml_decoder_equals_pytorch_layers(num_classes, num_groups):
    head = MLDecoderHead(num_classes, 6, num_groups=num_groups, **SMALL).eval()
    groups = num_groups or 100
    layer = nn.TransformerDecoderLayer(16, 4, 24, batch_first=True).eval()
    theirs = {f'multihead_attn.{k}': v for k, v in head.cross_attn.state_dict().items()}
    for name in ('norm1', 'norm2', 'norm3', 'linear1', 'linear2'):
        theirs.update({f'{name}.{k}': v for k, v in getattr(head, name).state_dict().items()})
    layer.load_state_dict(theirs, strict=False)
    x = torch.randn(3, 6, 2, 5)
    memory = F.relu(head.embed(x.flatten(2).permute(0, 2, 1)))
    query = head.query_embed.weight.repeat(3, 1, 1)
    tgt = layer.norm1(2 * query)
    tgt = layer.norm2(tgt + layer.multihead_attn(tgt, memory, memory)[0])
    tgt = layer.norm3(tgt + layer.linear2(F.relu(layer.linear1(tgt))))
    per_group = -(-num_classes // groups)
    expected = torch.stack([tgt[:, c // per_group] @ head.group_fc.weight[c // per_group, :,
                                                                        c % per_group]
                            + head.group_fc.bias[c] for c in range(num_classes)], dim=1)
    torch.testing.assert_close(head((x, )), expected, rtol=1e-4, atol=1e-5)


def test_training_without_dropout_gives_the_logits_of_evaluation():
    head = MLDecoderHead(5, 6, num_groups=2, dropout=0.0, **SMALL)
    x = torch.randn(2, 6, 3, 3)
    torch.testing.assert_close(head.train()(x), head.eval()(x))


def test_dropout_differs_between_images():
    head = MLDecoderHead(5, 6, num_groups=2, dropout=0.5, **SMALL).train()
    logits = head(torch.randn(1, 6, 3, 3).expand(2, -1, -1, -1))
    assert not torch.allclose(logits[0], logits[1])


@pytest.mark.parametrize('head', heads(), ids=lambda h: type(h).__name__)
def test_every_trained_parameter_gets_a_gradient(head):
    head(torch.randn(2, 6, 3, 4)).square().sum().backward()
    missing = [n for n, p in head.named_parameters() if p.requires_grad and p.grad is None]
    assert not missing
    untrained = [n for n, p in head.named_parameters() if not p.requires_grad]
    assert untrained == ([] if isinstance(head, MultiLabelLinearHead) else ['query_embed.weight'])


def test_bottleneck_is_two_linear_layers():
    head = MultiLabelLinearHead(5, 6, bottleneck_channels=3)
    assert {k: tuple(v.shape) for k, v in head.state_dict().items()} == {
        'embedding.weight': (3, 6), 'embedding.bias': (3, ), 'fc.weight': (5, 3), 'fc.bias': (5, )}
    x = torch.randn(2, 6, 4, 4)
    expected = F.adaptive_avg_pool2d(x, 1).flatten(1) @ head.embedding.weight.T
    expected = (expected + head.embedding.bias) @ head.fc.weight.T + head.fc.bias
    torch.testing.assert_close(head((torch.zeros(1), x)), expected)


@pytest.mark.parametrize('head', heads(), ids=lambda h: type(h).__name__)
@pytest.mark.parametrize('size', [(1, 1), (3, 5), (8, 2)])
def test_padding_does_not_change_the_logits(head, size):
    head.eval()
    x = torch.randn(1, 6, *size)
    padded = F.pad(x, (0, 3, 0, 2), value=7.0)
    stride = 32
    shapes = dict(img_shape=(size[0] * stride, size[1] * stride))
    valid = valid_cells(samples(None, **shapes), [s * stride for s in padded.shape[2:]],
                        padded.shape[2:])
    torch.testing.assert_close(head(padded, valid), head(x))
    batch = torch.zeros(1, 3, *(s * stride for s in padded.shape[2:]))
    torch.testing.assert_close(head.logits((padded, ), samples(None, **shapes), batch), head(x))


def test_unpadded_batches_have_no_mask():
    full = samples([0], [1], img_shape=(64, 96, 3))
    assert valid_cells(full, (64, 96), (2, 3)) is None
    assert valid_cells(samples([0]), (64, 96), (2, 3)) is None  # no img_shape
    assert valid_cells(None, (64, 96), (2, 3)) is None


def test_partly_covered_cells_count_as_image():
    mask = valid_cells(samples([0], img_shape=(33, 20)), (96, 96), (3, 3))
    assert mask[0].tolist() == [[True, False, False], [True, False, False], [False] * 3]


@pytest.mark.parametrize('head', heads(), ids=lambda h: type(h).__name__)
def test_default_loss_sums_over_images_and_classes(head):
    head.eval()
    data = samples([1, 0, 0, 1, 0], [0, 0, 0, 0, 1])
    x = torch.randn(2, 6, 3, 3)
    p = head(x).sigmoid().double()
    y = torch.stack([d.gt_labels for d in data])
    q = (1 - p + 0.05).clamp(max=1)
    expected = -(y * p.log() * (1 - p) + (1 - y) * q.log() * (1 - q)**4).sum()
    loss = head.loss((x, ), data)
    assert list(loss) == ['loss_mlc']
    torch.testing.assert_close(loss['loss_mlc'].double(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('loss', [
    dict(type='AsymmetricLoss'),
    dict(type='mmdet.FocalLoss', use_sigmoid=True, reduction='sum'),
    dict(type='mmdet.CrossEntropyLoss', use_sigmoid=True, reduction='sum'),
], ids=lambda d: d['type'])
def test_unknown_labels_are_left_out_of_the_loss(loss):
    head = MultiLabelLinearHead(3, 6, loss=loss)
    x = torch.randn(2, 6, 3, 3)
    whole = head.loss((x, ), samples([1, 0, 1], [0, 1, 0]))['loss_mlc']
    part = head.loss((x, ), samples([1, -1, 1], [0, 1, -1]))['loss_mlc']
    left = head.loss((x[:1], ), samples([-1, 0, -1]))['loss_mlc']
    left += head.loss((x[1:], ), samples([-1, -1, 0]))['loss_mlc']
    torch.testing.assert_close(part + left, whole)
    assert part < whole


@pytest.mark.parametrize('loss', [
    dict(type='AsymmetricLoss'),
    dict(type='AsymmetricLoss', ignore_index=None),
    dict(type='AsymmetricLoss', ignore_index=-2),
    dict(type='AsymmetricFocalLoss'),
    dict(type='mmdet.FocalLoss', use_sigmoid=True),
    dict(type='mmdet.CrossEntropyLoss', use_sigmoid=True),
    dict(type='mmdet.CrossEntropyLoss', use_sigmoid=True, ignore_index=-1),
    dict(type='mmdet.CrossEntropyLoss', use_sigmoid=True, ignore_index=-1, avg_non_ignore=True),
], ids=str)
def test_a_mean_is_that_of_the_known_labels(loss):
    head = MultiLabelLinearHead(3, 6, loss=dict(loss, reduction='mean'))
    x, rows = torch.randn(2, 6, 3, 3), ([1, -1, 1], [0, 1, -1])
    entries = MODELS.build(dict(loss, reduction='none'))(head(x), torch.tensor(rows).clamp(0, 1))
    found = head.loss((x, ), samples(*rows))['loss_mlc']
    torch.testing.assert_close(found, entries[torch.tensor(rows) != -1].mean())
    gradient, = torch.autograd.grad(found, head.fc.bias)
    assert gradient.abs().min() > 0
    nothing = head.loss((x, ), samples([-1] * 3, [-1] * 3))['loss_mlc']
    assert nothing == 0 and torch.autograd.grad(nothing, head.fc.bias)[0].abs().max() == 0


def test_predict_gives_probabilities_also_under_autocast():
    head = MultiLabelLinearHead(5, 6)
    x = torch.randn(2, 6, 3, 3)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        result = head.predict((x, ), samples(None, None))
    for sample, logits in zip(result, head(x), strict=True):
        assert sample.pred_scores.dtype == torch.float32
        torch.testing.assert_close(sample.pred_scores, logits.sigmoid(), rtol=0, atol=0.01)
        assert 'pred_labels' not in sample


def test_thresholds_give_labels(tmp_path):
    path = tmp_path / 'thresholds.json'
    path.write_text(json.dumps(dict(classes=['a', 'b', 'c'], thresholds=[0.1, 0.5, 0.9])))
    x = torch.zeros(1, 6, 2, 2)
    for thresholds, expected in [(str(path), [0]), ([0.6, 0.4, 0.4], [1, 2]), (0.49, [0, 1, 2])]:
        head = build_image_head(dict(  # scores are all 0.5
            type='MultiLabelLinearHead', num_classes=3, in_channels=6, thresholds=thresholds))
        nn.init.zeros_(head.fc.bias)
        assert head.predict((x, ), samples(None))[0].pred_labels.tolist() == expected
    with pytest.raises(TypeError, match="one number or one per class, got '.*thresholds.json'"):
        MultiLabelLinearHead(3, 6, thresholds=str(path))


@pytest.mark.parametrize('kwargs, message', [
    (dict(num_classes=0), 'num_classes must be a positive integer, got 0'),
    (dict(num_groups=6), 'num_groups must lie between 1 and num_classes=5, got 6'),
    (dict(embed_dims=18), 'embed_dims=18 must be a multiple of num_heads=4'),
    (dict(thresholds=[0.5] * 4), 'hold 4 values, but there are 5 classes'),
    (dict(thresholds=1.5), r'probabilities in \[0, 1\], got 1.5'),
])
def test_wrong_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        MLDecoderHead(**{**dict(num_classes=5, in_channels=6), **SMALL, **kwargs})


@pytest.mark.parametrize('head', heads(num_classes=3), ids=lambda h: type(h).__name__)
def test_wrong_input_is_named(head):
    x = torch.randn(1, 6, 2, 2)
    with pytest.raises(ValueError, match='num_classes=3, but gt_labels of 0.jpg has shape'):
        head.loss((x, ), samples([0, 1, 0, 1]))
    with pytest.raises(ValueError, match='num_classes=3, but gt_labels of 0.jpg has shape'):
        head.predict((x, ), samples([0, 1, 0, 1]))
    with pytest.raises(ValueError, match='0.jpg has no gt_labels'):
        head.loss((x, ), samples(None))
    with pytest.raises(ValueError, match=r'\[0, 1\] .* from 0 to 2'):
        head.loss((x, ), samples([0, 1, 2]))
    with pytest.raises(ValueError, match=r'\[0, 1\]'):
        head.loss((x, ), samples([0, 1, float('nan')]))
    with pytest.raises(ValueError, match=r'\(N, 6, H, W\), got \(1, 4, 2, 2\)'):
        head((x[:, :4], ))


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
@pytest.mark.parametrize('head', heads(num_classes=3), ids=lambda h: type(h).__name__)
def test_logits_that_are_not_finite(head, value):
    head.check_finite = True
    x = torch.full((1, 6, 2, 2), value)
    with pytest.raises(ValueError, match='NaN or infinite logits .*0.jpg'):
        head.loss((x, ), samples([0, 1, 0]))
    with pytest.raises(ValueError, match='NaN or infinite logits .*0.jpg'):
        head.predict((x, ), samples([0, 1, 0]))
    head.check_finite = False
    head.predict((x, ), samples([0, 1, 0]))


@pytest.mark.parametrize('head', heads(num_classes=3), ids=lambda h: type(h).__name__)
def test_the_images_whose_logits_are_not_finite_are_named(head):
    x = torch.randn(30, 6, 2, 2)
    data = samples(*[[0, 1, 0]] * 30)
    x[7, 0, 0, 0] = float('inf')
    for run in (head.loss, head.predict):
        with pytest.raises(ValueError, match=r'for 1 of 30 images \(7.jpg\); lower the'):
            run((x, ), data)
        with pytest.raises(ValueError, match=r'for 1 of 30 images \(7.jpg\); lower the'):
            run((x, ), data, torch.zeros(30, 3, 64, 64))
    # As after batch norm in training: one image has brought it in, all logits show it.
    pixels = torch.zeros(30, 3, 64, 64)
    pixels[21, 1, 3, 4] = float('nan')
    match = r'for 30 of 30 images \(0.jpg, .*7.jpg, ...\); there are .* pixels in 21.jpg'
    with pytest.raises(ValueError, match=match):
        head.loss((x * float('nan'), ), data, pixels)


def test_built_from_the_registry():
    for cfg in [dict(type='MultiLabelLinearHead'), dict(type='MLDecoderHead')]:
        assert MODELS.build(dict(num_classes=3, in_channels=8, **cfg)).num_classes == 3
