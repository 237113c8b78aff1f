"""Bars of label scores."""

import numpy as np
import pytest

from tresnet_mm.visualization import draw_label_scores, label_scores
from tresnet_mm.visualization.font import shorten, text_font

IMAGE = np.full((50, 100, 3), 77, np.uint8)
NAMES = ['a', 'b', 'c', 'd']
GREEN, RED, YELLOW, GREY = (
    label_scores._BAR_COLOURS[key]
    for key in [(True, True), (True, False), (False, True), (False, False)]
)


def bars(picture: np.ndarray, top: int, lines: int) -> list[tuple[tuple[int, ...], int]]:
    """Colour and width of each bar, read at the line's lowest row, which text leaves free."""
    found = []
    for line in range(lines):
        row = picture[top + 2 + 18 * line + 16]
        colour = tuple(int(c) for c in row[0])
        found.append((colour, int((row == row[0]).all(-1).sum())))
    return found


def test_bars_tell_score_prediction_and_truth() -> None:
    scores, targets = np.array([0.75, 0.5, 0.25, 0.1]), np.array([1, 0, 1, 0])
    picture = draw_label_scores(IMAGE, scores, NAMES, targets, top=4, width=200)
    assert picture.shape == (100 + 4 * 18 + 4, 200, 3)
    assert (picture[:100] == 77).all()
    expected = [(GREEN, 150), (RED, 100), (YELLOW, 50), (GREY, 20)]
    for (colour, width), (wanted, wanted_width) in zip(
        bars(picture, 100, 4), expected, strict=True
    ):
        assert colour == wanted
        assert abs(width - wanted_width) <= 1


def test_labels_are_ordered_and_true_ones_always_listed() -> None:
    scores, targets = np.array([0.1, 0.9, 0.2, 0.6]), np.array([1, 0, 0, 0])
    picture = draw_label_scores(IMAGE, scores, NAMES, targets, top=2, width=200)
    assert picture.shape[0] == 100 + 3 * 18 + 4  # two by score, and the true one
    assert [colour for colour, _ in bars(picture, 100, 3)] == [RED, RED, YELLOW]


def test_unknown_labels_are_neither_right_nor_wrong() -> None:
    scores, targets = np.array([0.9, 0.8, 0.7, 0.1]), np.array([1, 0, -1, -1])
    picture = draw_label_scores(IMAGE, scores, NAMES, targets, top=4, width=200)
    assert [colour for colour, _ in bars(picture, 100, 4)] == [GREEN, RED, GREY, GREY]


def test_without_truth_predictions_are_green() -> None:
    picture = draw_label_scores(IMAGE, np.array([0.9, 0.2, 0.1, 0.0]), NAMES, top=2, width=200)
    assert [colour for colour, _ in bars(picture, 100, 2)] == [GREEN, GREY]


def test_threshold_decides_what_is_predicted() -> None:
    scores = np.array([0.9, 0.2, 0.1, 0.0])
    picture = draw_label_scores(IMAGE, scores, NAMES, threshold=0.95, top=1, width=200)
    assert bars(picture, 100, 1)[0][0] == GREY


def test_sizes_must_agree() -> None:
    with pytest.raises(ValueError, match='4 scores for 3 class names'):
        draw_label_scores(IMAGE, np.zeros(4), NAMES[:3])


def texts(monkeypatch, *args, **kwargs) -> list[str]:
    """The lines of text in a picture."""
    lines: list[str] = []
    monkeypatch.setattr(label_scores.ImageDraw.ImageDraw, 'text',
                        lambda self, place, text, **_: lines.append(text))
    draw_label_scores(IMAGE, *args, **kwargs)
    return lines


def test_the_text_tells_what_the_colours_tell(monkeypatch) -> None:
    scores, targets = np.array([0.75, 0.5, 0.25, 0.1]), np.array([1, 0, 1, 0])
    assert texts(monkeypatch, scores, NAMES, targets, top=4) == [
        '✓ 0.75 a  hit', '✗ 0.50 b  false alarm', '○ 0.25 c  missed', '  0.10 d']
    assert texts(monkeypatch, scores, NAMES, np.array([1, -1, 0, 0]), top=2) == [
        '✓ 0.75 a  hit', '? 0.50 b  unknown']
    assert texts(monkeypatch, scores, NAMES, top=1) == ['  0.75 a', '  0.50 b']
    assert texts(monkeypatch, None, NAMES, targets) == ['  a', '  c']


def test_each_class_may_have_its_threshold_or_its_decision(monkeypatch) -> None:
    scores, targets = np.array([0.75, 0.5]), np.array([1, 1])
    assert texts(monkeypatch, scores, NAMES[:2], targets, np.array([0.8, 0.4])) == [
        '○ 0.75 a  missed', '✓ 0.50 b  hit']
    assert texts(monkeypatch, scores, NAMES[:2], targets, predicted=np.array([False, True])) == [
        '○ 0.75 a  missed', '✓ 0.50 b  hit']


def test_what_has_no_place_is_counted_and_true_labels_have_one(monkeypatch) -> None:
    scores, targets = np.array([0.9, 0.8, 0.7, 0.1]), np.array([0, 0, 0, 1])
    assert texts(monkeypatch, scores, NAMES, targets, most=2, top=1) == [
        '✗ 0.90 a  false alarm', '○ 0.10 d  missed', '  and 2 more']


def test_long_names_are_cut_to_the_picture() -> None:
    picture = draw_label_scores(IMAGE, np.array([0.0]), ['x' * 500], top=1, width=200)
    assert picture.shape[1] == 200
    assert shorten('abc', 500, 13) == 'abc'
    assert shorten('x' * 99, 60, 13).endswith('…')
    assert shorten('folder/' * 9 + 'name.jpg', 100, 13, keep_end=True).endswith('name.jpg')
    assert text_font(13).getlength(shorten('x' * 99, 60, 13)) <= 60


def test_the_font_has_the_marks() -> None:
    empty = np.asarray(text_font(20).getmask('\U0010ffff'))  # what a missing letter looks like
    for mark in '✓✗○…é':
        assert not np.array_equal(np.asarray(text_font(20).getmask(mark)), empty)
