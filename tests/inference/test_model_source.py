"""Where a model and its weights are looked for; nothing is built or downloaded."""

import pytest

from tests.inference.conftest import config
from tresnet_mm.inference import model_source
from tresnet_mm.inference.model_source import find_model, read_model


@pytest.mark.parametrize('weights, door', [
    ('tresnet://m_in1k', 'fetch'), ('hf://user/repo', 'fetch'),
    ('https://no.invalid/a.pth', 'download'), ('http://no.invalid/a.pth?key=1', 'download')])
def test_weights_of_a_name_or_an_address_are_where_they_were_fetched_to(
        weights, door, tmp_path, monkeypatch):
    (tmp_path / 'model.onnx').touch()
    asked = []
    monkeypatch.setattr(
        model_source, door, lambda name: asked.append(name) or tmp_path / 'model.onnx')
    found = find_model(config('classifier'), weights)
    assert asked == [weights] and found.weights == weights
    assert found.file == str(tmp_path / 'model.onnx') and found.exported


def test_weights_of_a_store_stay_there():
    found = find_model(config('classifier'), 's3://bucket/a.pth')
    assert found.weights == found.file == 's3://bucket/a.pth' and found.published is None
    with pytest.raises(ValueError, match=r's3://bucket/a\.pth does not say which model it is of'):
        find_model('s3://bucket/a.pth')


def test_a_dict_is_a_config():
    """It stays as it is."""
    given = config('classifier').to_dict()
    before = repr(given)
    read = read_model(given)
    assert read.model == given['model'] and repr(given) == before
    assert [step['type'] for step in read.test_pipeline] == [
        'LoadImageChecked', 'PackMultiLabelInputs']
