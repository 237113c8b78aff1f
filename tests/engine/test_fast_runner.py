"""A config's ``speed``, applied to the model."""

import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import RUNNERS
from torch import nn

from tests.lines import needs_compiler
from tresnet_mm.engine import fast_runner
from tresnet_mm.models import TResNet


class Wrapped(BaseModel):
    """A backbone or anything else in a model."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part

    def forward(self, inputs: torch.Tensor, mode: str = 'tensor') -> torch.Tensor:
        return self.part(inputs)


def prepare(tmp_path, part: nn.Module, **speed: object) -> nn.Module:
    """The model as the runner of a config with this ``speed`` holds it."""
    runner = RUNNERS.get('FastRunner')(
        model=Wrapped(part), work_dir=str(tmp_path), cfg=Config(dict(speed=speed)),
        experiment_name=tmp_path.name)
    return runner.model.part


def test_the_weights_are_laid_out(tmp_path):
    part = prepare(tmp_path, nn.Conv2d(8, 8, 3), channels_last=True)
    assert part.weight.is_contiguous(memory_format=torch.channels_last)


@needs_compiler
def test_backbones_are_compiled(tmp_path):
    graphs = []

    @torch._dynamo.register_backend(name='counting')
    def backend(graph, example_inputs):
        graphs.append(graph)
        return graph.forward

    backbone = TResNet(dict(depths=(1, 1, 1, 1), width=0.125)).eval()
    images = torch.rand(1, 3, 32, 32)
    expected = backbone(images)
    prepared = prepare(tmp_path, backbone, compile=dict(backend='counting')).eval()
    torch.testing.assert_close(prepared(images), expected)
    assert graphs


def test_a_compiler_that_takes_no_tresnet_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(fast_runner, 'COMPILES', False)
    with pytest.raises(ValueError, match=r'speed.compile needs torch>=2.4, found \d'):
        prepare(tmp_path, TResNet(dict(depths=(1, 1, 1, 1), width=0.125)), compile=True)


@pytest.mark.parametrize('speed, message', [
    (dict(compile=True), 'compiles TResNet backbones, and Wrapped has none'),
    (dict(chanels_last=True), 'speed has channels_last and compile, not chanels_last'),
])
def test_what_cannot_be_applied_is_an_error(tmp_path, speed, message):
    with pytest.raises(ValueError, match=message):
        prepare(tmp_path, nn.Conv2d(8, 8, 3), **speed)
