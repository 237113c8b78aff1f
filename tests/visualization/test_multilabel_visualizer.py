"""The visualizer as the hooks use it: labels alone, boxes and labels, and what is missing."""

import numpy as np
import pytest
import torch
from mmdet.registry import VISUALIZERS as MMDET_VISUALIZERS
from mmdet.structures import DetDataSample
from mmengine.registry import VISUALIZERS, DefaultScope
from mmengine.structures import BaseDataElement, InstanceData

from tresnet_mm.visualization import MultiLabelVisualizer, multilabel_visualizer

CLASSES = ('cat', 'dog', 'hen', 'fox')
IMAGE = np.full((40, 60, 3), 77, np.uint8)


@pytest.fixture
def drawn(monkeypatch):
    """What is handed to `draw_label_scores`."""
    calls = []
    draw = multilabel_visualizer.draw_label_scores

    def record(image, scores, names, targets, **kwargs):
        calls.append(dict(kwargs, image=image, scores=scores, names=names, targets=targets))
        return draw(image, scores, names, targets, **kwargs)

    monkeypatch.setattr(multilabel_visualizer, 'draw_label_scores', record)
    return calls


def make(**kwargs):
    visualizer = MultiLabelVisualizer(**kwargs)
    visualizer.dataset_meta = dict(classes=CLASSES)
    return visualizer


def sample(**fields):
    return BaseDataElement(
        pred_scores=torch.tensor([0.9, 0.6, 0.2, 0.1]), gt_labels=torch.tensor([1., 0, 1, -1]),
        **fields)


def test_it_is_found_in_mmdets_scope_too():
    with DefaultScope.overwrite_default_scope('mmdet'):
        built = VISUALIZERS.build(dict(type='MultiLabelVisualizer', name='labels', line_width=5))
    assert type(built) is MultiLabelVisualizer and built._boxes.line_width == 5
    assert MMDET_VISUALIZERS.get('MultiLabelVisualizer') is MultiLabelVisualizer


@pytest.mark.parametrize('thresholds, predicted', [
    (0.5, [1, 1, 0, 0]), ([0.95, 0.5, 0.1, 0.5], [0, 1, 1, 0])])
def test_thresholds_decide_where_the_head_does_not(drawn, thresholds, predicted):
    make(thresholds=thresholds).add_datasample('a', IMAGE, sample())
    assert drawn[0]['predicted'].tolist() == [bool(p) for p in predicted]
    assert drawn[0]['names'] == CLASSES and drawn[0]['targets'].tolist() == [1, 0, 1, -1]


def test_the_heads_labels_count(drawn):
    make().add_datasample('a', IMAGE, sample(pred_labels=torch.tensor([3])))
    assert drawn[0]['predicted'].tolist() == [False, False, False, True]


def test_one_label_an_image(drawn):
    shown = BaseDataElement(pred_scores=torch.tensor([0.4, 0.3, 0.2, 0.1]),
                            pred_label=torch.tensor([0]), gt_label=torch.tensor([2]))
    visualizer = make()
    visualizer.add_datasample('a', IMAGE, shown)
    visualizer.add_datasample('a', IMAGE, shown, draw_pred=False)
    assert drawn[0]['predicted'].tolist() == [True, False, False, False]
    assert drawn[0]['targets'].tolist() == drawn[1]['targets'].tolist() == [0, 0, 1, 0]
    visualizer.dataset_meta = None
    visualizer.add_datasample('a', IMAGE, shown)
    assert list(drawn[2]['names']) == ['0', '1', '2', '3']


def test_truth_and_predictions_can_be_left_out(drawn):
    visualizer = make()
    visualizer.add_datasample('a', IMAGE, sample(), draw_gt=False)
    visualizer.add_datasample('a', IMAGE, sample(), draw_pred=False)
    assert drawn[0]['targets'] is None and drawn[0]['scores'] is not None
    assert drawn[1]['targets'] is not None and drawn[1]['scores'] is None
    visualizer.add_datasample('a', IMAGE, sample(), draw_gt=False, draw_pred=False)
    visualizer.add_datasample('a', IMAGE)
    assert len(drawn) == 2 and visualizer.get_image().shape == IMAGE.shape


@pytest.mark.parametrize('size, width', [((8, 9), 320), ((300, 500), 500), ((1500, 2000), 1600)])
def test_text_fits_images_of_any_size(drawn, size, width):
    visualizer = make()
    visualizer.add_datasample('a', np.zeros((*size, 3), np.uint8), sample())
    assert visualizer.get_image().shape[1] == width
    assert drawn[0]['text_size'] == max(13, width // 70)


def test_boxes_are_mmdets_with_the_labels_below(drawn):
    boxes = InstanceData(bboxes=torch.tensor([[5., 5, 30, 30]]), labels=torch.tensor([1]))
    found = InstanceData(bboxes=torch.tensor([[8., 8, 30, 30], [1., 1, 9, 9]]),
                         labels=torch.tensor([1, 0]), scores=torch.tensor([0.9, 0.2]))
    joint = DetDataSample(gt_instances=boxes, pred_instances=found)
    joint.pred_scores, joint.gt_labels = sample().pred_scores, sample().gt_labels
    visualizer = make()
    visualizer.dataset_meta = dict(classes=CLASSES, palette=[(250, 0, 0)] + [(0, 250, 0)] * 3)
    visualizer.add_datasample('a', IMAGE, joint, pred_score_thr=0.3)
    picture = drawn[0]['image']
    assert picture.shape == (40, 120, 3)  # truth and predictions, side by side
    green = (picture[..., 1] > 150) & (picture[..., 0] < 90)
    red = (picture[..., 0] > 150) & (picture[..., 1] < 90)
    assert green[:, :60].any() and green[:, 60:].any()
    assert not red.any()  # its score is too low
    assert visualizer.get_image().shape[0] > 40 * 320 / 120


def test_written_to_a_file_or_to_the_backends(tmp_path):
    visualizer = make(vis_backends=[dict(type='LocalVisBackend')], save_dir=str(tmp_path))
    visualizer.add_datasample('a', IMAGE, sample(), step=3)
    [kept] = tmp_path.rglob('*.png')
    assert kept.name == 'a_3.png'
    visualizer.add_datasample('a', IMAGE, sample(), out_file=str(tmp_path / 'out.jpg'), step=4)
    assert (tmp_path / 'out.jpg').is_file() and len(list(tmp_path.rglob('*.png'))) == 1


def test_images_of_one_name_do_not_replace_each_other(tmp_path):
    visualizer = make()
    for step in (1, 2, 3, 3):
        visualizer.add_datasample('a', IMAGE, sample(), out_file=str(tmp_path / 'out.jpg'),
                                  step=step)
    assert {path.name for path in tmp_path.iterdir()} == {'out.jpg', 'out_2.jpg', 'out_3.jpg'}


def test_without_class_names_there_are_numbers(drawn):
    visualizer = MultiLabelVisualizer()
    visualizer.add_datasample('a', IMAGE, sample())
    assert drawn[0]['names'] == ['0', '1', '2', '3']


def test_a_window_is_opened_with_the_finished_picture(monkeypatch):
    visualizer, shown = make(), []
    monkeypatch.setattr(visualizer, 'show', lambda *args, **kwargs: shown.append((args, kwargs)))
    visualizer.add_datasample('a', IMAGE, sample(), show=True, wait_time=2)
    [((picture,), options)] = shown
    assert options == dict(win_name='a', wait_time=2)
    assert np.array_equal(picture, visualizer.get_image())
