"""The child process of the doctor: it imports and runs what the package needs, one after another.

``python -m tresnet_mm.doctor.probe PATHS SKIP`` with the parent's ``sys.path`` and the names of the
steps to leave out, both as JSON. It prints a line of JSON before each step and one with what came
out: a package that ends the process, as one compiled for another torch can, ends only this one, and
the parent sees in which step.
"""

import importlib.util
import json
import os
import sys
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

from .._requirements import DEPENDENCIES, OPTIONAL, check_requirements, conditions_of


def _version(name: str) -> dict[str, Any]:
    if importlib.util.find_spec(name) is None:  # said before what it needs is found missing
        raise ModuleNotFoundError(f'No module named {name!r}', name=name)
    with conditions_of(name):
        module = importlib.import_module(name)
    return dict(version=getattr(module, '__version__', ''), file=getattr(module, '__file__', ''))


def probe_torch() -> dict[str, Any]:
    """torch, the CUDA it is made for, and the GPU it sees."""
    found = _version('torch')
    torch = sys.modules['torch']
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else ''
    return dict(found, cuda=torch.version.cuda or '', gpu=gpu)


def probe_numpy() -> dict[str, Any]:
    """numpy, and whether torch can hand it an array, which two of different ages cannot."""
    found = _version('numpy')
    if 'torch' in sys.modules:
        sys.modules['torch'].zeros(1).numpy()
    return found


def probe_operators() -> dict[str, Any]:
    """The operators of mmcv: a suppression of boxes on every kind of device that torch sees."""
    torch = importlib.import_module('torch')
    nms = importlib.import_module('mmcv.ops').nms
    devices = ('cpu', 'cuda')[:1 + torch.cuda.is_available()]
    for device in devices:
        boxes = torch.tensor([[0., 0., 4., 4.], [0., 0., 4., 3.9]], device=device)
        _, kept = nms(boxes, torch.tensor([.9, .8], device=device), 0.5)
        if kept.tolist() != [0]:
            raise RuntimeError(f'nms on {device} kept {kept.tolist()} of two equal boxes, not [0]')
    return dict(devices=' and '.join(devices))


def probe_package() -> dict[str, Any]:
    """This package as every other process imports it."""
    check_requirements()
    sys.orig_argv[:], sys.argv[:] = [], ['']  # no doctor: __init__ shall import everything
    return dict(version=importlib.reload(sys.modules['tresnet_mm']).__version__)


STEPS: dict[str, Callable[[], dict[str, Any]]] = {
    'torch': probe_torch,
    'numpy': probe_numpy,
    **{name: partial(_version, name) for name in ('cv2', 'mmengine', 'mmcv')},
    'mmcv.ops': probe_operators,
    'mmdet': partial(_version, 'mmdet'),
    # Of these only what is compiled can be there and not work.
    **{d.module: partial(_version, d.module)
       for d in (*DEPENDENCIES[1:], *OPTIONAL) if d.module not in ('matplotlib', 'gradio')},
    'tresnet_mm': probe_package,
}


def main() -> None:
    """Run the steps; what they print themselves goes to stderr."""
    out = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)
    sys.path[:] = json.loads(sys.argv[1])
    warnings.simplefilter('ignore')
    skip = json.loads(sys.argv[2])
    for name in (name for name in STEPS if name not in skip):
        print(json.dumps(dict(name=name)), file=out, flush=True)
        try:
            found = STEPS[name]()
        except (Exception, SystemExit) as error:
            found = dict(error=f'{type(error).__name__}: {error}'.strip(),
                         missing=getattr(error, 'name', None) or '')
        print(json.dumps(dict(name=name, **found)), file=out, flush=True)


if __name__ == '__main__':
    main()
