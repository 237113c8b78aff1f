"""What is kept of a measurement: its rows, the command, versions and hardware."""
from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from .markdown_table import markdown_table

PACKAGES = ('torch', 'triton', 'torchvision', 'timm', 'onedl-mmengine', 'onedl-mmcv',
            'onedl-mmdetection', 'mmengine', 'mmcv', 'mmdet', 'inplace-abn', 'numpy', 'onnx',
            'onnxruntime', 'openvino')


def environment() -> dict[str, Any]:
    """Versions, hardware and the settings that timings depend on."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    info = dict(python=platform.python_version(), platform=platform.platform(),
                cpu=_cpu_name(), cores=os.cpu_count(), threads=torch.get_num_threads(),
                load=round(os.getloadavg()[0], 2) if hasattr(os, 'getloadavg') else None,
                versions=versions)
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        info.update(gpu=properties.name, gpus=torch.cuda.device_count(),
                    gpu_GiB=round(properties.total_memory / 2**30, 1),
                    compute_capability=f'{properties.major}.{properties.minor}',
                    cuda=torch.version.cuda, cudnn=torch.backends.cudnn.version(),
                    **_driver())
    return info


def _driver() -> dict[str, str]:
    """What the first GPU's driver says of itself; nothing where its tool is missing."""
    fields = ('driver_version', 'power.limit', 'clocks.max.sm')
    try:
        said = subprocess.run(
            ['nvidia-smi', f'--query-gpu={",".join(fields)}', '--format=csv,noheader', '--id=0'],
            capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    names = (field.replace('.', '_') for field in fields)
    return dict(zip(names, map(str.strip, said.split(',')), strict=False))


def _cpu_name() -> str:
    """The processor's name from /proc/cpuinfo, else what Python knows."""
    path = Path('/proc/cpuinfo')
    if path.is_file():
        for line in path.read_text().splitlines():
            if line.startswith('model name'):
                return line.split(':', 1)[1].strip()
    return platform.processor() or platform.machine()


def report(name: str, rows: Sequence[Mapping[str, Any]], out_dir: str | Path | None = None,
           **extra: Any) -> dict[str, Any]:
    """Print the table of a benchmark and, with ``out_dir``, write ``<out_dir>/<name>.json``.

    Args:
        name: Subject of the benchmark, e.g. ``layers``.
        rows: What was measured, one dictionary a line.
        out_dir: Folder of the JSON file, made if missing; None writes nothing.
        extra: Further entries of the JSON file.

    Returns:
        The record: ``name``, ``command``, ``environment``, ``rows`` and ``extra``.
    """
    command = ['python -m benchmarks', *sys.argv[1:]]
    record = dict(name=name, command=' '.join(command), environment=environment(),
                  rows=list(rows), **extra)
    print(f'\n## {name}\n\n{markdown_table(rows)}\n', flush=True)
    if out_dir is not None:
        print(f'written: {write(record, out_dir)}', flush=True)
    return record


def write(record: Mapping[str, Any], out_dir: str | Path) -> Path:
    """Write ``<out_dir>/<name>.json`` and return where."""
    path = Path(out_dir) / f'{record["name"]}.json'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + '\n')
    return path
