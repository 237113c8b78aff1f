"""A short run of every kind; `python -m tests.fuzz --cases 100000` is the long one."""

import pytest

from tests.fuzz.kinds import Kind, documented, load_kinds
from tests.fuzz.run import run

KINDS = load_kinds()


@pytest.mark.parametrize('name', sorted(KINDS))
def test_only_documented_errors(name):
    result = run(KINDS[name], cases=200)
    assert result['cases'] >= 200
    assert result['usable'] > 0, 'no case is usable: nothing behind the first check is reached'
    assert result['refused'] > 0, 'no case is refused: the cases are not bad'


def test_an_undocumented_error_is_found():
    def check(case):
        return documented(lambda: [1, 2][case], 'file')
    with pytest.raises(IndexError):
        run(Kind(load_kinds()['csv'].strategy.map(lambda case: len(case[1])), check), 200)


def test_a_message_without_the_file_is_found():
    with pytest.raises(AssertionError, match=r'does not name .*a\.json'):
        documented(lambda: int('x'), 'a.json')
