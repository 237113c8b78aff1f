"""What is chosen from which numbers, and that the reason names them."""

import dataclasses

import pytest

from tresnet_mm.preparation.choices import ARCHS, TASKS, choose
from tresnet_mm.preparation.measures import Measures

BLOOD = Measures(images=205, short_side=480, aspect=4 / 3, usual_aspect=4 / 3, objects=2805,
                 empty=0, small_object=0.17, large_object=0.5, most_objects=28, positives=0.84)


def chosen(task='detection', arch='tiny', classes=('cell', 'plate'), **changes):
    return choose(dataclasses.replace(BLOOD, **changes), classes, task, arch)


def test_a_small_set_of_sizeable_objects():
    found = chosen()
    assert found.scale == (342, 256) and found.side.value == 256
    assert '480 px' in found.side.why and '44 px' in found.side.why
    assert found.batch.value == 8 and '25 steps' in found.batch.why
    assert found.levels.value == (8, 3)
    assert found.flip.value == 0.5 and not found.keep_empty.value


@pytest.mark.parametrize('small, side', [(0.5, 256), (0.07, 288), (0.055, 384), (0.001, 384)])
def test_small_objects_ask_for_larger_images_up_to_a_bound(small, side):
    assert chosen(small_object=small).side.value == side


@pytest.mark.parametrize('arch, side', [('tiny', 256), ('m', 384)])
def test_without_objects_a_detector_gets_its_least_size(arch, side):
    found = chosen(arch=arch, objects=0, small_object=0).side
    assert found == (side, f'{side} px: no object says how fine it has to be')


@pytest.mark.parametrize('small, side', [(0, 224), (0.1, 448), (0.15, 224)])
def test_small_objects_ask_for_larger_images_of_a_classifier(small, side):
    found = chosen('multi-label', 'm', small_object=small).side
    assert found.value == side
    assert ('one object in ten covers less than 10% of it' in found.why) == (side == 448)


def test_images_are_not_enlarged():
    assert chosen(small_object=0.01, short_side=100).side.value == 128
    assert chosen(small_object=0.01, short_side=480, arch='m').side.value == 480


def test_tiny_objects_get_a_finer_level_and_large_ones_a_coarser():
    assert chosen(small_object=0.03).levels.value[0] == 4
    assert chosen(large_object=0.2).levels.value == (8, 3)
    assert chosen(large_object=1.5).levels.value == (8, 5)


@pytest.mark.parametrize('images, batch', [(10, 4), (100, 4), (200, 8), (100_000, 8)])
def test_an_epoch_has_twenty_steps_where_there_are_images_for_it(images, batch):
    assert chosen(images=images).batch.value == batch


@pytest.mark.parametrize('arch', ARCHS)
@pytest.mark.parametrize('task', TASKS)
def test_the_budget_is_of_images_not_of_epochs(task, arch):
    epochs = [chosen(task, arch, images=count).epochs.value for count in (20, 2000, 10**6)]
    assert epochs == sorted(epochs, reverse=True) and epochs[0] == 100 and epochs[-1] == 3


def test_a_first_training_takes_a_quarter_of_an_hour_whatever_a_few_wide_images_say():
    found = chosen(aspect=2.5)
    shown = found.epochs.value * 205
    assert found.epochs == chosen().epochs
    assert abs(shown * 256 * 341 / 900_000 - 15 * 60) < 20  # seconds, at 900,000 pixels a second
    assert '15 min' in found.epochs.why
    assert chosen(usual_aspect=2).epochs.value < found.epochs.value


@pytest.mark.parametrize('classes, flips', [
    (('cat', 'dog'), True), (('left_hand', 'hand'), False), (('turn right',), False),
    (('a', 'b'), False), (('7', 'plus'), False), (('king', 'nine'), False),
    (('bright',), True), (('copyright',), True), ((r'\{}', 'é'), False)])
def test_no_flip_where_a_class_is_a_side_or_a_sign(classes, flips):
    found = chosen(classes=classes).flip
    assert bool(found.value) == flips
    assert flips or 'mirrored' in found.why


@pytest.mark.parametrize('positives, gamma', [(0.02, 4), (0.15, 2), (0.5, 1)])
def test_rare_labels_turn_easy_negatives_down(positives, gamma):
    found = chosen('multi-label', positives=positives).gamma
    assert found.value == gamma and f'{positives:.0%}' in found.why
