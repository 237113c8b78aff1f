"""How long an epoch of a loader is."""

import pytest

from tresnet_mm.checks.dataset_facts import DatasetFacts
from tresnet_mm.checks.loader_facts import LoaderFacts

ONE, TWICE = dict(type='A'), dict(type='RepeatDataset', times=2, dataset=dict(type='A'))


@pytest.mark.parametrize('dataset, sizes, size', [
    (ONE, [3], 3), (TWICE, [3], 6), ([ONE, TWICE], [3, 5], 13),
    (dict(type='ConcatDataset', datasets=[TWICE, ONE]), [3, 5], 11), ([ONE, ONE], [3, None], None),
    (None, [], None)])
def test_the_images_of_nested_data_sets(dataset, sizes, size):
    facts = [DatasetFacts('key', {}, 'A', size=number) for number in sizes]
    loader = LoaderFacts('train_dataloader', dict(dataset=dataset, batch_size=2), facts)
    assert loader.size == size
    assert loader.batches() == (None if size is None else -(-size // 2))


def test_a_number_of_batches_that_is_given_counts():
    loader = LoaderFacts('train_dataloader', dict(dataset=ONE, num_batch_per_epoch=9), [])
    assert loader.batches() == 9
