"""A checkpoint against the model and the data, for testing, fine-tuning and resuming."""

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope

import tresnet_mm
from tresnet_mm.checks.weights import compare_weights
from tresnet_mm.engine import WholeWeightsHook


@pytest.fixture
def save(tmp_path):
    """Write the checkpoint of a config's model: ``save(cfg, classes=..., **more content)``."""
    def write(cfg, classes=('cat', 'dog'), change=lambda state_dict: None, meta=(), **content):
        init_default_scope('mmdet')
        state_dict = MODELS.build(cfg.model).state_dict()
        change(state_dict)
        path = tmp_path / f'{len(list(tmp_path.glob("*.pth")))}.pth'
        meta = dict(meta, dataset_meta=dict(classes=classes))
        torch.save(dict(meta=meta, state_dict=state_dict, **content), path)
        return str(path)
    return write


STATE = dict(message_hub={}, optimizer={}, meta=dict(epoch=1, iter=2))


@pytest.mark.parametrize('name', [
    'fcos_tresnet_tiny_shapes', 'multilabel_tresnet_tiny_shapes',
    'multitask_fcos_tresnet_tiny_shapes'])
def test_its_own_checkpoint_agrees(own, save, name):
    cfg = own(name)
    assert tresnet_mm.preflight(cfg, save(cfg), 'test') == []


@pytest.mark.parametrize('name', ['fcos_tresnet_tiny_shapes', 'multilabel_tresnet_tiny_shapes'])
def test_testing_a_checkpoint_of_other_classes(own, problems, save, coco_file, name):
    path = save(own(name))
    coco_file('val', classes=3)
    cfg = own(name, classes=('cat', 'dog', 'hen'))
    found = [str(p) for p in tresnet_mm.preflight(cfg, path, 'test') if p.severity == 'error']
    assert any('trained on 2 classes (cat, dog), and test_dataloader.dataset has 3' in text
               for text in found)
    assert any('(2, ' in text and '(3, ' in text or 'head for 2 classes' in text
               for text in found)


def test_classes_in_another_order(own, problems, save):
    cfg = own()
    assert 'in another order' in problems(cfg, save(cfg, ('dog', 'cat')), 'test')['checkpoint'].what
    note = problems(cfg, save(cfg, ('dog', 'cat')), severity='note')
    assert 'dog, cat' in note['checkpoint'].what, 'in fine-tuning it may be meant'


def test_a_classifier_for_a_detector(own, problems, save):
    path = save(own('multilabel_tresnet_tiny_shapes'))
    what = problems(own(), path, 'test')['checkpoint'].what
    assert 'nothing for' in what and 'bbox_head' in what and 'neck' in what


def test_a_detector_for_a_joint_model(own, problems, save):
    path, joint = save(own()), own('multitask_fcos_tresnet_tiny_shapes')
    assert 'image_head' in problems(joint, path, 'test')['checkpoint'].what
    assert problems(joint, path) == {}
    assert 'image_head' in problems(joint, path, severity='note')['checkpoint'].what


def test_a_joint_model_for_a_detector_is_whole(own, problems, save):
    path, cfg = save(own('multitask_fcos_tresnet_tiny_shapes')), own()
    assert problems(cfg, path, 'test') == {}
    assert 'image_head' in problems(cfg, path, 'test', 'note')['checkpoint'].what


@pytest.mark.parametrize('key', ['bbox_head.conv_reg.bias', 'neck.fpn_convs.0.conv.weight'])
def test_a_single_parameter(own, problems, save, key):
    cfg = own()
    path = save(cfg, change=lambda state_dict: state_dict.pop(key))
    assert 'nothing for 1 parameters' in problems(cfg, path, 'test')['checkpoint'].what


def test_counters_of_batches_may_be_absent(own, problems, save):
    cfg = own()
    cfg.model.backbone = dict(type='ResNet', depth=18)
    cfg.model.neck.in_channels = [64, 128, 256, 512]

    def drop(state_dict):
        for key in [key for key in state_dict if 'num_batches_tracked' in key]:
            del state_dict[key]

    assert problems(cfg, save(cfg, change=drop), 'test') == {}


def test_fine_tuning_says_in_one_line_what_was_left_out(own, problems, save, coco_file):
    path = save(own())
    for split in ('train', 'val'):
        coco_file(split, classes=3)
    cfg = own(options={'load_from': path}, classes=('cat', 'dog', 'hen'))
    assert problems(cfg) == {}
    what = problems(cfg, severity='note')['load_from'].what
    assert what == 'loaded in part: another shape: 2 parameters (bbox_head.conv_cls)'


def test_another_backbone_is_an_error_in_fine_tuning_too(own, problems, save):
    path = save(own())
    cfg = own(options={'model.backbone.arch.width': 0.25, 'model.neck.in_channels': [
        16, 32, 256, 512], 'load_from': path})
    assert 'arch' in problems(cfg)['load_from'].what


def test_a_file_that_cannot_be_read(own, problems, tmp_path):
    assert 'does not exist' in problems(own(), 'no.pth', 'test')['checkpoint'].what
    (tmp_path / 'text.pth').write_text('no checkpoint')
    assert 'text.pth' in problems(own(), str(tmp_path / 'text.pth'), 'test')['checkpoint'].what


def test_a_remote_file_is_not_downloaded(own, problems):
    found = problems(own(), 'https://example.org/a.pth', 'test', 'not made')
    assert list(found) == ['checkpoint']


def test_weights_alone_cannot_be_resumed(own, problems, save):
    cfg = own(options={'resume': True})
    cfg.load_from = save(cfg)
    found = problems(cfg)['resume']
    assert 'weights alone' in found.what and 'load_from' in found.right
    cfg.load_from = save(cfg, **STATE)
    assert problems(cfg) == {}


def test_resuming_with_other_classes(own, problems, save, coco_file):
    path = save(own(), **STATE)
    for split in ('train', 'val'):
        coco_file(split, classes=3)
    cfg = own(options={'resume': True, 'load_from': path}, classes=('cat', 'dog', 'hen'))
    found = [p.what for p in tresnet_mm.preflight(cfg) if p.severity == 'error']
    assert any('trained on 2 classes' in what for what in found)
    assert any('another shape' in what for what in found)


def test_the_latest_checkpoint_is_the_one_that_is_resumed(own, problems, save, tmp_path):
    cfg = own(options={'resume': True, 'work_dir': str(tmp_path / 'run')})
    assert problems(cfg) == {}, 'nothing to resume from'
    path = save(cfg)
    (tmp_path / 'run').mkdir()
    (tmp_path / 'run/last_checkpoint').write_text(path)
    assert problems(cfg)['resume'].value == path


def test_a_run_at_its_end_and_a_changed_schedule_are_told(own, problems, save):
    cfg = own()
    meta = dict(epoch=1, iter=2, cfg=cfg.pretty_text)
    path = save(cfg, **{**STATE, 'meta': meta})
    cfg = own(options={'resume': True, 'load_from': path})
    notes = problems(cfg, severity='note')
    assert list(notes) == ['train_cfg.max_epochs']
    cfg.merge_from_dict({'train_cfg.max_epochs': 6, 'param_scheduler.0.total_steps': 6})
    assert problems(cfg) == {}
    note = problems(cfg, severity='note')['param_scheduler']
    assert "'total_steps': 1" in note.what and "the checkpoint's holds" in note.what
    cfg.custom_hooks = [dict(type='ResumeScheduleHook')]
    assert "the config's holds" in problems(cfg, severity='note')['param_scheduler'].what
    cfg.optim_wrapper.optimizer.lr = 1.0
    assert 'optim_wrapper.optimizer.lr was' in problems(
        cfg, severity='note')['optim_wrapper.optimizer.lr'].what


def test_what_is_compared_is_what_would_be_loaded(own):
    init_default_scope('mmdet')
    source, target = (MODELS.build(own().model) for _ in range(2))
    report = compare_weights(target, source.state_dict())
    assert not report.incomplete and not report.left_out
    for name, value in target.state_dict().items():
        assert torch.equal(value, source.state_dict()[name]), name


class Runner:
    """What the hook asks of a runner."""

    def __init__(self, model):
        self.model = model


def test_the_hook_stops_what_the_checks_were_not_asked_about(own):
    init_default_scope('mmdet')
    runner = Runner(MODELS.build(own().model))
    checkpoint = dict(state_dict=runner.model.state_dict())
    WholeWeightsHook().after_load_checkpoint(runner, checkpoint)
    del checkpoint['state_dict']['bbox_head.conv_reg.bias']
    with pytest.raises(tresnet_mm.checkpoint.CheckpointMismatch, match='nothing for 1 parameters'):
        WholeWeightsHook().after_load_checkpoint(runner, checkpoint)
    WholeWeightsHook(whole=False).after_load_checkpoint(runner, checkpoint)
