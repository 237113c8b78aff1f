"""What a config chooses from the numbers of a data set, each with its reason."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from .measures import Measures

TASKS = ('detection', 'multi-label', 'both', 'single-label')
ARCHS = ('tiny', 'm')
#: Pixels a second that a CPU core trains the tiny detector on; a classifier is faster.
_CORE_PIXELS = 900_000
#: What a first training may cost: images shown, and pixels shown. Tiny: a quarter of an hour of one
#: CPU core.
_BUDGET = dict(tiny=(16_000, 15 * 60 * _CORE_PIXELS), m=(100_000, 6e10))
#: Least and largest short side of a detector's input, and side of a classifier's.
_DETECTION_SIDES = dict(tiny=(256, 384), m=(384, 800))
_LABEL_SIDES = dict(tiny=(128, 192), m=(224, 448))
#: An object of this size covers a few cells of the finest level (a cell is 8 px).
_SMALLEST_OBJECT = 20
#: The batch and the learning rate of AdamW's peak that were tried together.
_BATCH = 8
_RATE = {('tiny', 'detection'): 3e-3, ('tiny', 'both'): 2e-3, ('tiny', 'multi-label'): 2e-3,
         ('tiny', 'single-label'): 2e-3, ('m', 'detection'): 3e-4, ('m', 'both'): 3e-4,
         ('m', 'multi-label'): 2e-4, ('m', 'single-label'): 2e-4}


class Choice(NamedTuple):
    """A value of a config, and why it is this one."""

    value: Any
    why: str


@dataclass(frozen=True)
class Choices:
    """The values of a config that depend on the data."""

    side: Choice
    """Short side of a detector's input, side of a classifier's square one; multiple of 32."""
    scale: tuple[int, int]
    """What ``Resize`` is given: (long side, short side)."""
    batch: Choice
    epochs: Choice
    rate: Choice
    flip: Choice
    """Probability of a horizontal flip."""
    interval: Choice
    """Epochs between evaluations."""
    levels: Choice
    """(first stride, number of levels) of a detector's pyramid."""
    gamma: Choice
    """gamma_neg of the asymmetric loss."""
    keep_empty: Choice
    """Whether images without objects are trained on."""
    max_per_img: Choice


def choose(measures: Measures, classes: Sequence[str], task: str, arch: str) -> Choices:
    """Choose from the measures of the training part.

    Args:
        measures: What the training images are like.
        classes: Names of the classes.
        task: One of `TASKS`.
        arch: One of `ARCHS`.
    """
    boxes = task in ('detection', 'both')
    side = _detection_side(measures, arch) if boxes else _label_side(measures, arch)
    scale = _scale(side.value, measures.aspect) if boxes else (side.value, side.value)
    batch = _batch(measures.images, boxes)
    pixels = side.value ** 2 * (min(measures.usual_aspect, 2.5) if boxes else 1.0)
    epochs = _epochs(measures.images, pixels, arch)
    return Choices(
        side=side, scale=scale, batch=batch, epochs=epochs,
        rate=_rate(arch, task, batch.value), flip=_flip(classes),
        interval=_interval(epochs.value), levels=_levels(measures, side.value),
        gamma=_gamma(measures.positives), keep_empty=_keep_empty(measures),
        max_per_img=_max_per_img(measures.most_objects))


def _detection_side(measures: Measures, arch: str) -> Choice:
    least, most = _DETECTION_SIDES[arch]
    if not measures.objects:
        return Choice(least, f'{least} px: no object says how fine it has to be')
    wanted = _SMALLEST_OBJECT / max(measures.small_object, 1e-6)
    side = min(max(math.ceil(wanted / 32) * 32, least), most)
    side = min(side, max(math.ceil(measures.short_side / 32) * 32, 64))  # no finer than the images
    seen = measures.small_object * side
    text = (f'{side} px: the median short side of the images is {measures.short_side:.0f} px, and '
            f'one object in ten is then smaller than {seen:.0f} px')
    if seen < _SMALLEST_OBJECT / 2 and side == most:
        text += f'; finer would cost more than a first training should, try {side * 2} if you can'
    return Choice(side, text)


def _label_side(measures: Measures, arch: str) -> Choice:
    least, most = _LABEL_SIDES[arch]
    fine = 0 < measures.small_object < 0.15
    side = most if fine or (arch == 'tiny' and measures.short_side >= most) else least
    text = f'the median short side of the images is {measures.short_side:.0f} px'
    if fine:
        text += f', and one object in ten covers less than {measures.small_object:.0%} of it'
    return Choice(side, f'{side} px: {text}')


def _scale(side: int, aspect: float) -> tuple[int, int]:
    """(long, short); the long side lets 19 in 20 images have the short one."""
    return math.ceil(round(side * min(aspect, 2.5), 3)), side


def _batch(images: int, boxes: bool) -> Choice:
    most = _BATCH if boxes else 4 * _BATCH
    batch = most
    while batch > 4 and images / batch < 20:
        batch //= 2
    steps = max(images // batch, 1)
    return Choice(batch, f'{images} training images are {steps} steps an epoch')


def _epochs(images: int, pixels: float, arch: str) -> Choice:
    """As many as the budget allows, for ``pixels`` an image."""
    most, all_pixels = _BUDGET[arch]
    shown = min(most, all_pixels / pixels)
    epochs = min(max(round(shown / images), 3), 100)
    text = f'{epochs} x {images} images = {epochs * images} are shown'
    if arch == 'tiny':
        minutes = max(round(epochs * images * pixels / _CORE_PIXELS / 60), 1)
        text += f', in at most {minutes} min of a CPU core or so'
    return Choice(epochs, text)


def _rate(arch: str, task: str, batch: int) -> Choice:
    tried_at = _BATCH if task in ('detection', 'both') else 4 * _BATCH
    rate = float(f'{_RATE[arch, task] * (batch / tried_at) ** 0.5:.2g}')
    return Choice(rate, f'the peak, for {batch} images a step; it goes with the square root of '
                        'that number')


def _flip(classes: Sequence[str]) -> Choice:
    sided = [name for name in classes if _tells_left_from_right(name)]
    if sided:
        shown = ', '.join(map(ascii, sided[:3])) + (' ...' if len(sided) > 3 else '')
        return Choice(0.0, f'no flips: mirrored, {shown} would not be what the name says '
                           '(0.5 turns them on)')
    return Choice(0.5, 'mirrored images are as good as the others (0.0 turns it off, for text, '
                       'digits, left and right)')


def _tells_left_from_right(name: str) -> bool:
    """Whether a class is a side, a sign of writing or a playing card's rank."""
    words = re.split(r'[\W_]+', name.casefold())
    return any(word in ('left', 'right') or word.isdigit() or _is_letter(word)
               for word in words) or name.casefold() in _RANKS


def _is_letter(word: str) -> bool:
    return len(word) == 1 and word.upper() != word  # not a Chinese word of one character


_RANKS = ('nine', 'ten', 'jack', 'queen', 'king', 'ace', 'one', 'two', 'three', 'four', 'five',
          'six', 'seven', 'eight', 'zero')


def _interval(epochs: int) -> Choice:
    interval = max(1, math.ceil(epochs / 10))
    return Choice(interval, f'{math.ceil(epochs / interval)} evaluations')


def _levels(measures: Measures, side: int) -> Choice:
    """Level i sees objects of up to 8 strides; the last one takes all that are larger."""
    small, large = measures.small_object * side, measures.large_object * side
    first = 4 if measures.objects and small < 12 else 8
    number = 4 if first == 4 else 3  # the backbone's own, down to its stride of 32
    # a level more while the largest objects exceed the last one's own range
    while number < 5 and large > first * 2 ** (number - 1) * 8 / 2:
        number += 1
    return Choice((first, number), f"of the input's objects one in ten is below {small:.0f} px, "
                                   f'one in a hundred above {large:.0f} px')


def _gamma(positives: float) -> Choice:
    gamma = 4 if positives < 0.1 else 2 if positives < 0.25 else 1
    return Choice(gamma, f'{positives:.0%} of the labels are positive; the fewer, the more the '
                         'many easy negatives have to be turned down')


def _keep_empty(measures: Measures) -> Choice:
    return Choice(measures.empty > 0, f'{measures.empty} training images hold no object'
                  + (': they teach what is none' if measures.empty else ''))


def _max_per_img(most: int) -> Choice:
    found = max(100, math.ceil(most * 1.5 / 100) * 100)
    return Choice(found, f'at most {most} objects are in one image')
