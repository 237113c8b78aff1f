"""A runner that applies a config's ``speed``: memory format and compiler."""

import torch
from mmengine.logging import print_log
from mmengine.registry import RUNNERS
from mmengine.runner import Runner
from torch import nn

from .._compat import COMPILES
from ..models import TResNet
from ..models.layers.memory_format import shield_mmcv_layers


@RUNNERS.register_module()
class FastRunner(Runner):
    """mmengine's runner that applies the config's ``speed`` to the model, and is no other without.

    ``speed=dict(channels_last=True)`` lays the weights out as ``torch.channels_last``, which the
    features then follow: faster with mixed precision on a GPU, and on most CPUs.
    ``speed=dict(compile=True)`` compiles every TResNet by ``torch.compile`` (heads and losses
    depend on the data and would only break the graph); a dict gives arguments to it.

    Raises:
        ValueError: When the model is wrapped, if there is no TResNet to compile, torch is too old
            for compiling it, or ``speed`` has another key.
    """

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Prepare the model, before a data-parallel wrapper copies the layout of its weights."""
        speed = self.cfg.get('speed') or {}
        unknown = sorted(set(speed) - {'channels_last', 'compile'})
        if unknown:
            raise ValueError(f'speed has channels_last and compile, not {", ".join(unknown)}')
        if speed.get('channels_last'):
            model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            shield_mmcv_layers(model)
            print_log('weights laid out as channels_last', logger='current')
        options = speed.get('compile')
        if options:
            backbones = [m for m in model.modules() if isinstance(m, TResNet)]
            if not backbones:
                raise ValueError(
                    'speed.compile compiles TResNet backbones, and '
                    f'{type(model).__name__} has none')
            if not COMPILES:
                raise ValueError(f'speed.compile needs torch>=2.4, found {torch.__version__}: the '
                                 'compiler of an older torch takes no autograd functions, which '
                                 "TResNet's layers are")
            for backbone in backbones:
                backbone.compile(**({} if options is True else options))
            print_log(f'{len(backbones)} backbone(s) will be compiled', logger='current')
        return super().wrap_model(model_wrapper_cfg, model)
