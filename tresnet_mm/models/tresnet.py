"""TResNet (arXiv 2003.13630), a backbone designed for GPU throughput."""

from typing import Any

import torch
from mmengine.model import BaseModule, PretrainedInit
from mmengine.registry import MODELS
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..archs import EXPANSION, arch_settings, stage_channels, stem_channels
from ..checkpoint import adapt_backbone_state_dict, load_pretrained, tag_state_dict
from .layers import ConvNorm, SpaceToDepth, checkpoint_block, norm_form, pad_to_cells
from .residual_blocks import BLOCKS, ResidualBlock

STEM_SLOPE = 1e-2
BLOCK_SLOPE = 1e-3
MIN_SIZE = 32


@MODELS.register_module()
class TResNet(BaseModule):
    """TResNet backbone (arXiv 2003.13630), returning the features of its four stages.

    The input is RGB in [0, 1] (divided by 255; mean 0, std 1): the published weights know no other
    normalisation. Sides that 4 does not divide are padded with zeros at the right and bottom.

    Args:
        arch: A key of `ARCHS`, or a dict with ``depths``, ``width`` and optionally ``blocks``
            ('basic' or 'bottleneck' for each of the four stages; basic twice, then bottleneck).
        in_channels: Channels of the input.
        out_indices: Stages to return, out of 0 to 3.
        frozen_stages: Stages whose parameters and statistics do not change: -1 none, 0 the stem,
            k the stem and the first k stages.
        norm_cfg: Norm layer. The leaky ReLUs stay whichever it is.
        norm_eval: Keep all norm layers on their running statistics in training.
        with_cp: Gradient checkpointing: keep only the blocks' inputs for backward and compute the
            rest again. Gradients and running statistics are the same.
        strides: Stride of each stage, 1 or 2.
        dilations: Dilation of each stage's 3x3 convolutions.
        leaky_slope: Slope of all leaky ReLUs; None takes the published 1e-2 in the stem and 1e-3
            in the blocks. The slope is no part of a checkpoint.
        conv_cfg: Convolution layer; None takes `FastConv2d`, ``dict(type='Conv2d')`` is PyTorch's.
        init_cfg: ``dict(type='Pretrained', checkpoint=...)`` takes any published checkpoint of the
            arch; None initialises as the authors do.

    Attributes:
        out_channels (tuple[int, ...]): Channels of the returned features.

    Raises:
        ValueError: If an argument is out of its range.

    Examples:
        >>> import torch
        >>> backbone = TResNet('m', out_indices=(1, 2, 3)).eval()
        >>> backbone.out_channels
        (128, 1024, 2048)
        >>> [tuple(x.shape) for x in backbone(torch.rand(1, 3, 64, 64))]
        [(1, 128, 8, 8), (1, 1024, 4, 4), (1, 2048, 2, 2)]
    """

    init_cfg: Any  # mmengine's base does not say

    def __init__(self,
                 arch: str | dict = 'm',
                 in_channels: int = 3,
                 out_indices: tuple[int, ...] = (0, 1, 2, 3),
                 frozen_stages: int = -1,
                 norm_cfg: dict | None = None,
                 norm_eval: bool = False,
                 with_cp: bool = False,
                 strides: tuple[int, ...] = (1, 2, 2, 2),
                 dilations: tuple[int, ...] = (1, 1, 1, 1),
                 leaky_slope: float | None = None,
                 conv_cfg: dict | None = None,
                 init_cfg: dict | list | None = None) -> None:
        super().__init__(init_cfg)
        settings = arch_settings(arch)
        _check_stages(out_indices, frozen_stages, strides, dilations)
        self.arch = arch
        self.out_indices = tuple(out_indices)
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        self.with_cp = with_cp
        conv_norm = ConvNorm(
            norm_cfg or dict(type='InPlaceABN'), conv_cfg or dict(type='FastConv2d'))
        slope = BLOCK_SLOPE if leaky_slope is None else leaky_slope

        channels = stem_channels(arch)
        self.space_to_depth = SpaceToDepth(4)
        self.conv1 = conv_norm(
            in_channels * 16, channels, 3, slope=STEM_SLOPE if leaky_slope is None else leaky_slope)
        planes = channels
        for i, (depth, kind) in enumerate(zip(settings['depths'], settings['blocks'], strict=True)):
            blocks = []
            for j in range(depth):
                blocks.append(BLOCKS[kind](
                    channels, planes, strides[i] if j == 0 else 1, dilations[i], i < 3, slope,
                    conv_norm))
                channels = planes * EXPANSION[kind]
            self.add_module(f'layer{i + 1}', nn.Sequential(*blocks))
            planes *= 2
        self.out_channels = tuple(stage_channels(arch)[i] for i in self.out_indices)
        self._freeze()

    @property
    def stages(self) -> list[nn.Sequential]:
        """The four stages, `layer1` to `layer4`."""
        return [getattr(self, f'layer{i}') for i in range(1, 5)]

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map images (N, C, H, W), RGB in [0, 1], to features (N, C_i, H / s_i, W / s_i).

        The strides s_i are 4, 8, 16 and 32 with the default ``strides``; sizes are rounded up.

        Raises:
            ValueError: If a side is under 32 pixels.
        """
        h, w = x.shape[-2:]
        if min(h, w) < MIN_SIZE:
            raise ValueError(
                f'TResNet needs images of at least {MIN_SIZE} x {MIN_SIZE} pixels, got {h} x {w}')
        if h % 4 or w % 4 or torch.jit.is_tracing():  # a traced graph takes other sizes too
            x = pad_to_cells(x)
        x = self.conv1(self.space_to_depth(x))
        outs = []
        for i, stage in enumerate(self.stages[:max(self.out_indices) + 1]):
            for block in stage:
                x = self._run(block, x)
            if i in self.out_indices:
                outs.append(x)
        return tuple(outs)

    def train(self, mode: bool = True) -> 'TResNet':
        """Set the mode, keeping frozen stages (and all norm layers if ``norm_eval``) in eval."""
        super().train(mode)
        if mode:
            for module in self._frozen():
                module.eval()
            if self.norm_eval:
                for module in self.modules():
                    if isinstance(module, _BatchNorm):
                        module.eval()
        return self

    def init_weights(self) -> None:
        """Initialise by ``init_cfg``, or as the authors do (Kaiming normal, zero residuals).

        Raises:
            ValueError: If a pretrained checkpoint does not fit.
        """
        init_cfg: Any = self.init_cfg or []
        cfgs = [init_cfg] if isinstance(init_cfg, dict) else list(init_cfg)
        pretrained = [cfg for cfg in cfgs if cfg['type'] in ('Pretrained', PretrainedInit)]
        self.init_cfg = [cfg for cfg in cfgs if cfg not in pretrained]
        if self.init_cfg:
            super().init_weights()
        elif not pretrained:
            self._init_as_published()
        self.init_cfg = init_cfg or None
        for cfg in pretrained:
            load_pretrained(self, **{key: value for key, value in cfg.items() if key != 'type'})
        self._is_init = True

    def _init_as_published(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode='fan_out', nonlinearity='leaky_relu')
            elif isinstance(module, _BatchNorm):
                nn.init.ones_(module.weight)
                nn.init.zeros_(module.bias)
        for module in self.modules():
            if isinstance(module, ResidualBlock):
                nn.init.zeros_(module.last_norm.weight)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, local_metadata: dict,
                              strict: bool, missing_keys: list, unexpected_keys: list,
                              error_msgs: list) -> None:
        """Take published key names too, and refuse what does not fit whole."""
        adapt_backbone_state_dict(self, norm_form(self), state_dict, prefix, local_metadata,
                                  unexpected_keys)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, strict, missing_keys,
                                      unexpected_keys, error_msgs)

    def _save_to_state_dict(self, destination: dict, prefix: str, keep_vars: bool) -> None:
        tag_state_dict(norm_form(self), destination, prefix)
        super()._save_to_state_dict(destination, prefix, keep_vars)

    def _run(self, block: nn.Module, x: Tensor) -> Tensor:
        if self.with_cp and self.training and x.requires_grad:
            return checkpoint_block(block, x)
        return block(x)

    def _frozen(self) -> list[nn.Module]:
        if self.frozen_stages < 0:
            return []
        return [self.conv1, *self.stages[:self.frozen_stages]]

    def _freeze(self) -> None:
        for module in self._frozen():
            module.eval()
        # Stages behind the last one returned do not run; a process group would wait in vain for
        # their gradients. They are there for the checkpoints' sake.
        unused = self.stages[max(self.out_indices) + 1:]
        for module in [*self._frozen(), *unused]:
            module.requires_grad_(False)


def _check_stages(out_indices: tuple[int, ...], frozen_stages: int, strides: tuple[int, ...],
                  dilations: tuple[int, ...]) -> None:
    if not out_indices or set(out_indices) - set(range(4)):
        raise ValueError(f'out_indices must be some of 0, 1, 2, 3, got {out_indices}')
    if frozen_stages not in range(-1, 5):
        raise ValueError(f'frozen_stages must be from -1 to 4, got {frozen_stages}')
    if len(strides) != 4 or set(strides) - {1, 2}:
        raise ValueError(f'strides must be four of 1 and 2, got {strides}')
    if len(dilations) != 4 or min(dilations) < 1:
        raise ValueError(f'dilations must be four numbers above 0, got {dilations}')
