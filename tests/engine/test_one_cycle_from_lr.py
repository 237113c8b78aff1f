"""The one-cycle schedule of the recipe against PyTorch's own, and what sets its peak."""

import warnings

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import PARAM_SCHEDULERS

from tresnet_mm.engine import OneCycleFromLR

STEPS = 50  # per epoch


def optimizer(*lrs, **kwargs):
    groups = [dict(params=[torch.nn.Parameter(torch.zeros(1))], lr=lr) for lr in lrs]
    return torch.optim.Adam(groups, lr=1e-4, **kwargs)


def build(repo_root, optim):
    cfg = Config.fromfile(repo_root / 'configs/_base_/schedules/multilabel_onecycle_40e.py')
    wrapper = OptimWrapper(optim)
    schedulers = []
    for part in cfg.param_scheduler:
        part = dict(part)
        assert part.pop('convert_to_iter_based')
        build_from = PARAM_SCHEDULERS.get(part.pop('type')).build_iter_from_epoch
        schedulers.append(build_from(wrapper, epoch_length=STEPS, **part))
    return cfg, schedulers


def run(optim, schedulers, steps):
    """Learning rate and first beta that each step trains with."""
    seen = []
    for _ in range(steps):
        seen.append((optim.param_groups[0]['lr'], optim.param_groups[0]['betas'][0]))
        optim.step()
        for scheduler in schedulers:
            scheduler.step()
    return seen


def test_recipe_equals_pytorch_up_to_where_it_stops(repo_root):
    ours = optimizer(1e-4, betas=(0.95, 0.999))
    cfg, schedulers = build(repo_root, ours)
    assert cfg.optim_wrapper.optimizer.lr == 1e-4
    assert cfg.optim_wrapper.optimizer.betas == (0.95, 0.999)
    assert cfg.train_cfg.max_epochs == 40
    stop = 40 * STEPS
    theirs = optimizer(1e-4)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        theirs, max_lr=1e-4, steps_per_epoch=STEPS, epochs=80, pct_start=0.2)
    got, expected = run(ours, schedulers, stop), run(theirs, [cycle], stop)
    assert [lr for lr, _ in got] == pytest.approx([lr for lr, _ in expected], rel=1e-9)
    # mmengine's cosine turns one iteration later than PyTorch's: a 1/800 of the way.
    assert [b for _, b in got] == pytest.approx([b for _, b in expected], abs=2e-4)


def test_numbers_of_the_recipe(repo_root):
    optim = optimizer(1e-4, betas=(0.95, 0.999))
    lrs, betas = zip(*run(optim, build(repo_root, optim)[1], 40 * STEPS), strict=True)
    assert lrs[0] == pytest.approx(4e-6)  # a 25th of the peak
    assert lrs.index(max(lrs)) == 16 * STEPS - 1  # 20 % of 80 epochs
    assert max(lrs) == pytest.approx(1e-4)
    # Half-way down a cosine from epoch 16 to 80: at 40, (1 + cos(pi * 24 / 64)) / 2 of the peak.
    assert lrs[-1] == pytest.approx(0.6913e-4, rel=1e-3)
    assert (betas[0], min(betas)) == pytest.approx((0.95, 0.85))


def test_the_optimizer_sets_the_peak_of_each_group():
    optim = optimizer(1e-3, 4e-3)
    scheduler = OneCycleFromLR(optim, end=10, by_epoch=False, pct_start=0.5)
    peaks = [0.0, 0.0]
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        for _ in range(9):
            scheduler.step()
            peaks = [max(p, g['lr']) for p, g in zip(peaks, optim.param_groups, strict=True)]
    assert peaks == pytest.approx([1e-3, 4e-3])


def test_a_peak_of_its_own_is_refused():
    with pytest.raises(ValueError, match=r'set optimizer\.lr to 0\.01'):
        OneCycleFromLR(optimizer(1e-3), eta_max=0.01, end=10)


def test_a_resumed_cycle_goes_on_and_its_file_runs_no_code(tmp_path):
    def schedule():
        optim = optimizer(1.0)
        return optim, OneCycleFromLR(optim, total_steps=20, by_epoch=False)

    def rates(optim, scheduler, steps):
        found = []
        for _ in range(steps):
            optim.step()
            scheduler.step()
            found.append(optim.param_groups[0]['lr'])
        return found

    optim, scheduler = schedule()
    rates(optim, scheduler, 8)
    torch.save([optim.state_dict(), scheduler.state_dict()], tmp_path / 'state.pth')
    expected = rates(optim, scheduler, 8)

    optim, scheduler = schedule()
    states = torch.load(tmp_path / 'state.pth', weights_only=True)
    for part, state in zip((optim, scheduler), states, strict=True):
        part.load_state_dict(state)
    assert rates(optim, scheduler, 8) == expected
