"""How large everything is that is compared and timed: for a GPU, or tiny for a CPU."""
from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

GIB = 2**30


@dataclass(frozen=True)
class Settings:
    """Sizes for a GPU; `tiny` gives those for a CPU.

    Attributes:
        device: 'cuda' or 'cpu'.
        half: What mixed precision computes in.
        golden: Folder of the published networks' outputs; None where there is none.
        golden_networks: Which of them.
        archs: Name of a TResNet -> its arch.
        resnet_width: Channels of ResNet-50's first stage.
        image_size: Side of the backbones' images.
        batch: Images of a backbone's step; less where it does not fit.
        rounds: Timed rounds.
        norm_batch: Images of the norm's features.
        norm_shapes: Their channels and side.
        exact_shapes: Features (N, C, H, W) on which the norm is compared with float64.
        exact_logits: (images, classes) on which the losses are.
        detector_size: Side of the detectors' images.
        detector_batch: Images of a detector's step.
        batch_memory: Bytes that the largest batch may take: those of the paper's V100.
        compiler: The backend of `torch.compile`.
        shapes: What of the demo's `ShapesSpec` the small training's data set changes.
        epochs: Epochs of the small training.
        least_map: What its mAP has to reach, in percent.
    """

    device: str = 'cuda'
    half: torch.dtype = torch.float16
    golden: Path | None = None
    golden_networks: tuple[str, ...] = (
        'official_m', 'timm_m', 'asl_l_coco', 'mldecoder_v2_l', 'mldecoder_m_groups')
    archs: dict[str, Any] = field(default_factory=lambda: {'TResNet-M': 'm', 'TResNet-L': 'l'})
    resnet_width: int = 64
    image_size: int = 224
    batch: int = 256
    rounds: int = 7
    norm_batch: int = 256
    norm_shapes: tuple[tuple[int, int], ...] = ((64, 56), (128, 28), (1024, 14))
    exact_shapes: tuple[tuple[int, ...], ...] = ((8, 64, 56, 56), (3, 70, 7, 5), (16, 1024, 7, 7))
    exact_logits: tuple[int, int] = (60_000, 80)
    detector_size: int = 800
    detector_batch: int = 8
    batch_memory: int = 16 * GIB
    compiler: str = 'inductor'
    shapes: dict[str, Any] = field(default_factory=dict)
    epochs: int = 6
    least_map: float = 80.

    @property
    def on_gpu(self) -> bool:
        return self.device == 'cuda'

    def arguments(self, **changes: Any) -> argparse.Namespace:
        """The command line of the other subjects that measures with these sizes."""
        values: dict[str, Any] = dict(
            device=self.device, amp=True, arch='m', train=False, infer=False, nchw=False,
            channels_last=False, compile=False, batch_size=self.batch, image_size=self.image_size,
            rounds=self.rounds, quick=not self.on_gpu)
        return argparse.Namespace(**{**values, **changes})


def tiny(golden: Path | None) -> Settings:
    """Everything so small that a CPU is through in a minute; its times mean nothing."""
    return Settings(
        device='cpu', half=torch.bfloat16, golden=golden,
        archs={'TResNet-M': dict(depths=(1, 1, 1, 1), width=0.125),
               'TResNet-L': dict(depths=(1, 1, 2, 1), width=0.125)},
        resnet_width=8, image_size=64, batch=2, rounds=1, norm_batch=2, norm_shapes=((8, 8), ),
        exact_shapes=((3, 5, 7, 7), ), exact_logits=(3000, 80), detector_size=64, detector_batch=1,
        compiler='aot_eager', shapes=dict(num_train=200, num_val=60, size=64), epochs=3,
        least_map=55., golden_networks=('official_m', 'mldecoder_m_groups'))
