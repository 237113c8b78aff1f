"""This package's dataset, backbone, loss and metric by their names in a config of mmpretrain's."""

import json

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import Evaluator
from mmengine.registry import DATASETS, METRICS, MODELS, TRANSFORMS, DefaultScope
from PIL import Image

from tests.lines import needs_package
from tresnet_mm.evaluation import MultiLabelMetric, multilabel_scores
from tresnet_mm.models.losses import asymmetric_loss

#: mmpretrain has an ``AsymmetricLoss`` and a ``MultiLabelMetric``, too: the scope says whose.
CONFIG = dict(
    model=dict(
        type='ImageClassifier',
        data_preprocessor=dict(mean=[0, 0, 0], std=[255, 255, 255], to_rgb=True),
        backbone=dict(type='TResNet', arch=dict(depths=(1, 1, 1, 1), width=0.25)),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='MultiLabelLinearClsHead', num_classes=3, in_channels=512,
                  loss=dict(type='mmengine.AsymmetricLoss', reduction='mean'))),
    dataset=dict(
        type='CocoMultiLabel', ann_file='a.json', data_prefix=dict(img=''),
        pipeline=[dict(type='LoadImageChecked'), dict(type='Resize', scale=(32, 32)),
                  dict(type='LabelsToScores'), dict(type='PackInputs')]),
    evaluator=dict(type='mmengine.MultiLabelMetric', classwise=False, top_k=None))
LABELS = {1: (10,), 2: (10, 30), 3: (20,), 4: (20, 30)}


@pytest.fixture
def data_root(tmp_path):
    rng = np.random.default_rng(0)
    for i in LABELS:
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(
            tmp_path / f'{i}.png')
    (tmp_path / 'a.json').write_text(json.dumps(dict(
        images=[dict(id=i, file_name=f'{i}.png', height=40, width=40) for i in LABELS],
        categories=[dict(id=i, name=f'class {i}') for i in (10, 20, 30)],
        annotations=[dict(id=10 * i + j, image_id=i, category_id=label, iscrowd=0, area=4.0,
                          bbox=[0, 0, 2, 2])
                     for i, labels in LABELS.items() for j, label in enumerate(labels)])))
    return str(tmp_path)


@needs_package('mmpretrain')
def test_names_in_a_config(data_root):
    cfg = Config(CONFIG)
    cfg.dataset.data_root = data_root
    targets = np.array([[1, 0, 0], [1, 0, 1], [0, 1, 0], [0, 1, 1]])
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        torch.manual_seed(0)
        model, dataset = MODELS.build(cfg.model).eval(), DATASETS.build(cfg.dataset)
        evaluator = Evaluator(METRICS.build(cfg.evaluator))
    batch = model.data_preprocessor(pseudo_collate([dataset[i] for i in range(4)]))
    assert batch['inputs'].shape == (4, 3, 32, 32) and batch['inputs'].max() <= 1
    with torch.no_grad():
        logits = model(batch['inputs'])
        loss = model(**batch, mode='loss')['loss']
        samples = model(**batch, mode='predict')
    torch.testing.assert_close(loss, asymmetric_loss(logits, torch.tensor(targets)) / 4)
    evaluator.dataset_meta = dataset.metainfo
    evaluator.process(samples)
    expected = multilabel_scores(torch.sigmoid(logits).numpy(), targets, top_k=None)
    assert evaluator.evaluate(4) == pytest.approx(
        {f'multi-label/{name}': value for name, value in expected.items()})


def test_labels_become_scores():
    transform = TRANSFORMS.build(dict(type='LabelsToScores'))
    record = transform(dict(gt_labels=[2], unknown_labels=[0], num_classes=4))
    assert record['gt_score'].tolist() == [-1, 0, 1, 0]


def test_metric_takes_mmpretrain_s_fields():
    metric = MultiLabelMetric(classwise=False, top_k=None)
    metric.dataset_meta = dict(classes=('a', 'b'))
    metric.process({}, [dict(pred_score=torch.tensor([0.9, 0.2]), gt_score=torch.tensor([1, 0]),
                             pred_label=torch.tensor([0]))])
    scores, targets, _ = metric.results[0]
    assert scores.tolist() == pytest.approx([0.9, 0.2]) and targets.tolist() == [1, 0]
