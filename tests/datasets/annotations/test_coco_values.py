"""What fields of a COCO file may hold: the limits themselves are legal, the next value is not."""

import math

import pytest

from tresnet_mm.datasets.annotations import coco_values as values

HUGE = 10**400  # no float

LEGAL = {
    values.are_ids: [[1, 'a'], [1, 'a', 2.0], [HUGE, -1], ['']],
    values.are_texts: [['a'], ['a', ' ']],
    values.are_numbers: [[0, 0.5], [1e9, -1e9], [-1]],
    values.are_areas: [[0, 0.5], [0.], [1e18], [10**18]],
    values.are_sizes: [[1, 2.0], [10**8]],
    values.are_boxes: [[[0, 0.5, -3, 1e9], [1, 2, 3, 4]]],
    values.are_flags: [[0], [1], [0, 1.0, True], [False]],
}
ILLEGAL = {
    values.are_ids: [1.5, math.nan, math.inf, None, True, [1]],
    values.are_texts: ['', 1, None, b'a'],
    values.are_numbers: [1e9 + 1, -1e9 - 1, math.nan, -math.inf, HUGE, '1', True, None],
    values.are_areas: [-0.5, -1, 1.001e18, math.nan, math.inf, HUGE, '1', False, None],
    values.are_sizes: [0, 0.5, 1.5, -1, 10**8 + 1, math.nan, math.inf, HUGE, '1', True],
    values.are_boxes: [[1, 2, 3], [1, 2, 3, 4, 5], [], [1, 2, 3, math.nan], [1, 2, 3, '4'],
                       [1, 2, 3, 1e9 + 1], (1, 2, 3, 4), '1234', 4, None],
    values.are_flags: [2, -1, 0.5, '1', None, [0]],
}


@pytest.mark.parametrize('judge', LEGAL)
def test_legal(judge):
    for column in ([], *LEGAL[judge]):
        assert judge(column) is True, column


@pytest.mark.parametrize('judge', ILLEGAL)
def test_one_illegal_value_spoils_a_column(judge):
    for value in ILLEGAL[judge]:
        for column in ([value], [*LEGAL[judge][0], value]):
            assert judge(column) is False, column
