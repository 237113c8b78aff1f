"""mmdet's class-aware sampler and mmengine's class-balanced wrapper on our data sets."""

import itertools
import json

import pytest
import torch
from mmdet.datasets.samplers import class_aware_sampler
from mmengine.dataset import ClassBalancedDataset
from mmengine.registry import DATASETS, init_default_scope
from mmengine.runner import Runner
from torch.utils.data import BatchSampler

from tresnet_mm.datasets import CustomMultiLabel
from tresnet_mm.engine.repeatable_hook import skip_batches

CLASSES = ('common', 'rare', 'never')
#: 30 images of the common class, the third of them with the rare one too, and two of nothing.
LABELS = ['common;rare' if i == 3 else 'common' for i in range(30)] + ['', '']


@pytest.fixture
def dataset(tmp_path):
    rows = ''.join(f'{i}.png,{names}\n' for i, names in enumerate(LABELS))
    (tmp_path / 'labels.csv').write_text('img_path,labels\n' + rows)
    return CustomMultiLabel(
        'labels.csv', data_root=str(tmp_path), metainfo=dict(classes=CLASSES))


@pytest.fixture
def boxes(tmp_path):
    """The same as boxes, as mmdet's data sets read them."""
    file = dict(
        images=[dict(id=i, file_name=f'{i}.png', width=9, height=9) for i in range(len(LABELS))],
        categories=[dict(id=i, name=name) for i, name in enumerate(CLASSES)],
        annotations=[
            dict(id=10 * i + k, image_id=i, category_id=CLASSES.index(name), bbox=[0, 0, 5, 5],
                 area=25, iscrowd=0)
            for i, names in enumerate(LABELS) for k, name in enumerate(names.split(';')) if name])
    (tmp_path / 'boxes.json').write_text(json.dumps(file))
    init_default_scope('mmdet')
    return DATASETS.build(dict(
        type='CheckedCocoDataset', ann_file='boxes.json', data_root=str(tmp_path),
        data_prefix=dict(img=''), metainfo=dict(classes=CLASSES), pipeline=[]))


def loader(dataset, **kwargs):
    """As the runner builds it from a config."""
    init_default_scope('mmdet')
    return Runner.build_dataloader(
        dict(dataset=dataset, batch_size=4, num_workers=0, sampler=dict(
            dict(type='ClassAwareSampler'), **kwargs)), seed=7)


@pytest.mark.parametrize('which', ['dataset', 'boxes'])
def test_classes_are_drawn_equally_often(which, request):
    indices = list(loader(request.getfixturevalue(which)).sampler)
    assert len(indices) == len(LABELS)
    # Every other draw is for the rare class, which one image has; the other draws go through the
    # images of the common class. The class without an image takes no draw.
    assert indices.count(3) in (len(LABELS) // 2, len(LABELS) // 2 + 1)
    others = [i for i in indices if i != 3]
    assert len(set(others)) == len(others)
    assert max(others) < 30  # images of nothing are never drawn


@pytest.mark.parametrize('which', ['dataset', 'boxes'])
def test_images_without_labels_are_drawn_as_often_as_a_class(which, request):
    """Asked for, they are one class more: a third of the draws, and both of them alike."""
    indices = list(loader(request.getfixturevalue(which), type='BackgroundSampler').sampler)
    assert len(indices) == len(LABELS)
    thirds = (len(LABELS) // 3, len(LABELS) // 3 + 1)
    assert indices.count(3) in (*thirds, thirds[1] + 1)  # once by the common class too
    assert indices.count(30) + indices.count(31) in thirds
    assert abs(indices.count(30) - indices.count(31)) <= 1


def test_without_such_images_nothing_changes(tmp_path, dataset):
    data = CustomMultiLabel('labels.csv', data_root=str(tmp_path), keep_empty=False,
                            metainfo=dict(classes=CLASSES))
    assert list(loader(data, type='BackgroundSampler').sampler) == list(loader(data).sampler)


def test_processes_share_the_draws_of_one_epoch(dataset, monkeypatch):
    alone = list(loader(dataset).sampler)
    parts = []
    for rank in range(2):
        monkeypatch.setattr(class_aware_sampler, 'get_dist_info', lambda rank=rank: (rank, 2))
        parts.append(list(loader(dataset).sampler))
    assert parts[0] + parts[1] == alone


def test_a_resumed_epoch_goes_on_with_the_batches_that_were_left(dataset):
    straight, resumed = loader(dataset), loader(dataset)
    epochs = []
    for epoch in range(3):
        straight.sampler.set_epoch(epoch)
        epochs.append(list(straight.batch_sampler))
    assert epochs[0] != epochs[1]
    resumed.sampler.set_epoch(1)
    skip_batches(resumed, 5)
    assert list(resumed.batch_sampler) == epochs[1][5:]
    resumed.sampler.set_epoch(2)
    assert list(resumed.batch_sampler) == epochs[2]
    assert isinstance(straight.batch_sampler, BatchSampler)


@pytest.mark.parametrize('which', ['dataset', 'boxes'])
def test_images_of_rare_classes_are_repeated(which, request):
    """By sqrt(threshold / share) of their rarest class; images of nothing stay, once."""
    data = request.getfixturevalue(which)
    torch.manual_seed(0)
    balanced = ClassBalancedDataset(data, oversample_thr=9 / 32)  # the rare class has 1 / 32
    times = {i: len(list(group)) for i, group in itertools.groupby(balanced.repeat_indices)}
    assert times == {i: 3 if i == 3 else 1 for i in range(len(data))}


def test_what_is_hidden_is_not_sampled_by(tmp_path, dataset):
    hiding = CustomMultiLabel(
        'labels.csv', data_root=str(tmp_path), metainfo=dict(classes=CLASSES),
        drop_labels=dict(type='DropLabels', mode='positives', prob=0.5))
    drawn = set(loader(hiding).sampler)
    assert drawn <= {i for i in range(len(hiding)) if hiding.get_data_info(i)['gt_labels']}
    assert len(drawn) < 30
