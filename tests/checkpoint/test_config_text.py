"""The text of a config, as mmengine writes it into a checkpoint, read without being run."""

import math

import pytest

from tresnet_mm.checkpoint.config_text import parse_config


@pytest.mark.parametrize('text, value', [
    ('inf', math.inf), ('-inf', -math.inf), ('(1, -2.5, None, True)', (1, -2.5, None, True)),
    ('list([1, (2,)])', [1, (2, )]), ('tuple([1, 2])', (1, 2)), ('list()', []), ('tuple()', ()),
    ("dict({'a b': 1}, c=[2])", {'a b': 1, 'c': [2]}), ("dict(**{'a b': 1})", {'a b': 1}),
])
def test_values(text, value):
    found = parse_config(f'x = {text}\n')
    assert found == dict(x=value) and type(found['x']) is type(value)


def test_no_number():
    assert math.isnan(parse_config('x = nan')['x'])
