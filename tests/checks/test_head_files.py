"""Files of thresholds and priors against the classes of the head that they are for."""

import pytest

from tresnet_mm.checks.head_files import first_difference
from tresnet_mm.class_values import save_class_values

PRIORS = dict(type='PartialAsymmetricLoss')


def test_priors_in_another_order(own, problems, tmp_path):
    key = 'model.head.loss'
    for classes, what in (
            (('cat', 'dog'), None), (('dog', 'cat'), "class 0 is 'dog' in the file and 'cat'"),
            (('cat', 'dog', 'hen'), 'the file names 3 classes, the data 2'),
            (('cat', 'hen'), "class 1 is 'hen' in the file and 'dog' in the data")):
        file = tmp_path / 'priors.json'
        save_class_values(file, 'priors', [0.1] * len(classes), classes)
        cfg = own('multilabel_tresnet_tiny_shapes', {
            key: dict(_delete_=True, class_priors=str(file), **PRIORS)})
        found = problems(cfg)
        if what is None:
            assert found == {}
        else:
            assert what in found[f'{key}.class_priors'].what


def test_the_file_of_a_named_head(own, root, problems, tmp_path):
    (root / 'scene.csv').write_text('img_path,labels\n0.png,park;night\n')
    save_class_values(tmp_path / 't.json', 'thresholds', [0.1, 0.2], ('night', 'park'))
    cfg = own('multitask_fcos_tresnet_tiny_shapes', {'model.image_heads': dict(scene=dict(
        type='MultiLabelLinearHead', num_classes=2, thresholds=str(tmp_path / 't.json')))})
    for split in ('train', 'val', 'test'):
        cfg.merge_from_dict({
            f'{split}_dataloader.dataset.image_labels': dict(scene='scene.csv'),
            f'{split}_dataloader.dataset.metainfo.image_classes': dict(scene=('park', 'night'))})
    found = problems(cfg)
    assert list(found) == ['model.image_heads.scene.thresholds']
    assert "class 0 is 'night' in the file" in found['model.image_heads.scene.thresholds'].what


def test_a_named_head_whose_classes_nobody_knows_is_told_of_that_alone(own, problems, tmp_path):
    save_class_values(tmp_path / 't.json', 'thresholds', [0.1, 0.2], ('night', 'park'))
    cfg = own('multitask_fcos_tresnet_tiny_shapes', {'model.image_heads': dict(scene=dict(
        type='MultiLabelLinearHead', num_classes=2, thresholds=str(tmp_path / 't.json')))})
    assert list(problems(cfg)) == ['model.image_heads.scene']


@pytest.mark.parametrize('content, what', [('[]', 'is no file of priors'), (None, 'not exist')])
def test_a_file_that_is_none(own, problems, tmp_path, content, what):
    if content is not None:
        (tmp_path / 'p.json').write_text(content)
    cfg = own('multilabel_tresnet_tiny_shapes', {'model.head.loss': dict(
        _delete_=True, class_priors=str(tmp_path / 'p.json'), **PRIORS)})
    assert what in problems(cfg)['model.head.loss.class_priors'].what


def test_first_difference():
    assert first_difference('abc', 'abc') == ''
    assert first_difference('abc', 'acb').startswith("class 1 is 'b' in the file and 'c'")
