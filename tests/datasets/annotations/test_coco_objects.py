"""Which objects of a COCO file a detector learns; the data set itself is asked elsewhere."""

import pytest

from tresnet_mm.datasets.annotations import CocoFile, count_objects, drop_reason

IMAGE = dict(id=1, file_name='1.jpg', width=64, height=48)


def annotation(box=(2, 3, 20, 10), **kwargs) -> dict:
    return dict(dict(id=1, image_id=1, category_id=7, bbox=list(box), area=30), **kwargs)


@pytest.mark.parametrize('box', [
    (2, 3, 20, 10), (0, 0, 64, 48), (0, 0, 1, 1), (63.5, 47.5, 9, 9),
    (-5, -5, 5.5, 5.5), (-9, -9, 99, 99)])
def test_objects_that_reach_into_the_image_are_learnt(box):
    assert drop_reason(annotation(box), IMAGE, {7}) == ''


@pytest.mark.parametrize('box, reason', [
    ((2, 3, -0.5, 10), 'with a negative size'),
    ((2, 3, 20, -0.5), 'with a negative size'),
    ((2, 3, 0, 10), 'smaller than one pixel'),
    ((2, 3, 20, 0), 'smaller than one pixel'),
    ((2, 3, 0.9, 10), 'smaller than one pixel'),
    ((2, 3, 20, 0.9), 'smaller than one pixel'),
    ((64, 3, 20, 10), 'outside their image'),
    ((2, 48, 20, 10), 'outside their image'),
    ((-20, 3, 20, 10), 'outside their image'),
    ((2, -10, 20, 10), 'outside their image'),
])
def test_boxes_without_a_pixel_of_the_image_are_left_out(box, reason):
    assert drop_reason(annotation(box), IMAGE, {7}) == reason


@pytest.mark.parametrize('fields, reason', [
    (dict(area=0), 'smaller than one pixel'),
    (dict(area=0.5), ''),
    (dict(ignore=1), 'marked ignore'),
    (dict(ignore=0), ''),
    (dict(iscrowd=1), ''),
    (dict(category_id=8), 'of a category that is not used'),
])
def test_other_fields(fields, reason):
    assert drop_reason(annotation(**fields), IMAGE, {7}) == reason


def coco_file(*annotations: dict, images=(IMAGE,)) -> CocoFile:
    return CocoFile('x.json', list(images), [dict(id=7, name='cat'), dict(id=3, name='dog')],
                    [dict(entry, id=i) for i, entry in enumerate(annotations)], True)


FILE = coco_file(
    annotation(), annotation(), annotation(category_id=3), annotation(iscrowd=1),
    annotation(iscrowd=1), annotation(ignore=1), annotation(area=0), annotation(area=0),
    annotation(image_id=2), annotation(image_id=2))
LEFT_OUT = {'of an image that is not listed': 2, 'marked ignore': 1, 'smaller than one pixel': 2}


@pytest.mark.parametrize('classes, learnt, unused', [
    (None, dict(cat=2, dog=1), 0), (['dog', 'cat'], dict(dog=1, cat=2), 0),
    (['dog'], dict(dog=1), 4)])
def test_counts(classes, learnt, unused):
    """Crowds of a class that is not used are left out as its objects are."""
    counts = count_objects(FILE, classes)
    assert list(counts.learnt.items()) == list(learnt.items())
    assert counts.crowds == (0 if unused else 2)
    assert counts.left_out == dict(
        LEFT_OUT, **{'of a category that is not used': unused} if unused else {})


def test_every_class_is_there():
    counts = count_objects(coco_file())
    assert dict(counts.learnt) == dict(cat=0, dog=0)
    assert (counts.crowds, dict(counts.left_out)) == (0, {})


def test_sizes_and_boxes_are_required():
    with pytest.raises(ValueError, match=r"^x\.json: image 1 has no 'width'$"):
        count_objects(coco_file(images=[dict(id=1, file_name='1.jpg', height=8)]))
    with pytest.raises(ValueError, match="class 'cow'"):
        count_objects(FILE, ['cow'])
