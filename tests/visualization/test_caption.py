"""Lines of text under a picture."""

import numpy as np

from tresnet_mm.visualization import add_caption

IMAGE = np.full((30, 120, 3), 77, np.uint8)


def test_text_stands_below_the_whole_image() -> None:
    picture = add_caption(IMAGE, ['one', 'two'], size=10)
    assert picture.shape == (30 + 2 * 14 + 6, 120, 3)
    assert (picture[:30] == 77).all()
    dark = (picture[30:] < 100).all(-1)
    assert dark[:14].any() and dark[14:].any()


def test_nothing_is_added_without_text() -> None:
    assert add_caption(IMAGE, []).shape == (36, 120, 3)


def test_a_long_line_keeps_its_end(monkeypatch) -> None:
    from tresnet_mm.visualization import caption
    lines: list[str] = []
    monkeypatch.setattr(caption.ImageDraw.ImageDraw, 'text',
                        lambda self, place, text, **_: lines.append(text))
    add_caption(IMAGE, ['a/long/folder/' * 5 + 'name.jpg'])
    assert lines[0].startswith('…') and lines[0].endswith('name.jpg')
