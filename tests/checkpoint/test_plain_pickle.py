"""Pickles of plain values, read as Python reads them."""

import pickle
from collections import OrderedDict

import numpy as np
import pytest
from mmengine.logging import HistoryBuffer

from tresnet_mm.checkpoint.plain_pickle import Maker, PlainPickle
from tresnet_mm.checkpoint.plain_types import STATES, plain_names

VALUES = {
    'numbers': [0, 1, -1, 255, 256, 65536, -(2**31), 2**40, -(2**80), 0.5, -1e300, 1 + 2j],
    'texts': ['', 'a', 'ä\n\\', 'x' * 300], 'bytes': [b'', b'\x00\xff', b'x' * 300],
    'constants': [None, True, False],
    'tuples': [(), (1, ), (1, 2), (1, 2, 3), (1, 2, 3, 4)], 'dicts': [{}, {1: 2, (1, 'a'): [3]}],
    'sets': [set(), {1, 2}, frozenset(), frozenset('a')], 'ordered': OrderedDict(b=1, a=2),
}


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol(protocol):
    data = pickle.dumps(VALUES, protocol)
    ours = PlainPickle(plain_names(), STATES).read(data)
    assert ours == VALUES and repr(ours) == repr(VALUES)  # 1 and True are equal


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_what_is_in_two_places_is_one(protocol):
    shared = [1, [2]]
    data = pickle.dumps({'a': shared, 'b': [shared, shared]}, protocol)
    ours = PlainPickle({}).read(data)
    assert ours == {'a': shared, 'b': [shared, shared]}
    assert ours['a'] is ours['b'][0] is ours['b'][1]


@pytest.mark.parametrize('operations, words', [
    (b']K\x01K\x02s.', 'it sets items of a list'), (b'NQ.', 'it has a persistent id'),
    (b'}K\x01a.', 'it adds to a dict as to a list'), (b'\x8f(K\x01e.', 'it adds to a set as to'),
    (b'(K\x01K\x02\x87.', 'a tuple lacks its items'), (b'K\x01\x86.', 'a tuple lacks its items'),
    (b'K\x01)R.', 'it calls what is no function'), (b'cbuiltins\nset\nNR.', 'it calls what is no'),
    (b'}K\x01b.', 'it gives a state to a dict'), (b'\x82\x01.', 'EXT1 is not used by checkpoints'),
    (b'}(K\x01u.', 'it sets items of a dict'), (b'K\x01', 'pickle exhausted before seeing STOP'),
])
def test_operations_on_what_they_are_not_for(operations, words):
    with pytest.raises(ValueError, match=words):
        PlainPickle({'builtins.set': Maker('builtins.set', set)}).read(operations)


@pytest.mark.parametrize('state, words', [
    ({}, 'no array _log_history'), (dict(_log_history=np.ones(2)), 'no array _count_history'),
    (dict(_log_history=np.ones(2), _count_history=np.ones(2)), 'no max_length'),
    (dict(_log_history=[1.0], _count_history=np.ones(2), max_length=9), 'no array _log_history'),
])
def test_a_history_without_its_parts(state, words):
    with pytest.raises(ValueError, match=f'a history of logged values has {words}'):
        STATES[HistoryBuffer](HistoryBuffer(), state)
