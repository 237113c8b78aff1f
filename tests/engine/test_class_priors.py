"""Class priors: files, the mean scores of a model, and the hook that hands them to the loss."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from tresnet_mm.datasets import CustomMultiLabel
from tresnet_mm.engine import ClassPriorsHook
from tresnet_mm.evaluation import DumpClassPriors, load_class_priors, save_class_priors
from tresnet_mm.models.losses import PartialAsymmetricLoss

CLASSES = ('cat, big', 'dog', 'cow')


def test_files_are_read_by_name(tmp_path):
    save_class_priors(tmp_path / 'new/priors.csv', [0.25, 0, 1], CLASSES)
    found = load_class_priors(tmp_path / 'new/priors.csv', CLASSES[::-1])
    np.testing.assert_array_equal(found, np.float32([1, 0, 0.25]))


@pytest.mark.parametrize('text, message', [
    ('name,prior\n', r'p\.csv:1: the header'),
    ('class,prior\ndog,x\n', r'p\.csv:2: expected a class and a number'),
    ('class,prior\ndog\n', r'p\.csv:2: expected a class and a number'),
    ('class,prior\ndog,1.5\n', r'p\.csv:2: a prior lies in \[0, 1\], got 1.5'),
    ('class,prior\ndog,nan\n', r'p\.csv:2: a prior lies in \[0, 1\], got nan'),
    ('class,prior\ndog,0.5\ndog,0.5\n', r"p\.csv:3: class 'dog' is listed twice"),
    ('class,prior\ndog,0.5\n', r"no prior of 2 classes: \['cat, big', 'cow'\]"),
])
def test_broken_files(tmp_path, text, message):
    (tmp_path / 'p.csv').write_text(text)
    with pytest.raises(ValueError, match=message):
        load_class_priors(tmp_path / 'p.csv', CLASSES)


def test_means_of_scores(tmp_path):
    scores = np.random.default_rng(0).random((7, 3), np.float32)
    metric = DumpClassPriors(str(tmp_path / 'p.csv'))
    metric.dataset_meta = dict(classes=CLASSES)
    for _ in range(2):  # a second evaluation begins anew
        for part in np.split(scores, [3, 5]):
            metric.process(None, [dict(pred_scores=torch.from_numpy(row)) for row in part])
        assert metric.evaluate(7) == {}
        np.testing.assert_allclose(
            load_class_priors(tmp_path / 'p.csv', CLASSES), scores.mean(0), rtol=1e-6)
    with pytest.raises(ValueError, match=r'\.csv file'):
        DumpClassPriors('p.npz')


def runner_of(model, dataset):
    lines = []
    return SimpleNamespace(model=model, train_dataloader=SimpleNamespace(dataset=dataset),
                           logger=SimpleNamespace(info=lines.append)), lines


def test_the_hook(tmp_path):
    (tmp_path / 'a.csv').write_text('img_path,cat,dog,cow\na,1,0,-1\nb,1,1,0\nc,1,-1,0\nd,0,0,0\n')
    dataset = CustomMultiLabel('a.csv', data_root=str(tmp_path))
    loss = PartialAsymmetricLoss(prior_threshold=0.5, likelihood_topk=0)
    runner, lines = runner_of(nn.Sequential(loss), dataset)
    ClassPriorsHook().before_train(runner)
    assert loss.class_priors.tolist() == [0.75, 0.25, 0]
    assert '1 of 3 classes above 0.5' in lines[0]
    logits, targets = torch.randn(2, 3), torch.full((2, 3), -1)
    expected = PartialAsymmetricLoss(
        class_priors=[0.75, 0.25, 0], prior_threshold=0.5, likelihood_topk=0)(logits, targets)
    torch.testing.assert_close(loss(logits, targets), expected)

    save_class_priors(tmp_path / 'p.csv', [0.5, 0.1, 0.2], ('cow', 'cat', 'dog'))
    ClassPriorsHook(str(tmp_path / 'p.csv')).before_train(runner)
    torch.testing.assert_close(loss.class_priors, torch.tensor([0.1, 0.2, 0.5]))
    with pytest.raises(ValueError, match='Identity has no PartialAsymmetricLoss'):
        ClassPriorsHook().before_train(runner_of(nn.Identity(), dataset)[0])
