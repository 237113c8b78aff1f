"""Changes of sound structures and bytes: what a stranger or a broken disk makes of them."""
from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

NUMBERS = st.one_of(
    st.integers(-3, 70), st.sampled_from([0, -1, 2**31, 2**53 + 1, 2**64, 10**400, -10**400]),
    st.floats(allow_nan=True, allow_infinity=True), st.booleans())
TEXTS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(['', '1', 'cat', '../x.png', '/etc/passwd', 'a\0b', '.', 'http://x/y', '"',
                     'x' * 5000, '\ud800', '..\\x', '\u2028', '\ufeffcat']))
SCALARS = st.one_of(st.none(), NUMBERS, TEXTS)
WILD = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=5),
                                     st.dictionaries(TEXTS, inner, max_size=3)), max_leaves=8)


def _places(node: Any, path: tuple = ()) -> list[tuple]:
    """Paths of all parts of a structure, itself left out."""
    items = node.items() if isinstance(node, dict) else \
        enumerate(node) if isinstance(node, list) else ()
    found = []
    for key, value in items:
        found.append((*path, key))
        found += _places(value, (*path, key))
    return found


@st.composite
def mutated(draw: st.DrawFn, sound: Any, most: int = 3) -> Any:
    """A structure of dicts and lists with some parts dropped, replaced, doubled or swapped."""
    data = copy.deepcopy(sound)
    for _ in range(draw(st.integers(0, most))):
        places = _places(data)
        if not places:
            break
        *path, key = draw(st.sampled_from(places))
        parent = data
        for step in path:
            parent = parent[step]
        change = draw(st.sampled_from(['drop', 'replace', 'replace', 'double', 'copy', 'wrap']))
        if change == 'drop':
            del parent[key]
        elif change == 'replace':
            parent[key] = draw(WILD)
        elif change == 'double' and isinstance(parent, list):
            parent.insert(key, copy.deepcopy(parent[key]))
        elif change == 'copy':  # what stands elsewhere stands here too
            other = data
            for step in draw(st.sampled_from(places)):
                other = other[step] if isinstance(other, list | dict) and (
                    step in other if isinstance(other, dict) else step < len(other)) else other
            parent[key] = copy.deepcopy(other)
        elif change == 'wrap':
            parent[key] = [parent[key]]
    return data


@st.composite
def damaged(draw: st.DrawFn, content: bytes, most: int = 4) -> bytes:
    """Bytes with some of them changed, cut off, doubled or inserted."""
    data = bytearray(content)
    for _ in range(draw(st.integers(0, most))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        change = draw(st.sampled_from(['byte', 'byte', 'cut', 'insert', 'double', 'zero']))
        if change == 'byte' and data:
            data[at] = draw(st.integers(0, 255))
        elif change == 'cut':
            del data[at:]
        elif change == 'insert':
            data[at:at] = draw(st.binary(max_size=8))
        elif change == 'double':
            data[at:at] = data[at:at + draw(st.integers(1, 32))]
        elif change == 'zero':
            data[at:at + 4] = bytes(4)
    return bytes(data)
