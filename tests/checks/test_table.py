"""What the table of a run says where little is known of its data."""

import pytest
from mmengine.config import ConfigDict

from tests.checks.test_image_heads import joint  # noqa: F401
from tresnet_mm.checks import Subject
from tresnet_mm.checks.table import objects_table, rows


def told(cfg) -> dict[str, str]:
    return dict(rows(Subject(cfg)))


def test_a_data_set_that_nobody_knows_has_no_rows(own):
    cfg = own()
    for split in ('train', 'val'):
        cfg[f'{split}_dataloader'].dataset = ConfigDict(type='NoSuchData')
    assert [name for name in told(cfg) if name.startswith(('train', 'val'))] == []
    assert objects_table(Subject(cfg)) == []


def test_of_two_data_sets_the_known_one_has_its_rows(own):
    """Without their sum, as the batches of an epoch are not known."""
    cfg = own()
    known = cfg.train_dataloader.dataset
    cfg.train_dataloader.dataset = ConfigDict(type='ConcatDataset', datasets=[
        known, dict(known, ann_file='nowhere.json')])
    found = told(cfg)
    assert found['train images'] == '8, 96 x 96 pixels'
    assert found['train objects'] == '16 of 2 classes: cat, dog'
    assert 'train batches' not in found
    assert objects_table(Subject(cfg)) == [
        'class     train       val', 'cat           8         8', 'dog           8         8']


def test_batches_without_an_end(own):
    cfg = own()
    cfg.train_dataloader.sampler.type = 'InfiniteSampler'
    assert told(cfg)['train batches'] == 'of 4 images, without an end'


def test_labels_of_images_are_counted_by_their_heads(joint):  # noqa: F811
    assert told(joint())['train labels'] == 'weather of 2 images, scene of 2 images'


@pytest.mark.parametrize('count', [5, 7])
def test_the_batches_that_a_loader_is_told_to_give(own, count):
    cfg = own(options={'train_dataloader.num_batch_per_epoch': count})
    found = told(cfg)
    assert found['train batches'] == f'{count} of 4 images'
    assert found['length'] == f'1 epochs, {count} iterations'
