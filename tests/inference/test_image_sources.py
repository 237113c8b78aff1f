"""What may be given for images, and in which order it is taken."""

import numpy as np
import pytest
from PIL import Image

from tresnet_mm.inference.image_sources import ImageSource, list_images

PIXELS = np.zeros((2, 3, 3), np.uint8)


@pytest.fixture
def folder(tmp_path):
    """A folder with images, other files, hidden ones and a folder inside."""
    for name in ('b.jpg', 'a.PNG', '.hidden.jpg', 'notes.txt', 'in/c.jpg', 'in/x[1].webp'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / 'z.jpg').mkdir()
    return tmp_path


def paths(images, **options) -> list:
    return [source.path for source in list_images(images, **options)]


def test_a_folder_stands_for_the_images_right_in_it(folder):
    assert paths(folder) == [str(folder / 'a.PNG'), str(folder / 'b.jpg')]


def test_a_pattern_is_sorted_and_may_reach_into_folders(folder):
    assert paths(f'{folder}/**/*.jpg') == [str(folder / 'b.jpg'), str(folder / 'in/c.jpg')]


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(folder):
    assert paths(str(folder / 'in/x[1].webp')) == [str(folder / 'in/x[1].webp')]


def test_a_list_may_mix_all_kinds(folder):
    image, url = Image.new('RGB', (3, 2)), 'https://example.org/p%20q.jpg?size=9'
    sources = list_images([url, PIXELS, folder / 'b.jpg', image, f'{folder}/*.PNG', folder / 'in'])
    assert [source.index for source in sources] == list(range(7))
    assert [source.path for source in sources] == [
        url, None, str(folder / 'b.jpg'), None, str(folder / 'a.PNG'), str(folder / 'in/c.jpg'),
        str(folder / 'in/x[1].webp')]
    assert sources[1].value is PIXELS and sources[3].value is image
    assert [source.stem for source in sources] == [
        'p q', '00000001', 'b', '00000003', 'a', 'c', 'x[1]']
    assert sources[1].name == 'images[1]' and sources[2].name == repr(str(folder / 'b.jpg'))


@pytest.mark.parametrize(('images', 'kind', 'message'), [
    ('no/such.jpg', FileNotFoundError, "image 'no/such.jpg' does not exist"),
    ('no/*.jpg', FileNotFoundError, r"no file fits the pattern 'no/\*.jpg'"),
    ([], ValueError, 'the list is empty'),
    (3, TypeError, r'images\[0\] should be a path, a URL, a NumPy array .* got int'),
    ([PIXELS, None], TypeError, r'images\[1\] .* got NoneType'),
    ([[PIXELS]], TypeError, r'images\[0\] .* got list'),
    (PIXELS.astype(float), ValueError, r'should be pixels uint8 .* float64 \(2, 3, 3\)'),
    (PIXELS[None], ValueError, r'got uint8 \(1, 2, 3, 3\)'),
    (PIXELS[..., 0], ValueError, r'got uint8 \(2, 3\)'),
    (PIXELS[:0], ValueError, r'got uint8 \(0, 3, 3\)'),
])
def test_what_is_no_image_is_named(images, kind, message):
    with pytest.raises(kind, match=message):
        list_images(images)


def test_a_folder_without_images_is_named(folder):
    with pytest.raises(FileNotFoundError, match=r'z.jpg. has no image: no file that ends with'):
        list_images(folder / 'z.jpg')


def test_a_missing_file_may_be_left_to_the_reading():
    assert list_images('no/such.jpg', missing_ok=True) == [ImageSource('no/such.jpg', 0)]
