"""The page that the swap report writes, and what it takes for a loss."""

import pytest
from mmengine.config import Config

from benchmarks.experiments import swap_report
from benchmarks.experiments.swap_inputs import mmpretrain_inputs, mmseg_inputs
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


def test_page_of_some_folders_says_so():
    page = swap_report.markdown(ROWS, ['m'], only=['a', 'b'])
    assert "of these of mmdet's config folders" in page and 'swap_report --only a b --archs' in page


def test_only_what_works_with_resnet_can_be_lost():
    assert swap_report.regressions(ROWS, ['m']) == [
        'a/a.py m loss: ValueError: no', 'c/c.py m build: ValueError: no',
        'c/c.py m loss: not reached', 'c/c.py m predict: not reached']


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
