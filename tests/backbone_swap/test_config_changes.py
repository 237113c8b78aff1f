"""A child config with the changes gives the new one when mmengine merges it."""

import pytest
from mmengine.config import Config

from tresnet_mm.backbone_swap.config_changes import changes

OLD = dict(a=1, none=None, inner=dict(b=2, c=[dict(d=3), 4]), pair=(1, 2))


@pytest.mark.parametrize(('new', 'expected'), [
    (OLD, {}),
    (OLD | dict(a=5, e=6), dict(a=5, e=6)),
    (OLD | dict(inner=dict(b=2, c=[dict(d=7), 4])), dict(inner=dict(c=[dict(d=7), 4]))),
    (OLD | dict(inner=dict(x=8)), dict(inner=dict(_delete_=True, x=8))),
    (OLD | dict(none=dict(y=9)), dict(none=dict(_delete_=True, y=9))),
    (OLD | dict(inner=None, pair=(1, 3)), dict(inner=None, pair=(1, 3))),
])
def test_changes(new, expected):
    assert changes(OLD, new) == expected
    merged = Config(dict(part=OLD))
    merged.merge_from_dict(dict(part=changes(OLD, new)))
    assert merged.part.to_dict() == new
