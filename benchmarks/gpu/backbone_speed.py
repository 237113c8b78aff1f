"""Training and inference of TResNet and ResNet-50 in mixed precision, in both memory formats."""
from __future__ import annotations

import copy
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from mmcv.cnn.utils import fuse_conv_bn
from torch import Tensor, nn

from tresnet_mm._compat import COMPILES
from tresnet_mm.deploy import fuse

from .. import networks
from .norms import unusable
from .parts import Absent, Row
from .settings import Settings

RESNET = 'ResNet-50'
#: What a TResNet's norm is called in its name -> the norm's backend.
NORMS = {'triton': 'triton', 'inplace-abn': 'inplace_abn'}


class LastFeatures(nn.Sequential):
    """A classifier without its pooling and its last layer; gives a list, as backbones do."""

    def forward(self, x: Tensor) -> list[Tensor]:
        return [super().forward(x)]


def resnet50(settings: Settings) -> nn.Module:
    """ResNet-50 of torchvision, else of timm, else of mmdet; its ``source`` says which."""
    source = next((name for name in ('torchvision', 'timm') if find_spec(name)), 'mmdet')
    if source == 'mmdet' or settings.resnet_width != 64:
        from mmdet.models import ResNet
        source = 'mmdet'
        model = ResNet(50, base_channels=settings.resnet_width, norm_eval=False,
                       frozen_stages=-1, style='pytorch')
    else:
        whole = import_module('torchvision.models').resnet50() if source == 'torchvision' \
            else import_module('timm').create_model('resnet50')
        model = LastFeatures(*list(whole.children())[:-2])
    model.source = source
    return model


def contenders(settings: Settings, norms: tuple[str, ...] = tuple(NORMS)
               ) -> tuple[dict[str, nn.Module], list[Row]]:
    """Name -> backbone, ResNet-50 first, and a row for each that cannot run here."""
    models, absent = {RESNET: resnet50(settings)}, []
    for name, arch in settings.archs.items():
        models[name] = networks.tresnet(arch)
    name, arch = next(iter(settings.archs.items()))
    for norm in norms:
        reason = unusable(NORMS[norm], settings)
        if reason is None:
            models[f'{name} ({norm})'] = networks.tresnet(arch, backend=NORMS[norm])
        else:
            absent.append(dict(model=f'{name} ({norm})', mode=None, absent=reason))
    return models, absent


def training(settings: Settings) -> list[Row]:
    """Forward and backward, eager."""
    models, absent = contenders(settings)
    return _compare(models, 'train', settings) + absent


def inference(settings: Settings) -> list[Row]:
    """Forward, eager; as built, and with the norms folded into the convolutions."""
    models, absent = contenders(settings, norms=('triton', ))
    models.update(folded(settings, models))
    return _compare(models, 'infer', settings) + absent


def folded(settings: Settings, models: dict[str, nn.Module]) -> dict[str, nn.Module]:
    """ResNet-50 folded by mmcv, and each TResNet fused."""
    for model in models.values():
        model.eval()
    forms = {f'{RESNET}, folded': fuse_conv_bn(copy.deepcopy(models[RESNET]))}
    forms.update({f'{name}, fused': fuse(models[name]) for name in settings.archs})
    return forms


def compiled_inference(settings: Settings) -> list[Row]:
    """Forward of the folded networks under `torch.compile`, TResNet-L left out."""
    models, _ = contenders(settings, norms=())
    forms = folded(settings, models)
    return _compiled({name: forms[name] for name in list(forms)[:2]}, 'infer', settings)


def compiled_training(settings: Settings) -> list[Row]:
    """Forward and backward under `torch.compile`, TResNet-L left out."""
    models, _ = contenders(settings, norms=())
    return _compiled({name: models[name] for name in list(models)[:2]}, 'train', settings)


def compiled_large(settings: Settings) -> list[Row]:
    """Forward of the fused TResNet-L under `torch.compile`."""
    name, arch = list(settings.archs.items())[-1]
    model = networks.tresnet(arch).eval()
    return _compiled({f'{name}, fused': fuse(model)}, 'infer', settings)


def _compiled(models: dict[str, nn.Module], mode: str, settings: Settings) -> list[Row]:
    """In channels_last alone, as the compiler chooses the convolutions' format itself."""
    if not COMPILES:
        raise Absent('torch.compile through autograd functions needs torch>=2.4')
    torch.compiler.reset()
    compiled = {f'{name}, compiled': torch.compile(
        model, backend=settings.compiler, dynamic=False) for name, model in models.items()}
    try:
        return _compare(compiled, mode, settings, channels_last=True)
    finally:
        torch.compiler.reset()


def _compare(models: dict[str, nn.Module], mode: str, settings: Settings,
             **options: Any) -> list[Row]:
    for model in models.values():
        model.train(mode == 'train')
    rows = with_smaller_batches(settings.batch, settings, lambda batch: networks.compare(
        models, mode, settings.image_size, settings.arguments(batch_size=batch, **options)))
    return [{**row, 'source': getattr(models[row['model']], 'source', None)} for row in rows]


def with_smaller_batches(batch: int, settings: Settings,
                         measure: Callable[[int], list[Row]]) -> list[Row]:
    """Measure at ``batch``, or at half of it, and so on, where the GPU's memory is too small."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True  # shapes are fixed: the fastest algorithm of each
    try:
        while True:
            try:
                return measure(batch)
            except torch.cuda.OutOfMemoryError:
                if batch == 1:
                    raise
            batch //= 2  # outside, where the error no longer holds what did not fit
            torch.cuda.empty_cache()
    finally:
        torch.backends.cudnn.benchmark = before
