"""Batches of a loader, and the schedule over them."""

import json

import pytest


def test_fewer_images_than_a_batch(own, problems):
    key = 'train_dataloader.batch_size'
    options = {key: 32, 'train_dataloader.drop_last': True}
    for scheduler in ({}, {'param_scheduler': []}):
        found = problems(own('multilabel_tresnet_tiny_shapes', {**options, **scheduler}))[key]
        assert found.value == 32 and '8 images' in found.what
        assert 'at most 8' in found.right and 'drop_last=False' in found.right
    options['train_dataloader.drop_last'] = False
    assert problems(own('multilabel_tresnet_tiny_shapes', options)) == {}


def test_fewer_images_than_a_batch_of_each_process(own, problems, monkeypatch):
    monkeypatch.setenv('WORLD_SIZE', '4')
    cfg = own(options={'train_dataloader.drop_last': True, 'launcher': 'pytorch'})
    found = problems(cfg)['train_dataloader.batch_size']
    assert '2 images a process (4 of them)' in found.what and 'at most 2' in found.right


def test_drop_last_of_a_batch_sampler(own, problems):
    cfg = own(options={'train_dataloader.batch_size': 9,
                       'train_dataloader.batch_sampler.type': 'AspectRatioBatchSampler',
                       'train_dataloader.batch_sampler.drop_last': True})
    assert 'train_dataloader.batch_size' in problems(cfg)


def test_repetitions_count(own, problems):
    from mmengine.config import ConfigDict
    cfg = own(options={'train_dataloader.drop_last': True, 'train_dataloader.batch_size': 12})
    cfg.train_dataloader.dataset = ConfigDict(
        type='RepeatDataset', times=2, dataset=cfg.train_dataloader.dataset)
    assert problems(cfg) == {}


def test_no_image_is_left(own, problems):
    cfg = own(options={'train_dataloader.dataset.filter_cfg': dict(min_size=200)})
    assert 'empty' in problems(cfg)['train_dataloader.dataset'].what


@pytest.mark.parametrize(('field', 'value', 'said'), [
    ('iscrowd', 1, '16 crowds'), ('ignore', 1, '16 marked ignore'), ('area', 0, '16 smaller')])
def test_no_object_is_left(own, problems, root, field, value, said):
    path = root / 'annotations/instances_train.json'
    content = json.loads(path.read_text())
    for annotation in content['annotations']:
        annotation[field] = value
    path.write_text(json.dumps(content))
    assert said in problems(own())['train_dataloader.dataset.ann_file'].what
    del content['annotations'][0][field]
    path.write_text(json.dumps({**content, 'annotations': [
        dict(content['annotations'][0], area=900), *content['annotations'][1:]]}))
    assert problems(own()) == {}


def test_a_learning_rate_for_another_batch_is_a_note(own, problems):
    cfg = own(options={'auto_scale_lr': dict(enable=False, base_batch_size=16),
                       'optim_wrapper.optimizer.lr': 0.01})
    note = problems(cfg, severity='note')['optim_wrapper.optimizer.lr']
    assert '16' in note.what and note.right.startswith('0.0025,') and problems(cfg) == {}
    for change in ({'auto_scale_lr.enable': True}, {'train_dataloader.batch_size': 16},
                   {'optim_wrapper.accumulative_counts': 4}):
        fitting = cfg.copy()
        fitting.merge_from_dict(change)
        assert problems(fitting, severity='note') == {}


def test_a_cycle_that_ends_before_the_run(own, problems):
    found = problems(own(options={'train_cfg.max_epochs': 6}))
    assert list(found) == ['param_scheduler.0.total_steps']
    assert found['param_scheduler.0.total_steps'].right == '6'


@pytest.mark.parametrize(('scheduler', 'epochs', 'key', 'right'), [
    (dict(type='MultiStepLR', milestones=[8, 11], end=12), 24, 'end', '24'),
    (dict(type='MultiStepLR', milestones=[8, 11], end=12), 6, 'milestones', 'before 6'),
    (dict(type='OneCycleFromLR', total_steps=12), 6, 'total_steps', '6'),
    (dict(type='OneCycleFromLR', end=80), 20, 'end', '20'),
    (dict(type='CosineAnnealingLR', T_max=12), 6, 'T_max', '6'),
    (dict(type='LinearLR', start_factor=0.1, end=500, by_epoch=False), 1, 'end', 'less than 2'),
    (dict(type='MultiStepLR', milestones=[1], begin=12), 6, 'begin', 'less than 6'),
])
def test_what_does_not_fit_the_length_otherwise_is_a_note(
        own, problems, scheduler, epochs, key, right):
    cfg = own(options={'train_cfg.max_epochs': epochs, 'param_scheduler': [scheduler]})
    notes = problems(cfg, severity='note')
    assert list(notes) == [f'param_scheduler.0.{key}'] and right in notes[
        f'param_scheduler.0.{key}'].right
    assert problems(cfg) == {}


def test_a_cycle_laid_out_for_twice_the_run_is_meant(own, problems):
    """As the published recipe has it: 80 epochs laid out, 40 run."""
    cfg = own(options={'train_cfg.max_epochs': 40, 'param_scheduler': [
        dict(type='OneCycleFromLR', begin=0, end=80, convert_to_iter_based=True)]})
    assert problems(cfg, severity='note') == {} == problems(cfg)


def test_a_warm_up_and_steps_fit(own, problems):
    cfg = own(options={'train_cfg.max_epochs': 12, 'param_scheduler': [
        dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=10),
        dict(type='MultiStepLR', begin=0, end=12, milestones=[8, 11])]})
    assert problems(cfg, severity='note') == {} == problems(cfg)


def test_a_run_counted_in_iterations(own, problems):
    cfg = own()
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=100, val_interval=50)
    cfg.train_dataloader.sampler.type = 'InfiniteSampler'
    cfg.param_scheduler = [dict(type='OneCycleFromLR', total_steps=50, by_epoch=False)]
    assert problems(cfg)['param_scheduler.0.total_steps'].right == '100'
    cfg.param_scheduler[0].total_steps = 100
    assert problems(cfg) == {}
