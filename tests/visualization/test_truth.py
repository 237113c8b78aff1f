"""What is drawn as an image's truth."""

import numpy as np
import torch
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import BaseDataElement, InstanceData

from tresnet_mm.visualization import draw_truth, truth

GREY = np.full((20, 40, 3), 100, np.uint8)
META = dict(classes=('cat',), palette=[(250, 0, 0)])


def test_masks_are_scaled_with_the_image():
    """The mask is the right half of its box: there alone the picture turns red."""
    mask = np.zeros((1, 20, 40), np.uint8)
    mask[:, 5:15, 20:30] = 1
    objects = InstanceData(bboxes=torch.tensor([[10.0, 5, 30, 15]]), labels=torch.tensor([0]))
    sample = BaseDataElement(gt_instances=objects)
    plain = draw_truth(GREY, sample, META, width=80)
    objects.masks = BitmapMasks(mask, 20, 40)
    picture = draw_truth(GREY, sample, META, width=80)
    assert plain.shape == picture.shape == (40, 80, 3)
    redder = picture[..., 0].astype(int) - plain[..., 0]
    assert (redder[26:28, 45:55] > 30).all() and (redder[26:28, 25:35] == 0).all()
    assert objects.masks.masks.shape == (1, 20, 40), 'the sample stays as it was'


def test_the_labels_of_an_image():
    labels = truth.image_targets
    second = BaseDataElement(gt_label=torch.tensor([1]))
    assert labels(second, ('a', 'b', 'c')).tolist() == [0, 1, 0]
    assert labels(second, ()).tolist() == [0, 1]
    assert labels(BaseDataElement(), ('a',)) is None
