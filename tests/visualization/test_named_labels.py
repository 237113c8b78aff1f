"""Labels of named image heads below a picture: which, with which verdict."""

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import BaseDataElement, InstanceData

from tresnet_mm.visualization import MultiLabelVisualizer, draw_truth, named_labels
from tresnet_mm.visualization.named_labels import draw_named_labels, named_fields

CLASSES = dict(weather=('sun', 'rain'), scene=('street', 'park', 'night'))
IMAGE = np.full((40, 400, 3), 77, np.uint8)
LINE = round(1.4 * 13)


def sample() -> BaseDataElement:
    whole = DetDataSample(gt_instances=InstanceData(
        bboxes=torch.tensor([[2., 2, 20, 20]]), labels=torch.tensor([0])))
    whole.weather = BaseDataElement(
        pred_scores=torch.tensor([0.25, 0.75]), pred_label=torch.tensor([1]),
        gt_labels=torch.tensor([1., 0]), gt_label=torch.tensor([0]))
    whole.scene = BaseDataElement(
        pred_scores=torch.tensor([0.875, 0.625, 0.125]), pred_labels=torch.tensor([1]))
    whole.quality = BaseDataElement(gt_labels=torch.tensor([0., 1]))
    whole.set_metainfo(dict(img_path='a.png'))
    return whole


@pytest.fixture
def drawn(monkeypatch):
    """What is handed to `draw_label_scores`, by the head's name: scores, names, targets, more."""
    calls = {}
    draw = named_labels.draw_label_scores

    def record(image, scores, names, targets, **more):
        calls[names[0].partition(':')[0]] = (scores, names, targets, more['predicted'])
        return draw(image, scores, names, targets, **more)
    monkeypatch.setattr(named_labels, 'draw_label_scores', record)
    return calls


def test_scores_truth_and_predictions_of_each_head(drawn):
    assert list(named_fields(sample())) == ['quality', 'scene', 'weather']
    picture = draw_named_labels(IMAGE, sample(), CLASSES)
    scores, names, targets, predicted = drawn['weather']
    assert names == ['weather: sun', 'weather: rain']
    assert (scores.tolist(), targets.tolist()) == ([0.25, 0.75], [1, 0])
    assert predicted.tolist() == [False, True]
    scores, names, targets, predicted = drawn['scene']
    assert names[2] == 'scene: night' and targets is None
    assert predicted.tolist() == [False, True, False]
    scores, names, targets, predicted = drawn['quality']
    assert names == ['quality: 0', 'quality: 1'] and scores is predicted is None
    # two of weather (hit and miss), of scene the predicted and the highest, one true of quality
    assert picture.shape == (40 + 5 * LINE + 3 * 4, 400, 3)
    assert (picture[:40] == 77).all()


def test_without_labels_above_a_half_are_predicted(drawn):
    whole = sample()
    whole.scene.pop('pred_labels')
    draw_named_labels(IMAGE, whole, CLASSES)
    assert drawn['scene'][3].tolist() == [True, True, False]


def test_truth_or_predictions_alone(drawn):
    draw_named_labels(IMAGE, sample(), CLASSES, draw_pred=False)
    assert drawn.keys() == {'weather', 'quality'} and drawn['weather'][0] is None
    drawn.clear()
    draw_named_labels(IMAGE, sample(), CLASSES, draw_gt=False)
    assert drawn.keys() == {'weather', 'scene'} and drawn['weather'][2] is None
    assert draw_named_labels(IMAGE, BaseDataElement(), CLASSES) is IMAGE


def test_they_are_on_the_pictures_of_test_and_browse(drawn):
    visualizer = MultiLabelVisualizer()
    visualizer.dataset_meta = dict(classes=('cat', ), palette=[(0, 0, 255)], image_classes=CLASSES)
    visualizer.add_datasample('x', IMAGE, sample())
    assert drawn.keys() == {'weather', 'scene', 'quality'}
    drawn.clear()
    truth = draw_truth(IMAGE, sample(), visualizer.dataset_meta)
    assert drawn.keys() == {'weather', 'quality'} and drawn['weather'][1][0] == 'weather: sun'
    assert truth.shape == (40 + 2 * LINE + 2 * 4, 400, 3)
