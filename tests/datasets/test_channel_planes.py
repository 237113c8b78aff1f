"""Planes of an image, and what packs them: the same tensors as NumPy's and mmdet's copies."""

import numpy as np
import pytest
import torch
from mmcv.transforms import LoadImageFromFile
from mmdet.datasets.transforms import PackDetInputs
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import TRANSFORMS, init_default_scope

from tresnet_mm.datasets import PackMultiLabelInputs
from tresnet_mm.datasets.channel_planes import channel_planes
from tresnet_mm.datasets.pack_det_inputs import FastPackDetInputs

VIEWS = {
    'whole': lambda img: img, 'columns mirrored': lambda img: img[:, ::-1],
    'rows mirrored': lambda img: img[::-1], 'both': lambda img: img[::-1, ::-1],
    'RGB': lambda img: img[..., ::-1], 'part': lambda img: img[1:5, 2:6],
    'part, mirrored': lambda img: img[1:5, 6:2:-1], 'every other': lambda img: img[::2, ::-2],
    'turned': lambda img: img.swapaxes(0, 1), 'empty': lambda img: img[:0],
}


@pytest.mark.parametrize('view', VIEWS)
@pytest.mark.parametrize('shape, dtype', [
    ((7, 9, 3), 'uint8'), ((7, 9), 'uint8'), ((7, 9, 1), 'uint8'), ((7, 9, 4), 'uint8'),
    ((7, 9, 3), 'float32'), ((1, 1, 3), 'uint8'), ((60, 333, 3), 'uint8')])
def test_planes_are_the_channels(view, shape, dtype):
    img = np.random.default_rng(0).integers(0, 256, shape).astype(dtype)
    if view == 'RGB' and img.ndim == 2:
        pytest.skip('grey has no order of channels')
    img = VIEWS[view](img)
    planes = channel_planes(img)
    expected = (img[..., None] if img.ndim == 2 else img).transpose(2, 0, 1)
    assert np.array_equal(planes, expected)
    assert planes.dtype == img.dtype
    assert planes.flags.c_contiguous
    assert torch.from_numpy(planes[:1]).shape[0] == planes[:1].shape[0]


@pytest.mark.parametrize('view', ['whole', 'columns mirrored', 'both'])
def test_packing_does_not_change_the_image(view):
    img = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    before = img.copy()
    packed = PackMultiLabelInputs()(dict(img=VIEWS[view](img)))['inputs']
    assert packed.is_contiguous()
    packed.zero_()
    assert np.array_equal(img, before)


@pytest.mark.parametrize('split', ['train', 'test'])
def test_detection_has_the_pixels_of_mmdet_to_the_bit(coco_tiny, repo_root, split):
    """Of a whole pipeline, mirrored images among them, boxes and all."""
    init_default_scope('mmdet')
    cfg = Config.fromfile(repo_root / 'configs/fcos_tresnet_m.py')
    steps = [step.to_dict() for step in cfg[f'{split}_dataloader'].dataset.pipeline]
    theirs = {'LoadImageFromFile': LoadImageFromFile, 'PackDetInputs': PackDetInputs}
    plain = [dict(step, type=theirs.get(step['type'], step['type'])) for step in steps]
    assert TRANSFORMS.get('PackDetInputs') is not PackDetInputs
    ours, expected = Compose(steps), Compose(plain)
    boxes = [dict(bbox=[10., 10., 99., 88.], bbox_label=1, ignore_flag=0)]
    mirrored = 0
    for seed, path in enumerate(sorted((coco_tiny / 'val2017').iterdir())[:6]):
        packed = []
        for pipeline in (ours, expected):
            np.random.seed(seed)
            packed.append(pipeline(dict(img_path=str(path), img_id=0, instances=boxes)))
        assert torch.equal(packed[0]['inputs'], packed[1]['inputs'])
        assert packed[0]['inputs'].stride() == packed[1]['inputs'].stride()
        samples = [one['data_samples'] for one in packed]
        assert samples[0].metainfo == samples[1].metainfo
        found = [sample.gt_instances.bboxes for sample in samples]
        assert torch.equal(*(getattr(each, 'tensor', each) for each in found))
        mirrored += bool(samples[0].metainfo.get('flip'))
    assert split == 'test' or 0 < mirrored < 6


def test_packing_without_an_image():
    """As mmdet's: a pipeline may hand on the boxes alone."""
    packed = FastPackDetInputs(meta_keys=())(dict(gt_bboxes_labels=np.array([2])))
    assert list(packed) == ['data_samples']
    assert packed['data_samples'].gt_instances.labels.tolist() == [2]
