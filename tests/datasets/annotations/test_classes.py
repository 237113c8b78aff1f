"""Lists of class names: names, each once; anything else is refused and named."""

import pytest

from tresnet_mm.datasets.annotations import check_classes


@pytest.mark.parametrize('classes', [('cat', 'dog'), ['cat', 'dog'], ('cat',)])
def test_names_become_a_tuple(classes):
    assert check_classes(classes, 'x.json') == tuple(classes)


@pytest.mark.parametrize('classes, message', [
    ('cat', "classes is the string 'cat', not a tuple of names: for one class write "
            "classes=('cat', ) with its comma"),
    ({'cat'}, "classes should be a tuple of names, got {'cat'}"),
    (None, 'classes should be a tuple of names, got None'),
    (['cat', 3], 'class names should be text and not empty, got 3'),
    (['cat', ''], "class names should be text and not empty, got ''"),
    ([], 'the class list is empty'),
    (['dog', 'hen', 'cat', 'dog', 'cat'], "class names are repeated: ['cat', 'dog']"),
])
def test_anything_else_is_refused(classes, message):
    with pytest.raises(ValueError) as error:
        check_classes(classes, 'x.json')
    assert str(error.value) == f'x.json: {message}'
