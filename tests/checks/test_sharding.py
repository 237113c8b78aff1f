"""What FSDP cannot do is told before the run."""

import pytest

from tresnet_mm import preflight
from tresnet_mm.engine import BestWeightsHook

SHARDED = dict(runner_type='FlexibleRunner', strategy=dict(type='FSDPStrategy'))


@pytest.fixture
def found(own):
    def run(hooks=(), task='train', name='multilabel_tresnet_tiny_shapes', **settings):
        cfg = own(name)
        cfg.update(dict(settings, custom_hooks=list(hooks)))
        return [problem for problem in preflight(cfg, task=task)
                if problem.check.startswith('sharded')]
    return run


def test_an_average_of_shards_is_refused(found):
    [problem] = found([dict(type='NumClassCheckHook'), dict(type='EMAHook')], **SHARDED)
    assert str(problem) == (
        'custom_hooks.1.type = EMAHook: the hook averages the weights of one process, and '
        'FSDPStrategy gives each a shard; right: without it and what reports its average, or '
        'without the strategy')


@pytest.mark.parametrize('kind', ['BestWeightsHook', BestWeightsHook])
def test_a_shard_is_not_kept_as_the_best_weights(found, kind):
    [problem] = found([dict(type=kind, metric='multi-label/mAP_ema')], **SHARDED)
    assert (problem.where, problem.value, problem.right) == (
        'custom_hooks.0.type', 'BestWeightsHook',
        "default_hooks.checkpoint.save_best='multi-label/mAP_ema' in its place")


@pytest.mark.parametrize('given', [
    dict(hooks=[dict(type='EMAHook')]),
    dict(hooks=[dict(type='EMAHook')], strategy=dict(type='DDPStrategy')),
    dict(hooks=[dict(type='EMAHook')], task='test', **SHARDED),
    dict(hooks=[dict(type='NumClassCheckHook'), dict(type='NoHookOfThisName')], **SHARDED)])
def test_nothing_else_is(found, given):
    assert found(**given) == []


def test_models_that_cannot_be_shared_out(found):
    """An FCOS head has a scale a level; a joint model names its detector's as the detector does."""
    fcos = found(name='fcos_tresnet_tiny_shapes', **SHARDED)
    assert [str(problem) for problem in fcos] == [
        'strategy.type = FSDPStrategy: it takes no scalar parameters: bbox_head.scales.0.scale, '
        'bbox_head.scales.1.scale, ... (4); right: without the strategy, or another model']
    _, joint = found(name='multitask_fcos_tresnet_tiny_shapes', **SHARDED)
    assert joint.what.startswith(
        'it cannot save parameters under other names than they have in the model: '
        'detector.backbone.')
    assert found(name='multitask_fcos_tresnet_tiny_shapes') == []
