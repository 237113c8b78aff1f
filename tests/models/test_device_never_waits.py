"""A training step reads at most one value back from the device, and evaluation's forward none."""

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, DefaultScope
from mmengine.structures import BaseDataElement

from tests.lines import needs_compiler
from tests.models.readbacks import READS, Readbacks
from tests.models.test_multitask_detector import batch, build, fcos
from tresnet_mm.models import MultiLabelClassifier, TResNet
from tresnet_mm.models.layers import InPlaceABN

TINY = dict(type='TResNet', arch=dict(depths=(1, 1, 1, 1), width=0.125))
HEADS = {
    'linear': dict(type='MultiLabelLinearHead'),
    'weighted': dict(type='MultiLabelLinearHead', class_weight=[1., 2., 1.], thresholds=0.5),
    'ml-decoder': dict(type='MLDecoderHead', embed_dims=16, feedforward_channels=16),
    'single-label': dict(type='SingleLabelHead', class_weight=[1., 2., 1.]),
}
LOSSES = {
    'AsymmetricLoss': {}, 'HillLoss': {}, 'SPLCLoss': {}, 'TwoWayLoss': {}, 'ZLPRLoss': {},
    'AsymmetricFocalLoss': {}, 'AsymmetricLossSingleLabel': {},
    'PartialAsymmetricLoss': dict(class_priors=[0.1, 0.01, 0.2]),
}


def classifier(head: str) -> MultiLabelClassifier:
    return MODELS.build(dict(
        type='MultiLabelClassifier', backbone=TINY, head=dict(HEADS[head], num_classes=3)))


def samples(device: str = 'meta') -> list[BaseDataElement]:
    """Two images, of which the second is padded."""
    return [BaseDataElement(
        metainfo=dict(img_shape=(64, 64 - 20 * i)),
        gt_labels=torch.zeros(3, device=device),
        gt_label=torch.zeros(1, dtype=torch.long, device=device)) for i in range(2)]


def operations(reads: Readbacks) -> list[str]:
    return [one.operation for one in reads.all]


def test_the_record_sees_each_kind():
    x, mask, there = torch.ones(3), torch.ones(3) > 0, torch.ones(3, device='meta')
    with Readbacks('cpu') as reads:
        for read in (lambda: x[0].item(), lambda: bool(x[0]), x.tolist, x.cpu, x.numpy, x.nonzero,
                     lambda: x[mask], lambda: x.masked_select(mask), x.unique,
                     lambda: torch.tensor([1.]), lambda: x[torch.arange(2)], lambda: x + 1):
            read()
    assert operations(reads) == [
        '_local_scalar_dense', '_local_scalar_dense', 'tolist', 'cpu', 'numpy', 'nonzero', 'index',
        'masked_select', '_unique2', 'tensor']
    with Readbacks('meta') as reads:
        assert there[0].item() == 1 and there.tolist() == [1, 1, 1] and bool(there[0])
        x.to('meta')
        x[0].item()  # the host's own
    assert operations(reads) == [
        '_local_scalar_dense', 'meta to cpu', '_local_scalar_dense', 'cpu to meta']


@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('training', [True, False])
def test_backbone(training, memory_format):
    model = MODELS.build(TINY).to('meta').train(training)
    x = torch.rand(2, 3, 70, 64, device='meta', requires_grad=True)
    with Readbacks('meta') as reads:
        sum(y.sum() for y in model(x.contiguous(memory_format=memory_format))).backward()
    assert operations(reads) == []


@pytest.mark.parametrize('kwargs', [dict(), dict(momentum=None), dict(activation='elu')])
def test_norm(kwargs):
    layer = InPlaceABN(3, **kwargs).to('meta')
    with Readbacks('meta') as reads:
        layer(torch.rand(2, 3, 4, 4, device='meta', requires_grad=True)).sum().backward()
    assert operations(reads) == []


@pytest.mark.parametrize('head', HEADS)
def test_training_step_of_a_classifier(head):
    model = classifier(head).to('meta')
    x = torch.rand(2, 3, 64, 64, device='meta')
    with Readbacks('meta'):
        model(x, samples(), 'loss')  # constants go to the device once
    with Readbacks('meta') as reads:
        (loss,) = model(x, samples(), 'loss').values()
        loss.backward()
    assert len(reads.all) == 1 and reads.ours == reads.all


@pytest.mark.parametrize('name', LOSSES)
def test_losses(name):
    loss = MODELS.build(dict(type=name, **LOSSES[name]))
    logits = torch.rand(4, 3, device='meta', requires_grad=True)
    by_class = name in ('AsymmetricFocalLoss', 'AsymmetricLossSingleLabel')
    targets = torch.zeros(4, device='meta', dtype=torch.long) if by_class else torch.zeros_like(
        logits, requires_grad=False)
    with Readbacks('meta'):
        loss(logits, targets)
    with Readbacks('meta') as reads:
        loss(logits, targets).sum().backward()
    assert operations(reads) == []


@pytest.mark.parametrize('head', HEADS)
@torch.no_grad()
def test_evaluation(head):
    """What a prediction needs the host for, it asks once: is all finite, which labels are there."""
    model = classifier(head).to('meta').eval()
    x = torch.rand(2, 3, 64, 64, device='meta')
    with Readbacks('meta'):
        model(x, samples(), 'predict')
    with Readbacks('meta') as reads:
        model(x, samples(), 'tensor')
    assert operations(reads) == []
    with Readbacks('meta') as reads:
        model(x, samples(), 'predict')
    labels = ['meta to cpu'] if 'thresholds' in HEADS[head] else []
    assert operations(reads) == ['_local_scalar_dense', *labels]


@pytest.mark.parametrize('joint', [False, True])
def test_training_step_of_a_detector(joint):
    """On the CPU, where mmdet's heads find the values that they look for: they read many."""
    with DefaultScope.overwrite_default_scope('mmdet'):
        head = dict(type='MultiLabelLinearHead', num_classes=3,
                    loss=dict(type='AsymmetricLoss', validate=False))  # as by default on a GPU
        model = build(head=head) if joint else MODELS.build(dict(fcos(), _scope_='mmdet'))
        wrapper = build_optim_wrapper(model, dict(optimizer=dict(type='SGD', lr=0.01)))
        data = batch((64, 64), (64, 48))
        model.train_step(data, wrapper)
        with Readbacks('cpu') as reads:
            model.train_step(data, wrapper)
    assert [one.operation for one in reads.ours] == ['tolist'] * joint
    assert any('dense_heads' in one.file for one in reads.all)


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize('training', [True, False])
def test_the_backbone_is_one_graph(training):
    """A branch on a tensor's value would break the export; so would a value read."""
    model = TResNet(TINY['arch']).train(training)
    x = torch.rand(2, 3, 64, 64)
    program = torch.export.export(model, (x, ), strict=True)
    graphs = [module.graph for module in program.graph_module.modules()]
    names = {str(node.target).split('.')[1] for graph in graphs for node in graph.nodes
             if str(node.target).startswith('aten.')}
    assert any('batch_norm' in name for name in names)
    assert not names & (READS | {'item'})
