"""True and predicted boxes, side by side."""

import numpy as np
import torch
from mmengine.structures import InstanceData

from tresnet_mm.visualization import draw_detections

META = dict(classes=('a', 'b'), palette=[(250, 0, 0), (0, 250, 0)])


def instances(*boxes: list[float], labels: list[int], scores: list[float] | None = None):
    data = dict(bboxes=torch.tensor(boxes), labels=torch.tensor(labels))
    if scores is not None:
        data['scores'] = torch.tensor(scores)
    return InstanceData(**data)


def reddish(picture: np.ndarray) -> np.ndarray:
    return (picture[..., 0] > 150) & (picture[..., 1] < 90)


def greenish(picture: np.ndarray) -> np.ndarray:
    return (picture[..., 1] > 150) & (picture[..., 0] < 90)


def test_boxes_stand_where_they_belong() -> None:
    image = np.full((100, 100, 3), 50, np.uint8)
    truth = instances([40.0, 50.0, 80.0, 90.0], labels=[0])
    predicted = instances([10.0, 40.0, 60.0, 70.0], [0.0, 0.0, 99.0, 99.0], labels=[1, 0],
                          scores=[0.9, 0.1])  # fmt: skip
    picture = draw_detections(image, truth, predicted, META, score_threshold=0.3, scale=2)
    assert picture.shape == (200, 400, 3)
    left, right = picture[:, :200], picture[:, 200:]
    ys, xs = reddish(left).nonzero()
    assert np.allclose([xs.min(), ys.min(), xs.max(), ys.max()], [80, 100, 160, 180], atol=4)
    ys, xs = greenish(right).nonzero()
    assert np.allclose([xs.min(), ys.min(), xs.max(), ys.max()], [20, 80, 120, 140], atol=4)
    assert not greenish(left).any()
    assert not reddish(right).any()  # its score is too low
    assert truth.bboxes.tolist() == [[40, 50, 80, 90]]  # the caller's are left as they were


def test_no_boxes_at_all() -> None:
    image = np.full((64, 64, 3), 50, np.uint8)
    empty = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long),
                         scores=torch.zeros(0))  # fmt: skip
    picture = draw_detections(image, empty, empty, META)
    assert picture.shape == (64, 128, 3)
    assert (picture == 50).all()


def test_boxes_beyond_the_picture_are_drawn_without_a_warning(recwarn) -> None:
    image = np.full((64, 64, 3), 50, np.uint8)
    truth = instances([10.0, 10.0, 64.0, 64.0], labels=[0])
    predicted = instances([-5.0, 20.0, 70.0, 40.0], labels=[1], scores=[0.9])
    picture = draw_detections(image, truth, predicted, META, scale=2)
    assert reddish(picture[:, :128])[:, -3:].any()  # up to the right side
    assert greenish(picture[:, 128:])[:, :3].any() and greenish(picture[:, 128:])[:, -3:].any()
    assert [w for w in recwarn if 'out of bounds' in str(w.message)] == []
