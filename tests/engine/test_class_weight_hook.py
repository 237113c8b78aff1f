"""Class weights from the training data."""

from types import SimpleNamespace

import mmcv
import numpy as np
import pytest
import torch
from mmengine.dataset import ConcatDataset
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch import nn

from tresnet_mm.datasets import CustomMultiLabel
from tresnet_mm.engine import ClassWeightHook
from tresnet_mm.engine.class_weight_hook import effective_weights, image_counts
from tresnet_mm.models.heads import MultiLabelLinearHead, SingleLabelHead
from tresnet_mm.models.losses import SPLCLoss

CSV = 'img_path,cat,dog,cow\na.jpg,1,0,-1\nb.jpg,1,1,0\nc.jpg,1,-1,0\n'


@pytest.fixture
def dataset(tmp_path):
    (tmp_path / 'train.csv').write_text(CSV)
    return CustomMultiLabel('train.csv', data_root=str(tmp_path),
                            metainfo=dict(classes=('cat', 'dog', 'cow')))


def runner_of(model, dataset):
    """What the hook asks of a runner."""
    lines = []
    runner = SimpleNamespace(
        model=model, train_dataloader=SimpleNamespace(dataset=dataset),
        logger=SimpleNamespace(info=lines.append))
    return runner, lines


def test_the_formula():
    raw = [(1 - 0.9) / (1 - 0.9**n) for n in (3, 1, 50)]
    expected = np.array(raw) / np.mean(raw)
    np.testing.assert_allclose(effective_weights([3, 1, 50], 0.9), expected)
    np.testing.assert_allclose(effective_weights([3, 0, 50], 0.9), expected)
    np.testing.assert_array_equal(effective_weights([3, 0, 50], 0), [1, 1, 1])
    inverse = 1 / np.array([2, 4.0])
    np.testing.assert_allclose(
        effective_weights([2, 4], 1 - 1e-12), inverse / inverse.mean(), rtol=1e-6)


def test_counts(dataset):
    assert image_counts(dataset) == {0: 3, 1: 1}
    assert image_counts(ConcatDataset([dataset, dataset])) == {0: 6, 1: 2}

    class Boxes:
        def __len__(self):
            return 1

        def get_data_info(self, index):
            return dict(instances=[
                dict(bbox_label=1), dict(bbox_label=1, ignore_flag=0),
                dict(bbox_label=2, ignore_flag=1)])

    assert image_counts(Boxes()) == {1: 1}


def test_the_heads_of_a_model_weight_their_loss(dataset):
    head = MultiLabelLinearHead(3, 4, loss=dict(type='HillLoss', reduction='none'))
    data = [BaseDataElement(gt_labels=torch.tensor([1.0, 0, -1]))]
    feats = (torch.randn(1, 4, 2, 2), )
    before = head.loss(feats, data)['loss_mlc']
    runner, lines = runner_of(nn.Sequential(head), dataset)
    ClassWeightHook(beta=0.9).before_train(runner)
    expected = torch.from_numpy(effective_weights([3, 1, 0], 0.9)).float()
    torch.testing.assert_close(head.loss(feats, data)['loss_mlc'], before * expected)
    assert '0: 0.467 (3 images)' in lines[0] and '2: 1.27 (0 images)' in lines[0]
    assert 'class_weight' not in ''.join(head.state_dict())


def test_a_single_label_head_weights_each_image_by_its_class(dataset):
    head = SingleLabelHead(3, 4, loss=dict(
        type='AsymmetricLossSingleLabel', gamma_neg=0, gamma_pos=0, reduction='none'))
    data = [BaseDataElement(gt_label=torch.tensor([label])) for label in (1, 0)]
    feats = (torch.randn(2, 4, 2, 2), )
    before = head.loss(feats, data)['loss_cls']
    ClassWeightHook(beta=0.9).before_train(runner_of(nn.Sequential(head), dataset)[0])
    expected = torch.from_numpy(effective_weights([3, 1, 0], 0.9)).float()[[1, 0]]
    torch.testing.assert_close(head.loss(feats, data)['loss_cls'], before * expected)


def test_what_does_not_fit_is_named(dataset):
    with pytest.raises(ValueError, match='beta must be in'):
        ClassWeightHook(beta=1)
    with pytest.raises(ValueError, match='Identity has no multi-label head'):
        ClassWeightHook().before_train(runner_of(nn.Identity(), dataset)[0])
    with pytest.raises(ValueError, match='have a class 1, the head has num_classes=1'):
        ClassWeightHook().before_train(runner_of(MultiLabelLinearHead(1, 4), dataset)[0])
    with pytest.raises(ValueError, match='class_weight must be 3 numbers'):
        MultiLabelLinearHead(3, 4, class_weight=[1, 2])
    with pytest.raises(ValueError, match='at least 0'):
        MultiLabelLinearHead(2, 4, class_weight=[1, -2])


@pytest.mark.parametrize('loss', [
    dict(type='mmdet.CrossEntropyLoss', use_sigmoid=True, reduction='sum'),
    dict(type='AsymmetricLoss')])
def test_class_weights_meet_unknown_labels(loss):
    pytest.importorskip('mmdet')
    data = [BaseDataElement(gt_labels=torch.tensor(row)) for row in ([1.0, 0, -1], [-1.0, 1, 0])]
    feats = (torch.randn(2, 4, 2, 2), )
    head = MultiLabelLinearHead(3, 4, loss=loss)
    parts = []
    for index in range(3):  # linear in the weights
        head.set_class_weight([float(index == one) for one in range(3)])
        parts.append(head.loss(feats, data)['loss_mlc'])
    head.set_class_weight([1.0, 2, 3])
    torch.testing.assert_close(head.loss(feats, data)['loss_mlc'],
                               parts[0] + 2 * parts[1] + 3 * parts[2])
    head.class_weight = None
    torch.testing.assert_close(head.loss(feats, data)['loss_mlc'], sum(parts))


@pytest.mark.slow
def test_a_run_and_its_resumption_weight_classes_and_count_epochs(dataset, tmp_path, monkeypatch):
    for name in 'abc':
        mmcv.imwrite(np.full((32, 32, 3), 9, np.uint8), str(tmp_path / f'{name}.jpg'))
    seen = []
    forward = SPLCLoss.forward

    def spy(self, pred, target, weight, **kwargs):
        # what the loss is, and what it would be with a given epoch
        given = [forward(self, pred, target, weight, epoch=epoch).item() for epoch in (0, 1)]
        loss = forward(self, pred, target, weight, **kwargs)
        seen.append((given.index(loss.item()), weight[0].tolist()))
        return loss

    monkeypatch.setattr(SPLCLoss, 'forward', spy)

    def run(epochs, **kwargs):
        pipeline = [dict(type='LoadImageFromFile'), dict(type='PackMultiLabelInputs')]
        Runner(
            model=dict(
                type='MultiLabelClassifier', backbone=dict(
                    type='TResNet', arch=dict(depths=(1, 1, 1, 1), width=0.25)),
                head=dict(type='MultiLabelLinearHead', num_classes=3,
                          loss=dict(type='SPLCLoss', tau=0.01))),
            work_dir=str(tmp_path / 'work'), default_scope='mmengine',
            experiment_name=f'run{epochs}',
            train_dataloader=dict(
                batch_size=3, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
                dataset=dict(type='CustomMultiLabel', ann_file='train.csv', pipeline=pipeline,
                             data_root=str(tmp_path),
                             metainfo=dict(classes=('cat', 'dog', 'cow')))),
            train_cfg=dict(by_epoch=True, max_epochs=epochs),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=1e-4)),
            custom_hooks=[dict(type='ClassWeightHook', beta=0.9)], **kwargs).train()

    run(2)
    run(3, resume=True)
    assert [corrected for corrected, _ in seen] == [0, 1, 1]
    for _, weight in seen:
        assert weight == pytest.approx(effective_weights([3, 1, 0], 0.9).tolist())


def test_named_heads_are_weighted_by_labels_of_their_own():
    class Records(list):
        get_data_info = list.__getitem__

    boxes = [dict(bbox_label=0), dict(bbox_label=1)]
    data = Records([dict(instances=boxes, image_labels=dict(weather=([1], []))),
                    dict(instances=boxes[:1], image_labels=dict(weather=([1], [0]))),
                    dict(instances=boxes[:1], image_labels={})])
    assert image_counts(data) == {0: 3, 1: 1}
    assert image_counts(data, 'weather') == {1: 2}
    model = nn.ModuleDict(dict(
        image_head=MultiLabelLinearHead(2, 4),
        image_heads=nn.ModuleDict(dict(weather=MultiLabelLinearHead(2, 4)))))
    ClassWeightHook(beta=0.9).before_train(runner_of(model, data)[0])
    np.testing.assert_allclose(model.image_head.class_weight, effective_weights([3, 1], 0.9),
                               rtol=1e-6)
    np.testing.assert_allclose(model.image_heads.weather.class_weight,
                               effective_weights([0, 2], 0.9), rtol=1e-6)
