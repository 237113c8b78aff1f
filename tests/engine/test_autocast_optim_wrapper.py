"""Training in mixed precision: which precision is at work, and that it learns."""

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.optim import build_optim_wrapper
from torch import Tensor, nn

SGD = dict(type='SGD', lr=0.5)
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')


class Fit(BaseModel):
    """A line through given points; keeps the precision of its last output."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(1, 1)

    def forward(self, inputs: Tensor, mode: str = 'tensor') -> dict[str, Tensor]:
        found = self.layer(inputs)
        self.dtype = found.dtype
        return dict(loss=(found.float() - 2 * inputs - 1).square().mean())


def train(wrapper: dict, steps: int = 60, device: str = 'cpu') -> tuple[Fit, list[float]]:
    """The model after some steps, and the bias after each."""
    model = Fit().to(device)
    wrapper = build_optim_wrapper(model, dict(wrapper, optimizer=SGD))
    inputs = torch.linspace(-1, 1, 16, device=device)[:, None]
    bias = []
    for _ in range(steps):
        model.train_step(dict(inputs=inputs), wrapper)
        bias.append(model.layer.bias.item())
    return model, bias


def test_bfloat16_at_work_and_the_weights_in_float32():
    model, bias = train(dict(type='AutocastOptimWrapper'))
    assert model.dtype == torch.bfloat16
    assert model.layer.weight.dtype == torch.float32
    assert bias[-1] == pytest.approx(1, abs=0.02)
    assert bias != train(dict(type='OptimWrapper'))[1]


@pytest.mark.skipif(torch.cuda.is_available(), reason='here is an accelerator')
def test_a_config_for_mixed_precision_trains_in_float32_without_an_accelerator():
    """With the other options of its optimiser in force."""
    auto = dict(type='AutoAmpOptimWrapper', dtype='bfloat16', accumulative_counts=4)
    model, bias = train(auto, steps=8)
    assert model.dtype == torch.float32
    assert [len(set(bias[i:i + 3])) for i in (0, 4)] == [1, 1]  # moves at every fourth step
    assert bias == train(dict(type='OptimWrapper', accumulative_counts=4), steps=8)[1]


@needs_gpu
@pytest.mark.parametrize('dtype', [None, 'float16', 'bfloat16'])
def test_a_config_for_mixed_precision_uses_it_on_an_accelerator(dtype):
    model, bias = train(dict(type='AutoAmpOptimWrapper', dtype=dtype), device='cuda')
    assert model.dtype == getattr(torch, dtype or 'float16')
    assert model.layer.weight.dtype == torch.float32
    assert bias[-1] == pytest.approx(1, abs=0.02)
