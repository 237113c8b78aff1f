"""The NMS of exported files, as it runs in PyTorch, against mmcv's."""

import pytest
import torch
from mmcv.ops import batched_nms
from mmengine.config import ConfigDict

from tresnet_mm.deploy.non_max_suppression import Suppression


@pytest.mark.parametrize('class_agnostic', [True, False])
def test_it_is_mmcvs(class_agnostic):
    torch.manual_seed(0)
    corners = torch.rand(2, 40, 2) * 30
    boxes = torch.cat([corners, corners + 5 + torch.rand(2, 40, 2) * 20], -1)
    scores, labels = torch.rand(2, 40), torch.randint(3, (2, 40))
    suppress = Suppression.of(ConfigDict(max_per_img=7, nms=dict(
        iou_threshold=0.4, class_agnostic=class_agnostic)))
    image, index = suppress(boxes, scores, labels)
    for i in range(2):
        _, kept = batched_nms(boxes[i], scores[i], labels[i], dict(type='nms', iou_threshold=0.4),
                              class_agnostic=class_agnostic)
        assert index[image == i].tolist() == kept[:7].tolist()


@pytest.mark.parametrize('changes, words', [
    (dict(max_per_img=-1), 'rpn.max_per_img must be above 0 to be exported, got -1'),
    (dict(max_per_img=None), 'rpn.max_per_img must be above 0 to be exported, got -1'),
    (dict(nms=dict(type='nms')), 'rpn.nms must have iou_threshold'),
    (dict(nms=dict(type='soft_nms', iou_threshold=0.5)), "rpn.nms.type must be nms .*'soft_nms'"),
])
def test_another_kind_is_refused(changes, words):
    cfg = {**dict(max_per_img=7, nms=dict(iou_threshold=0.5)), **changes}
    cfg = ConfigDict({key: value for key, value in cfg.items() if value is not None})
    with pytest.raises(ValueError, match=words):
        Suppression.of(cfg, 'rpn')
