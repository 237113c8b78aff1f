"""The page beside a published file."""

import pytest
import yaml

from tresnet_mm.checkpoint import Published
from tresnet_mm.checkpoint.model_card import model_card


def card(classes, **changes):
    said = dict(task='multi-label', arch='', model=dict(type='MultiLabelClassifier'),
                test_pipeline=[], dataset_meta=dict(classes=classes, palette=None))
    text = model_card(Published(**{**said, **changes}), 'a.safetensors', 'f00d', 1234, 'Photos')
    _, head, body = text.split('---\n', 2)
    return yaml.safe_load(head), body


@pytest.mark.parametrize('task, arch, tags', [
    ('multi-label', '', ['multi-label']), ('detection', 'm', ['detection', 'tresnet-m']),
    ('both', 'v2_l', ['multi-label', 'tresnet-v2-l']),
])
def test_tags(task, arch, tags):
    head, body = card(['cat'], task=task, arch=arch)
    assert head['tags'] == ['tresnet', 'mmdetection', *tags, 'safetensors']
    assert head['pipeline_tag'] == ('image-classification' if task == 'multi-label'
                                    else 'object-detection')
    assert 'model-index' not in head and 'license' not in head
    network = f'TResNet-{arch.upper()}, ' if arch else ''
    assert f'A `MultiLabelClassifier` ({network}1,234 parameters) that predicts ' in body


@pytest.mark.parametrize('thresholds', [None, 0.5])
@pytest.mark.parametrize('count', [200, 202])
def test_only_the_first_200_classes_are_listed(count, thresholds):
    values = None if thresholds is None else [thresholds] * count
    _, body = card([f'c{number}' for number in range(count)], thresholds=values)
    rows = ['199. c199', '200. c200'] if values is None else ['| 199 | c199 |', '| 200 | c200 |']
    assert [row in body for row in rows] == [True, False]
    assert ('and 2 more, which the file names.' in body) == (count == 202)
