"""Parts of own data with the same share of each class, and no group in two of them."""
from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from .image_groups import Group, image_groups
from .image_traits import image_traits
from .source_data import SourceData


def split(data: SourceData, fractions: Mapping[str, float], seed: int = 0,
          group: Group = None) -> dict[str, list[int]]:
    """Divide all images into parts, whatever part the source has them in.

    Iterative stratification (Sechidis, Tsoumakas, Vlahavas: On the Stratification of Multi-Label
    Data, 2011, algorithm 1): the rarest class is dealt out first, each image to the part that still
    wants most of it. What is dealt out are `image_traits`, which count boxes too. Two things are
    added: a part that is full gets no more, so that sizes are kept; and groups go as a whole.

    The outcome depends on the images' names, what is in them, and the seed; not on their order.

    Args:
        data: The source.
        fractions: Name of a part to its share of the images; above 0, together 1.
        seed: Other seeds give other splits.
        group: What must stay together, as in `image_groups`; None: each image on its own.

    Returns:
        Name of a part to indices into ``data.images``, rising; in the order of ``fractions``. The
        sizes are the shares, rounded, at least 1. With groups a part is too large by less than the
        largest group.

    Raises:
        ValueError: If the fractions do not fit, there are fewer images or groups than parts, or an
            image has no group.
    """
    return _split(data, range(len(data.images)), fractions, seed, group)


def own_parts(data: SourceData) -> dict[str, list[int]]:
    """The source's own parts; empty where it has none.

    Returns:
        'train', 'val', 'test', those there are, to indices into ``data.images``.

    Raises:
        ValueError: If some images are in a part and others in none.
    """
    parts = {part: [i for i, image in enumerate(data.images) if image.part == part]
             for part in ('train', 'val', 'test')}
    parts = {part: members for part, members in parts.items() if members}
    left = [image.name for image in data.images if image.part is None]
    if parts and left:
        raise ValueError(f'{len(left)} of {len(data.images)} images are in no part of the source '
                         f'({left[0]} is the first), the others in {", ".join(parts)}; put them '
                         f'into one, or have all images split anew')
    return parts


def hold_out(data: SourceData, parts: Mapping[str, Sequence[int]], fraction: float = 0.2,
             seed: int = 0, group: Group = None, source: str = 'train',
             name: str = 'val') -> dict[str, list[int]]:
    """Take a new part out of one there is, as `split` does; the others stay as they are.

    Args:
        data: The source.
        parts: Such as of `own_parts`.
        fraction: Of the images of ``source``, between 0 and 1.
        seed: Other seeds give other splits.
        group: As in `split`.
        source: The part that is divided.
        name: The new part.

    Returns:
        ``parts`` with ``name`` after ``source``.

    Raises:
        ValueError: As `split`; or if ``source`` is missing, ``name`` is there already, or a group
            lies in two of ``parts``.
    """
    if source not in parts or name in parts:
        raise ValueError(f'a part {name!r} is to be taken out of {source!r}, and there are the '
                         f'parts {", ".join(parts) or "(none)"}')
    if group is not None:
        _check_apart(data, parts, group)
    new = _split(data, parts[source], {source: 1 - fraction, name: fraction}, seed, group)
    made: dict[str, list[int]] = {}
    for part, members in parts.items():
        made.update(new if part == source else {part: list(members)})
    return made


def _check_apart(data: SourceData, parts: Mapping[str, Sequence[int]], group: Group) -> None:
    where: dict[str, str] = {}
    for part, members in parts.items():
        for key in image_groups(data, members, group):
            if where.setdefault(key, part) != part:
                raise ValueError(f'group {key!r} has images in the parts {where[key]!r} and '
                                 f'{part!r} of the source; have all images split anew to keep '
                                 f'groups together')


def _split(data: SourceData, members: Sequence[int], fractions: Mapping[str, float], seed: int,
           group: Group) -> dict[str, list[int]]:
    _check_fractions(fractions)
    units = defaultdict(list)  # what goes as a whole
    for index, key in zip(members, image_groups(data, members, group), strict=True):
        units[key].append(index)
    if len(units) < len(fractions):
        raise ValueError(f'{len(units)} {"images" if group is None else "groups"} cannot be split '
                         f'into {len(fractions)} parts ({", ".join(fractions)})')
    keys = sorted(units)
    random.Random(seed).shuffle(keys)
    shares = [list(units[key]) for key in keys]
    traits: list[Counter[tuple[object, ...]]] = [
        Counter(trait for index in share for trait in image_traits(data.images[index]))
        for share in shares]
    places = _deal([len(share) for share in shares], traits, list(fractions.values()), seed)
    parts: dict[str, list[int]] = {part: [] for part in fractions}
    names = list(fractions)
    for share, place in zip(shares, places, strict=True):
        parts[names[place]].extend(share)
    empty = [part for part in parts if not parts[part]]
    if empty:
        raise ValueError(f'part {empty[0]!r} would be empty: the largest group has '
                         f'{max(map(len, shares))} of {len(members)} images')
    return {part: sorted(indices) for part, indices in parts.items()}


def _check_fractions(fractions: Mapping[str, float]) -> None:
    shown = ', '.join(f'{part} {share:g}' for part, share in fractions.items())
    shares = fractions.values()
    if not (all(share > 0 for share in shares) and abs(sum(shares) - 1) < 1e-6):
        raise ValueError(f'the fractions of the parts must be above 0 and sum to 1, got: {shown}')


def part_sizes(total: int, fractions: Sequence[float]) -> list[int]:
    """Whole numbers near ``fractions`` of ``total``, at least 1 each, by largest remainders.

    Args:
        total: At least as many as there are fractions.
        fractions: Together 1.

    Returns:
        One size a fraction; together ``total``.
    """
    sizes = [max(1, int(total * share + 1e-9)) for share in fractions]
    while sum(sizes) != total:
        step = 1 if sum(sizes) < total else -1
        movable = [i for i in range(len(sizes)) if step > 0 or sizes[i] > 1]
        place = max(movable, key=lambda i: step * round(total * fractions[i] - sizes[i], 9))
        sizes[place] += step
    return sizes


def _deal(weights: Sequence[int], traits: Sequence[Counter[tuple[object, ...]]],
          fractions: Sequence[float], seed: int) -> list[int]:
    """The part of each unit; ties go by the order of the units, and by lot between parts."""
    lot = random.Random(seed)
    room: list[float] = list(part_sizes(sum(weights), fractions))
    total = Counter[tuple[object, ...]]()
    holders: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for unit, own in enumerate(traits):
        total.update(own)
        for trait in own:
            holders[trait].append(unit)
    # Parts want of each trait what their share of the images is.
    wanted = {trait: [number * size / sum(weights) for size in room]
              for trait, number in total.items()}
    places = [-1] * len(weights)
    left = {trait: len(units) for trait, units in holders.items()}
    while left:
        rarest = min(left, key=lambda trait: (left[trait], total[trait], repr(trait)))
        units = [unit for unit in holders[rarest] if places[unit] < 0]
        # The largest first, while there is room to even them out.
        for unit in sorted(units, key=lambda unit: -weights[unit]):
            fits = [part for part in range(len(room)) if room[part] >= weights[unit]]
            fits = fits or [max(range(len(room)), key=lambda part: room[part])]
            place = max(fits, key=lambda part: (round(wanted[rarest][part], 9), room[part],
                                                lot.random()))
            places[unit] = place
            room[place] -= weights[unit]
            for trait, number in traits[unit].items():
                wanted[trait][place] -= number
                left[trait] -= 1
        left = {trait: number for trait, number in left.items() if number > 0}
    return places


def missing_classes(data: SourceData,
                    parts: Mapping[str, Sequence[int]]) -> dict[str, list[str]]:
    """Classes that some image has, but none of a part.

    Returns:
        Name of a class to the parts without it; only classes that miss somewhere.
    """
    present = {part: {label for index in members for label in data.images[index].labels or ()}
               | {box.label for index in members for box in data.images[index].boxes or ()}
               for part, members in parts.items()}
    somewhere = set[int]().union(*present.values())
    return {name: absent for label, name in enumerate(data.classes) if label in somewhere
            if (absent := [part for part in parts if label not in present[part]])}
