"""What is handed to the visualizer of one image."""

import numpy as np
import pytest
import torch
from mmengine.structures import BaseDataElement

from tresnet_mm.inference.pictures import draw
from tresnet_mm.inference.results import Decision


class Recorder:
    def add_datasample(self, name, picture, sample, **settings):
        self.sample, self.picture = sample, picture

    def get_image(self):
        return self.picture


@pytest.mark.parametrize('threshold, labels', [(None, [1]), (0.2, [1, 2])])
def test_of_named_heads_the_predicted_labels_are_drawn(threshold, labels):
    """A head with the truth alone stays as it is, and so does the given sample."""
    sample = BaseDataElement(
        scene=BaseDataElement(pred_scores=torch.tensor([0.1, 0.9, 0.3])),
        weather=BaseDataElement(gt_labels=torch.tensor([1, 0])))
    recorder = Recorder()
    grey = np.full((4, 5), 300, np.int32)
    picture = draw(recorder, grey, sample, Decision(0.5, np.zeros(1), named_threshold=threshold))
    assert picture.shape == (4, 5, 3) and (picture == 255).all()
    assert recorder.sample.scene.pred_labels.tolist() == labels
    assert recorder.sample.weather.keys() == ['gt_labels']
    assert sample.scene.keys() == ['pred_scores']
