"""The page that the swap report writes, and what it takes for a loss."""

import pytest
from mmengine.config import Config

from benchmarks.experiments import swap_report
from benchmarks.experiments.swap_inputs import (
    mmpretrain_inputs,
    mmrotate_inputs,
    mmseg_inputs,
)
from tests.lines import needs_package

OK = dict.fromkeys(swap_report.STEPS, 'ok')
NO_LOSS = dict(OK, loss='ValueError: no')
ROWS = [dict(config='a/a.py', results={'ResNet': OK, 'm': NO_LOSS}),
        dict(config='b/b.py', results={'ResNet': NO_LOSS, 'm': NO_LOSS}),
        dict(config='c/c.py', results={'ResNet': OK, 'm': dict(build='ValueError: no')})]


def test_page():
    page = swap_report.markdown(ROWS, ['m'])
    assert "# mmdet's models with TResNet" in page and "of mmdet's config folders" in page
    assert 'swap_report --archs m --out docs/swap_report.md' in page
    rows = [[cell.strip() for cell in line.strip('|').split('|')]
            for line in page.splitlines() if line.startswith('|')]
    assert rows[2:] == [
        ['a/a.py', 'build loss predict', 'build predict'],
        ['b/b.py', 'build predict', 'build predict'],
        ['c/c.py', 'build loss predict', 'nothing'],
        ['of 3: build / loss / predict', '3 / 2 / 3', '2 / 0 / 2']]
    assert '- b/b.py, loss (ResNet, m): ValueError: no' in page


def test_page_says_what_needs_a_gpu():
    no_cpu = dict(OK, loss='RuntimeError: nms_impl: implementation for device cpu not found.')
    page = swap_report.markdown([dict(config='a/a.py', results={'ResNet': no_cpu})], [])
    assert 'mmcv has this operator for GPUs alone' in page
    assert 'GPUs alone' not in swap_report.markdown(ROWS, ['m'])


def test_page_of_some_folders_says_so():
    page = swap_report.markdown(ROWS, ['m'], only=['a', 'b'])
    assert "of these of mmdet's config folders" in page and 'swap_report --only a b --archs' in page


def test_only_what_works_with_resnet_can_be_lost():
    assert swap_report.regressions(ROWS, ['m']) == [
        'a/a.py m loss: ValueError: no', 'c/c.py m build: ValueError: no',
        'c/c.py m loss: not reached', 'c/c.py m predict: not reached']


def fail_without_message(path, arch, library):
    raise NotImplementedError


def fail_with_message(path, arch, library):
    raise ValueError('low >= high')


@pytest.mark.parametrize(('check', 'text'), [
    (fail_with_message, 'ValueError: low >= high'),
    (fail_without_message, 'NotImplementedError: raise NotImplementedError'),
])
def test_error_before_the_first_step_is_the_row_s_text(monkeypatch, check, text):
    monkeypatch.setattr(swap_report, 'check', check)
    results = swap_report.check_in_process('a/a.py', 'm', 'mmdet')
    assert results == {'prepare': text}
    page = swap_report.markdown([dict(config='a/a.py', results={'ResNet': results})], [])
    assert f'- a/a.py, prepare (ResNet): {text}' in page


@needs_package('mmrotate')
@pytest.mark.parametrize(('types', 'sides', 'turned'), [
    (['qbox'], 8, True), (['qbox', 'rbox'], 5, True), (['qbox', 'hbox', 'rbox'], 5, False)])
def test_inputs_of_mmrotate_have_the_pipeline_s_boxes_and_the_model_s_classes(
        types, sides, turned):
    first, *later = types
    pipeline = [dict(type='mmdet.LoadAnnotations', with_bbox=True, box_type=first), *(
        dict(type='ConvertBoxType', box_type_mapping=dict(gt_bboxes=name)) for name in later)]
    cfg = Config(dict(
        model=dict(crop_size=(768, 768), bbox_head=dict(num_classes=1)),
        train_dataloader=dict(dataset=dict(pipeline=pipeline))))
    samples = mmrotate_inputs(cfg, 64)['data_samples']
    for sample in samples:
        boxes = sample.gt_instances.bboxes
        assert boxes.tensor.shape == (len(sample.gt_instances), sides)
        assert sample.ignored_instances.bboxes.tensor.shape[1] == sides
        if types[-1] == 'rbox':
            assert bool(boxes.tensor[:, 4].abs().sum() > 0) is turned
        assert set(sample.gt_instances.labels.tolist()) == {0}
    assert len(samples) == 2 and cfg.model.crop_size == (64, 64)


@needs_package('mmseg')
def test_inputs_of_mmseg_have_the_model_s_classes():
    cfg = Config(dict(model=dict(
        data_preprocessor=dict(size=(512, 1024)), decode_head=dict(num_classes=3),
        auxiliary_head=[dict(num_classes=3)])))
    inputs = mmseg_inputs(cfg, 64)
    masks = [sample.gt_sem_seg.data for sample in inputs['data_samples']]
    assert {(*mask.shape, int(mask.max())) for mask in masks} == {(1, 64, 64, 2)}
    assert cfg.model.data_preprocessor.size == (64, 64)


@needs_package('mmpretrain')
@pytest.mark.parametrize(('head', 'labels'), [
    (dict(type='LinearClsHead'), [[0], [1]]),
    (dict(type='CSRAClsHead'), [[0, 1], [0, 1]]),
    (dict(type='MultiLabelLinearClsHead'), [[0, 1], [0, 1]]),
])
def test_inputs_of_mmpretrain_fit_the_head(head, labels):
    inputs = mmpretrain_inputs(Config(dict(model=dict(type='ImageClassifier', head=head))), 32)
    assert [sample.gt_label.tolist() for sample in inputs['data_samples']] == labels
