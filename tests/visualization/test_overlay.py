"""Text on a picture."""

import numpy as np

from tresnet_mm.visualization import overlay_text

GREY = np.full((100, 160, 3), 120, np.uint8)


def test_only_the_corner_changes_and_the_size_stays():
    picture = overlay_text(GREY, ['one', 'two'], size=12)
    assert picture.shape == GREY.shape and picture.dtype == np.uint8
    changed = (picture != GREY).any(-1)
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    assert rows[0] == columns[0] == 0
    assert rows[-1] <= 2 * 17 + 4 and columns[-1] < 60
    assert picture.max() > 200 and picture.min() < 80  # light on dark


def test_nothing_to_say_changes_nothing():
    np.testing.assert_array_equal(overlay_text(GREY, []), GREY)


def test_what_has_no_place_is_counted(monkeypatch):
    drawn = []
    monkeypatch.setattr('PIL.ImageDraw.ImageDraw.text',
                        lambda self, place, text, **kwargs: drawn.append(text))
    overlay_text(GREY, [str(number) for number in range(20)], size=15)
    assert drawn == ['0', '1', '2', 'and 17 more']
