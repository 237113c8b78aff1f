"""Hidden labels: how many, which, and always the same."""

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import TRANSFORMS
from PIL import Image
from torch.utils.data import DataLoader

from tresnet_mm.datasets import CustomMultiLabel, DropLabels
from tresnet_mm.datasets.pack_multilabel_inputs import label_vector

NUM_CLASSES = 20
PRESENT = [2, 3, 5, 7, 11]
UNKNOWN = [0, 19]


def record(img_id, present=PRESENT, unknown=()):
    return dict(img_id=img_id, num_classes=NUM_CLASSES, gt_labels=list(present),
                unknown_labels=list(unknown))


def vectors(count=2000, present=PRESENT, unknown=(), **kwargs):
    """Targets (count, NUM_CLASSES) of equal images with other names."""
    drop = DropLabels(**kwargs)
    return torch.stack(
        [label_vector(drop(record(f'{i}.jpg', present, unknown))) for i in range(count)])


def near(hidden, prob):
    """Each class within 5 standard deviations of its binomial share."""
    deviation = (prob * (1 - prob) / len(hidden)) ** 0.5
    return bool((hidden.double().mean(0) - prob).abs().max() <= 5 * deviation)


ABSENT = [i for i in range(NUM_CLASSES) if i not in PRESENT]


@pytest.mark.parametrize('prob', [0.0, 0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize('hidden_as', [-1, 0])
def test_uniform_and_positives(prob, hidden_as):
    uniform = vectors(mode='uniform', prob=prob, unknown_as=hidden_as)
    assert near(uniform[:, PRESENT] == hidden_as, prob)
    assert set(uniform[:, PRESENT].unique().tolist()) <= {hidden_as, 1.0}
    if hidden_as == -1:
        assert near(uniform[:, ABSENT] == -1, prob)
        assert set(uniform[:, ABSENT].unique().tolist()) <= {-1.0, 0.0}
    else:
        assert (uniform[:, ABSENT] == 0).all()
    positives = vectors(mode='positives', prob=prob, unknown_as=hidden_as)
    assert torch.equal(positives[:, PRESENT], uniform[:, PRESENT])
    assert (positives[:, ABSENT] == 0).all()


def test_labels_of_an_image_are_hidden_independently():
    hidden = (vectors(mode='uniform', prob=0.5) == -1).double()
    correlation = torch.corrcoef(hidden.T) - torch.eye(NUM_CLASSES)
    assert correlation.abs().max() < 5 / len(hidden) ** 0.5


@pytest.mark.parametrize('hidden_as', [-1, 0])
def test_one_positive_is_left(hidden_as):
    targets = vectors(mode='single_positive', unknown_as=hidden_as)
    assert ((targets == 1).sum(1) == 1).all()
    assert ((targets == hidden_as).sum(1) == NUM_CLASSES - 1).all()
    assert near(targets[:, PRESENT] == 1, 1 / len(PRESENT))
    assert (vectors(3, present=[], mode='single_positive', unknown_as=hidden_as) == hidden_as).all()


@pytest.mark.parametrize('kwargs', [
    dict(mode='uniform', prob=0.5), dict(mode='positives', prob=0.5), dict(mode='single_positive')])
@pytest.mark.parametrize('hidden_as', [-1, 0])
def test_what_was_unknown_stays_unknown(kwargs, hidden_as):
    targets = vectors(50, unknown=UNKNOWN, unknown_as=hidden_as, **kwargs)
    assert (targets[:, UNKNOWN] == -1).all()


def test_more_hidden_are_a_superset_and_another_seed_hides_others():
    few, many = (vectors(200, prob=prob) == -1 for prob in (0.3, 0.6))
    assert (many | ~few).all()
    assert not torch.equal(vectors(200, prob=0.3, seed=1) == -1, few)


def test_the_choice_is_the_same_on_every_machine_and_version():
    """Anchors: a published figure names its seed, and the seed must go on naming the same set."""
    drop = DropLabels(prob=0.5)
    assert drop(record('a.jpg'))['unknown_labels'] == ANCHORS['a.jpg']
    assert drop(record(42))['unknown_labels'] == ANCHORS[42]


ANCHORS = {
    'a.jpg': [0, 3, 4, 7, 8, 9, 12, 13, 14, 17],
    42: [0, 5, 6, 14, 15, 16],
}


def build(folder, **kwargs):
    rows = [f'{i}.png,{"a;b" if i % 2 else "c"}\n' for i in range(12)]
    (folder / 'labels.csv').write_text('img_path,labels\n' + ''.join(rows))
    for i in range(len(rows)):
        Image.new('RGB', (4, 4)).save(folder / f'{i}.png')
    return CustomMultiLabel(
        'labels.csv', data_root=str(folder), metainfo=dict(classes=('a', 'b', 'c')),
        pipeline=[dict(type='LoadImageChecked'), dict(type='PackMultiLabelInputs')],
        drop_labels=dict(type='DropLabels', **kwargs))


def targets(dataset, workers, order):
    loader = DataLoader(dataset, 4, sampler=order, num_workers=workers, collate_fn=pseudo_collate)
    samples = [sample for batch in loader for sample in batch['data_samples']]
    return {sample.img_id: sample.gt_labels.tolist() for sample in samples}


def test_every_epoch_worker_and_order_sees_the_same_labels(tmp_path):
    dataset = build(tmp_path, prob=0.5)
    first = targets(dataset, 0, range(12))
    assert {-1.0, 0.0, 1.0} == {value for vector in first.values() for value in vector}
    assert targets(dataset, 0, range(12)) == first
    assert targets(dataset, 2, list(reversed(range(12)))) == first
    dataset.get_subset_([11, 3])
    assert targets(dataset, 0, range(2)) == {name: first[name] for name in ('11.png', '3.png')}


def test_samplers_and_counts_see_what_training_sees(tmp_path):
    dataset = build(tmp_path, mode='uniform', prob=0.5)
    seen = np.array([label_vector(dataset.get_data_info(i)).numpy() for i in range(12)])
    assert [dataset.get_cat_ids(i) for i in range(12)] == [
        np.flatnonzero(vector == 1).tolist() for vector in seen]
    counts = dataset.count_labels()
    for found, value in zip(counts, (1, 0, -1), strict=True):
        assert found.tolist() == (seen == value).sum(0).tolist()
    assert build(tmp_path, prob=0.0).count_labels().present.tolist() == [6, 6, 6]


@pytest.mark.parametrize('kwargs, message', [
    (dict(mode='some', prob=0.5), r"mode must be one of .*, got 'some'"),
    (dict(), r"mode='uniform' needs a prob in \[0, 1\], got None"),
    (dict(prob=50), r'needs a prob in \[0, 1\], got 50'),
    (dict(mode='single_positive', prob=0.5), r'takes no prob, got 0.5'),
    (dict(prob=0.5, unknown_as=1), r'unknown_as must be -1 .* got 1'),
])
def test_bad_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        TRANSFORMS.build(dict(type='DropLabels', **kwargs))
