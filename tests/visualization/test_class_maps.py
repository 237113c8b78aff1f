"""Maps of whole models: on the image, without padding, and the model as it was before."""

import copy

import numpy as np
import pytest
import torch
from mmengine.registry import MODELS, DefaultScope
from mmengine.structures import BaseDataElement

from tresnet_mm.models import MultiLabelClassifier
from tresnet_mm.visualization import ClassMaps, class_maps, draw_heat

TINY = dict(type='TResNet', arch=dict(depths=(1, 1, 1, 1), width=0.125,
                                      blocks=('basic', 'basic', 'bottleneck', 'bottleneck')))
HEADS = [dict(type='MultiLabelLinearHead', num_classes=3),
         dict(type='MLDecoderHead', num_classes=3, embed_dims=16, num_heads=2,
              feedforward_channels=8)]


def batch(*shapes):
    images = [torch.randint(0, 256, (3, *shape)).to(torch.uint8) for shape in shapes]
    return dict(inputs=images, data_samples=[
        BaseDataElement(metainfo=dict(img_shape=shape, ori_shape=shape)) for shape in shapes])


def hooks(model):
    return [module for module in model.modules()
            if module._forward_hooks or module._forward_pre_hooks]


@pytest.mark.parametrize('head', HEADS, ids=['linear', 'decoder'])
def test_a_classifier_alone_and_in_a_padded_batch(head):
    model = MultiLabelClassifier(TINY, head)
    model.init_weights()
    model.train()
    data = batch((64, 96), (128, 128))
    before = copy.deepcopy(model.state_dict())
    together = class_maps(model, data, [2, 0])
    assert model.training and not hooks(model)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    with torch.no_grad():
        results = model.eval().test_step(data)
    for maps, result, cells in zip(together, results, [(2, 3), (4, 4)], strict=True):
        assert maps.cells.shape == (2, *cells) and maps.extent == cells
        np.testing.assert_allclose(maps.scores, result.pred_scores[[2, 0]], rtol=1e-5)
        total = maps.cells.mean(axis=(1, 2)) if maps.kind == 'logit' else maps.cells.sum((1, 2))
        expected = torch.logit(result.pred_scores[[2, 0]]) if maps.kind == 'logit' else 1
        np.testing.assert_allclose(total, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('head, cells, whole', [
    (HEADS[0], (2, 3), np.mean),
    (dict(type='MultiLabelDenseHead', features='neck', num_classes=3, stacked_convs=1),
     (8, 12), np.max)], ids=['linear', 'dense'])
def test_a_joint_model_shows_what_its_image_head_reads(head, cells, whole):
    from tests.models.test_multitask_detector import fcos
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(dict(type='MultiTaskDetector', detector=fcos(), image_head=head))
        model.init_weights()
        model.eval()
        (maps,) = class_maps(model, batch((64, 96)))
    assert maps.cells.shape == (3, *cells)
    np.testing.assert_allclose(whole(maps.cells, axis=(1, 2)),
                               np.log(maps.scores / (1 - maps.scores)), rtol=1e-3, atol=1e-4)
    assert maps.explain(0).startswith('logit of a cell')


def test_a_model_without_labels_is_named():
    with pytest.raises(TypeError, match='Linear has no image-level head'):
        class_maps(torch.nn.Linear(2, 2), {})


def test_enlarged_maps_are_bilinear_between_the_centres_of_cells():
    cells = np.array([[[1.0, 3.0], [5.0, 7.0]]])
    maps = ClassMaps(cells, np.array([0.5]), 'logit', (2.0, 2.0))
    # centres of 4 x 4 pixels at 0.25, 0.75, 1.25, 1.75 cells; those of the cells at 0.5 and 1.5
    steps = np.array([0, 0.25, 0.75, 1])
    expected = 1 + 2 * steps[None] + 4 * steps[:, None]
    np.testing.assert_allclose(maps.on_image(4, 4)[0], expected, atol=1e-6)


def test_the_image_may_end_within_a_cell():
    """Of 2 x 2 cells the image takes one and a half in width: its pixels end in the second one."""
    maps = ClassMaps(np.array([[[0.0, 1.0], [0.0, 1.0]]]), np.array([0.5]), 'logit', (2.0, 1.5))
    row = maps.on_image(2, 3)[0, 0]  # pixels' centres at 0.25, 0.75 and 1.25 cells
    np.testing.assert_allclose(row, [0, 0.25, 0.75], atol=1e-6)


def test_heat_is_red_for_blue_against_and_leaves_nothing_alone():
    image = np.full((1, 3, 3), 100, np.uint8)
    picture = draw_heat(image, np.array([[2.0, 0.0, -2.0]]))
    assert picture[0, 1].tolist() == [100, 100, 100]
    assert picture[0, 0, 0] > picture[0, 0, 2] and picture[0, 2, 2] > picture[0, 2, 0]
    assert (draw_heat(image, np.zeros((1, 3))) == 100).all()
    half = draw_heat(image, np.array([[2.0, 0.0, -2.0]]), largest=4)
    assert abs(int(half[0, 0, 1]) - 100) < abs(int(picture[0, 0, 1]) - 100)
    with pytest.raises(ValueError, match='values of shape'):
        draw_heat(image, np.zeros((2, 3)))


def test_what_the_colours_mean():
    cells = np.array([[[-0.04, 1.0], [0.0, 2.96]]])
    assert ClassMaps(cells, np.array([0.5]), 'logit', (2.0, 2.0)).explain(0) == (
        'logit of a cell: +0.0 to +3.0; red for the class, blue against it')
    cells = np.array([[[0.1, 0.1], [0.2, 0.6]]])
    assert ClassMaps(cells, np.array([0.5]), 'attention', (2.0, 2.0)).explain(0) == (
        'attention: up to 2.4 times its mean')
