"""All measures over two and four processes, where images do not divide by them."""

import os

import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler
from mmengine.dist import get_world_size
from mmengine.registry import METRICS

from tests.ranks import in_ranks


def coco():
    from tests.evaluation.test_coco_metric import coco_file
    data = coco_file()
    data['images'] = data['images'][:7]
    ids = {image['id'] for image in data['images']}
    data['annotations'] = [a for a in data['annotations'] if a['image_id'] in ids]
    return data


def metrics_and_samples(folder):
    """Each metric with the samples of all images."""
    from tests.evaluation.test_coco_metric import NAMES, predictions, write
    data, rng = coco(), np.random.default_rng(0)
    scores = rng.random((7, 3)).astype(np.float32)
    labels = (rng.random((7, 3)) < 0.5).astype(np.float32)
    yield dict(type='CocoMetric', ann_file=write(folder, data), metric='bbox', classwise=True,
               _scope_='mmdet'), NAMES, predictions(data)
    yield dict(type='MultiLabelMetric'), NAMES, [
        dict(img_path=f'{i}.jpg', pred_scores=torch.tensor(s), gt_labels=torch.tensor(t))
        for i, (s, t) in enumerate(zip(scores, labels, strict=True))]
    yield dict(type='SingleLabelMetric'), NAMES, [
        dict(img_path=f'{i}.jpg', pred_scores=torch.tensor(s), gt_label=torch.tensor([i % 3]))
        for i, s in enumerate(scores)]


def measures():
    """Of the share that mmengine's sampler gives this process."""
    import tempfile
    from pathlib import Path

    import tresnet_mm  # noqa: F401
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for settings, classes, samples in metrics_and_samples(Path(folder)):
            metric = METRICS.build(settings)
            metric.dataset_meta = dict(classes=classes)
            for index in DefaultSampler(samples, shuffle=False):
                metric.process({}, [samples[index]])
            assert len(metric.results) == -(-7 // get_world_size())
            found.update(metric.evaluate(len(samples)))
    return {name: float(value) for name, value in found.items()}


@pytest.fixture(scope='module')
def results(tmp_path_factory):
    return in_ranks('tests.evaluation.test_metrics_of_ranks:measures', (1, 2, 4),
                    tmp_path_factory.mktemp('ranks'))


@pytest.mark.slow
@pytest.mark.reliability(
    done='COCO, multi-label and single-label measures over two and four processes, 7 images',
    happens='exactly those of one process: the images that the sampler repeats do not count')
@pytest.mark.skipif(not hasattr(os, 'fork'), reason='forks')
@pytest.mark.parametrize('world', [2, 4])
def test_processes_measure_what_one_measures(world, results):
    (one,) = results[1]
    assert {'coco/bbox_mAP', 'multi-label/mAP', 'single-label/top1'} <= set(one)
    assert any(0 < value < 1 for name, value in one.items() if name.startswith('coco'))
    for found in results[world]:
        assert found.keys() == one.keys()
        np.testing.assert_array_equal([found[name] for name in one], [*one.values()])
