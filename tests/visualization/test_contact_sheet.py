"""The grid of pictures."""

import numpy as np
import pytest

from tresnet_mm.visualization import contact_sheet


def plain(height: int, width: int, value: int) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def test_every_image_is_on_the_sheet_in_order() -> None:
    sheet = contact_sheet([plain(20, 30, v) for v in (10, 20, 30, 40, 50)], columns=3)
    rows, columns = {}, {}
    for value in (10, 20, 30, 40, 50):
        ys, xs = (sheet == value).all(-1).nonzero()
        assert len(ys) == 20 * 30
        rows[value], columns[value] = ys.min(), xs.min()
    assert rows[10] == rows[20] == rows[30] < rows[40] == rows[50]
    assert columns[10] == columns[40] < columns[20] == columns[50] < columns[30]


def test_images_of_different_sizes_do_not_overlap() -> None:
    images = [plain(10, 40, 10), plain(30, 5, 20), plain(25, 25, 30)]
    sheet = contact_sheet(images, columns=2)
    for image in images:
        assert (sheet == image[0, 0]).all(-1).sum() == image[..., 0].size


def test_title_stands_above_the_images() -> None:
    image = plain(20, 300, 0) + np.uint8([0, 200, 0])
    untitled, titled = contact_sheet([image]), contact_sheet([image], title='boxes')
    below = (titled == image[0, 0]).all(-1).nonzero()[0].min()
    assert below > (untitled == image[0, 0]).all(-1).nonzero()[0].min()
    assert (titled[:below] < 128).any()


def test_a_title_that_is_wider_than_the_images_is_whole() -> None:
    sheet = contact_sheet([plain(20, 30, 200)], title='a title of many words')
    ink = (sheet[:20] < 128).any(axis=(0, 2)).nonzero()[0]
    assert 60 < ink.max() < sheet.shape[1] - 1


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match='at least one image'):
        contact_sheet([])
    with pytest.raises(ValueError, match='columns'):
        contact_sheet([plain(2, 2, 0)], columns=0)
