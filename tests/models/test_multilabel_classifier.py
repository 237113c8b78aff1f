"""The multi-label classifier: its modes, other backbones, padded batches, views of an image."""
import copy

import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import MODELS
from mmengine.structures import BaseDataElement

from tresnet_mm.evaluation import save_thresholds
from tresnet_mm.models import MultiLabelClassifier, MultiLabelTTAModel

TINY = dict(type='TResNet', arch=dict(depths=(1, 1, 1, 1), width=0.125,
                                      blocks=('basic', 'basic', 'bottleneck', 'bottleneck')))
HEADS = {
    'linear': dict(type='MultiLabelLinearHead', num_classes=3),
    'ml_decoder': dict(type='MLDecoderHead', num_classes=3, embed_dims=16, num_heads=2,
                       feedforward_channels=16),
}


def batch(*shapes, num_classes=3):
    data = []
    for i, (h, w) in enumerate(shapes):
        sample = BaseDataElement(metainfo=dict(img_path=f'{i}.jpg', img_shape=(h, w)))
        sample.gt_labels = (torch.arange(num_classes) == i % num_classes).float()
        image = torch.randint(0, 256, (3, h, w), generator=torch.Generator().manual_seed(i))
        data.append(dict(inputs=image.to(torch.uint8), data_samples=sample))
    return pseudo_collate(data)


@pytest.fixture(params=list(HEADS))
def model(request):
    head = HEADS[request.param]
    model = MODELS.build(dict(type='MultiLabelClassifier', backbone=TINY, head=head))
    model.init_weights()
    return model


def test_modes_agree(model):
    model.eval()
    data = model.data_preprocessor(batch((64, 64), (64, 64)))
    logits = model(**data, mode='tensor')
    assert logits.shape == (2, 3)
    results = model(**data, mode='predict')
    for sample, row in zip(results, logits, strict=True):
        torch.testing.assert_close(sample.pred_scores, row.sigmoid())
        assert sample.gt_labels.sum() == 1
    without = model(data['inputs'], mode='predict')
    torch.testing.assert_close(without[0].pred_scores, results[0].pred_scores)
    with pytest.raises(ValueError, match="got 'logits'"):
        model(**data, mode='logits')


def test_train_step_lowers_the_loss(model):
    from mmengine.optim import OptimWrapper
    wrapper = OptimWrapper(torch.optim.Adam([p for p in model.parameters() if p.requires_grad],
                                            lr=1e-3))
    data = batch((64, 64), (64, 64), (64, 64))
    losses = [float(model.train_step(copy.deepcopy(data), wrapper)['loss_mlc'])
              for _ in range(12)]
    assert min(losses[-3:]) < 0.8 * losses[0]


def test_default_preprocessor_gives_rgb_from_0_to_1():
    model = MultiLabelClassifier(TINY, HEADS['linear'])
    bgr = torch.tensor([0, 51, 255], dtype=torch.uint8).view(3, 1, 1).expand(-1, 32, 32)
    inputs = model.data_preprocessor(dict(inputs=[bgr]))['inputs']
    torch.testing.assert_close(inputs[0, :, 0, 0], torch.tensor([1.0, 0.2, 0.0]))


@pytest.mark.parametrize('head', list(HEADS.values()), ids=list(HEADS))
def test_any_mm_backbone_and_neck(head):
    backbone = dict(type='mmdet.ResNet', depth=18)
    data = batch((64, 64), (64, 96))
    for neck in (None, dict(type='mmdet.ChannelMapper', in_channels=[64, 128, 256, 512],
                            out_channels=8)):
        channels = 512 if neck is None else 8
        model = MultiLabelClassifier(backbone, dict(head, in_channels=channels), neck)
        model.train()
        loss = model(**model.data_preprocessor(copy.deepcopy(data)), mode='loss')['loss_mlc']
        loss.backward()
        assert loss.isfinite() and model.backbone.conv1.weight.grad.abs().sum() > 0
    with pytest.raises(ValueError, match='head needs in_channels: ResNet'):
        MultiLabelClassifier(backbone, head)


def test_scores_do_not_depend_on_padding_of_the_head(model):
    """A batch is padded to its largest image; the head must pool each image's own cells."""
    model.eval()
    data = model.data_preprocessor(batch((64, 64), (64, 128)))
    seen = []
    model.head.register_forward_pre_hook(lambda module, args: seen.append(args[1]))
    model(**data, mode='predict')
    assert seen[0].tolist() == [[[True, True, False, False]] * 2, [[True] * 4] * 2]
    model(**model.data_preprocessor(batch((64, 64))), mode='predict')
    assert seen[1] is None


@pytest.mark.reliability(
    done='one image of a batch brings NaN',
    happens='that image is named')
def test_the_image_that_brings_nan_into_a_batch_is_named(model):
    """In training the batch's statistics spread it over all images."""
    data = model.data_preprocessor(batch(*[(64, 64)] * 12))
    data['inputs'][9, 0, 5, 5] = float('inf')
    with pytest.raises(ValueError, match='for 12 of 12 images .* infinite pixels in 9.jpg$'):
        model.train()(**data, mode='loss')


def test_thresholds_from_a_file(tmp_path):
    save_thresholds(tmp_path / 't.json', [0.25, 0.5, 0.75], ['a', 'b', 'c'])
    head = dict(HEADS['linear'], thresholds=str(tmp_path / 't.json'))
    assert MultiLabelClassifier(TINY, head).head.thresholds.tolist() == [0.25, 0.5, 0.75]
    with pytest.raises(ValueError, match="t.json' hold 3 values, but there are 4 classes"):
        MultiLabelClassifier(TINY, dict(head, num_classes=4))
    with pytest.raises(FileNotFoundError, match='no.json does not exist'):
        MultiLabelClassifier(TINY, dict(head, thresholds='no.json'))


def test_class_count_of_data_and_head(model):
    data = model.data_preprocessor(batch((64, 64), num_classes=5))
    for mode in ('loss', 'predict'):
        with pytest.raises(ValueError, match=r'num_classes=3, but gt_labels of 0.jpg .*\(5,\)'):
            model(**data, mode=mode)


def test_views_are_averaged():
    model = MultiLabelClassifier(TINY, dict(HEADS['linear'], thresholds=0.5))
    model.init_weights()
    model.eval()
    tta = MultiLabelTTAModel(module=model)
    plain, other = batch((64, 64), (64, 64)), batch((64, 64), (64, 64))
    other['inputs'] = [image.flip(-1) for image in other['inputs']]
    singles = [model.test_step(copy.deepcopy(d)) for d in (plain, other)]
    views = {key: [plain[key], other[key]] for key in plain}
    with torch.no_grad():
        merged = tta.test_step(views)
    assert len(merged) == 2
    for sample, a, b in zip(merged, *singles, strict=True):
        mean = (a.pred_scores + b.pred_scores) / 2
        torch.testing.assert_close(sample.pred_scores, mean)
        assert sample.pred_labels.tolist() == (mean > 0.5).nonzero().flatten().tolist()
        assert not torch.equal(a.pred_scores, b.pred_scores)
        torch.testing.assert_close(sample.gt_labels, a.gt_labels)


def test_views_of_an_image_of_one_label_are_averaged():
    model = MultiLabelClassifier(TINY, dict(type='SingleLabelHead', num_classes=3)).eval()
    model.init_weights()
    plain, other = batch((64, 64), (64, 64)), batch((64, 64), (64, 64))
    other['inputs'] = [image.flip(-1) for image in other['inputs']]
    singles = [model.test_step(copy.deepcopy(d)) for d in (plain, other)]
    with torch.no_grad():
        merged = MultiLabelTTAModel(module=model).test_step(
            {key: [plain[key], other[key]] for key in plain})
    for sample, a, b in zip(merged, *singles, strict=True):
        mean = (a.pred_scores + b.pred_scores) / 2
        torch.testing.assert_close(sample.pred_scores, mean)
        assert sample.pred_label.tolist() == [int(mean.argmax())] and 'pred_labels' not in sample
        assert not torch.equal(a.pred_scores, b.pred_scores)
