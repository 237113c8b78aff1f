"""What hooks do where each process has a shard of the weights."""

from types import SimpleNamespace

import pytest
import torch

from tresnet_mm.engine import BestWeightsHook, FiniteHook, best_weights_hook, finite_hook


class Sharded(torch.nn.Linear):
    """Stands in for FSDP's wrapper, which cannot be built in one process without a GPU."""

    parse_losses = None


@pytest.fixture
def runner(monkeypatch):
    for module in (best_weights_hook, finite_hook):
        monkeypatch.setattr(module, 'FullyShardedDataParallel', Sharded)
    model = Sharded(1, 1)
    wrapper = SimpleNamespace(optimizer=torch.optim.SGD(model.parameters(), 1.0))
    return SimpleNamespace(model=model, optim_wrapper=wrapper)


def test_a_shard_is_not_kept_as_the_best_weights(runner):
    with pytest.raises(ValueError, match="checkpoint.save_best='multi-label/mAP' in its place"):
        BestWeightsHook().before_train(runner)


@pytest.mark.parametrize('others, skipped', [(1, 0), (0, 1)])
def test_one_answer_holds_for_all_shards(runner, others, skipped, monkeypatch):
    """Finite here; the step is left out where it is not in another process."""
    monkeypatch.setattr(finite_hook, 'all_reduce', lambda answer, op: answer.mul_(others))
    runner.iter, said = 0, []
    runner.logger = SimpleNamespace(warning=said.append)
    hook = FiniteHook(action='skip')
    hook.before_train(runner)
    runner.model(torch.ones(1, 1)).sum().backward()
    before = runner.model.weight.item()
    runner.optim_wrapper.optimizer.step()
    assert hook.skipped == skipped == len(said)
    assert (runner.model.weight.item() == before) == bool(skipped)
    assert all("of another process's shard" in line for line in said)
