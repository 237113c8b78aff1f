"""Metrics of named image heads, on images that are labelled in part."""
import numpy as np
import pytest
import torch

from tresnet_mm.evaluation import DumpMultiLabelScores, MultiLabelMetric, SingleLabelMetric
from tresnet_mm.evaluation.sample_field import read_field

META = dict(classes=('cat', ), image_classes=dict(weather=('sun', 'rain'), scene=('a', 'b', 'c')))


def sample(i, **fields):
    return dict(img_path=f'{i}.jpg', img_id=i, **fields)


def scene(*scores, labels=None):
    target = {} if labels is None else dict(gt_labels=torch.tensor(labels))
    return dict(scene=dict(pred_scores=torch.tensor(scores), **target))


def weather(*scores, label=None):
    target = {} if label is None else dict(gt_label=torch.tensor([label]))
    return dict(weather=dict(pred_scores=torch.tensor(scores), **target))


def evaluate(metric, samples):
    metric.dataset_meta = META
    metric.process({}, samples)
    return metric.evaluate(len(samples))


SCENES = [sample(0, **scene(.9, .2, .4, labels=[1, 0, 0])), sample(1, **scene(.9, .9, .9)),
          sample(2, **scene(.3, .8, .1, labels=[0, 1, -1]))]


def test_a_multi_label_field_is_measured_by_itself():
    found = evaluate(MultiLabelMetric(field='scene'), SCENES)
    plain = MultiLabelMetric(prefix='scene')
    plain.dataset_meta = dict(classes=META['image_classes']['scene'])
    plain.process({}, [s['scene'] for s in SCENES[::2]])
    assert found == plain.evaluate(2)
    assert found['scene/mAP'] == 100


def test_a_single_label_field_is_measured_by_itself():
    samples = [sample(0, **weather(.9, .1, label=0)), sample(1, **weather(.9, .1)),
               sample(2, **weather(.9, .1, label=1))]
    assert evaluate(SingleLabelMetric(field='weather'), samples)['weather/top1'] == 50
    found = evaluate(SingleLabelMetric(field='weather', prefix='day'), samples)
    assert found['day/per_class'] == 50


def test_scores_of_a_field_are_written(tmp_path):
    evaluate(DumpMultiLabelScores(str(tmp_path / 's.npz'), field='scene'), SCENES)
    with np.load(tmp_path / 's.npz') as data:
        assert data['classes'].tolist() == ['a', 'b', 'c']
        assert data['images'].tolist() == ['0.jpg', '2.jpg']


def test_what_is_missing_is_named():
    with pytest.raises(ValueError, match=r"field='wether'.*those of the model are \['weather'\]"):
        evaluate(SingleLabelMetric(field='wether'), [sample(0, **weather(.9, .1))])
    with pytest.raises(ValueError, match='none of the 1 images has labels'):
        evaluate(SingleLabelMetric(field='weather'), [sample(0, **weather(.9, .1))])


def test_images_without_annotated_boxes_have_no_labels_of_these():
    unboxed = sample(0, pred_scores=torch.tensor([.5]), has_boxes=False)
    assert read_field(unboxed, None, 'gt_labels', 'M') is None
    boxed = sample(0, pred_scores=torch.tensor([.5]), has_boxes=True)
    assert read_field(boxed, None, 'gt_labels', 'M') is boxed
