"""What differs between the versions of torch and of the mm packages that this package runs on.

Two lines are tested: OneDL's mm packages with a current torch, and OpenMMLab's own (mmengine
0.10.7, mmcv 2.1.0, mmdet 3.3.0) with torch 2.1. Each entry says which versions it is for, and goes
when they do. No other module asks for a version.
"""

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Any

import torch
from packaging.version import Version
from torch import Tensor, nn

TORCH = Version(torch.__version__).release[:2]

#: Whether torch.compile traces; which takes this function of torch's own for True meanwhile.
is_compiling = torch.compiler.is_compiling if TORCH >= (2, 3) else torch._utils.is_compiling

#: Asks ``torch.onnx.export`` for its tracing exporter. Before torch 2.5 there is no other to ask
#: for, and no such argument.
TRACING_EXPORTER: dict[str, Any] = dict(dynamo=False) if TORCH >= (2, 5) else {}

#: The newest ONNX operator set that the tracing exporter writes without mistakes: before torch 2.4
#: it gives set 18's ``ReduceMean`` the attribute of set 17.
ONNX_OPSET = 18 if TORCH >= (2, 4) else 17

#: Whether torch.compile takes this package's layers and losses, which are autograd functions; an
#: older one runs them as they are, after minutes of trying.
COMPILES = TORCH >= (2, 4)


def check_triton() -> None:
    """See that triton is there and speaks the language of this package's kernels.

    That is from 3.3 on, the version beside torch 2.7; the interpreters of older ones (seen: 3.0 and
    3.1) run the kernels and give wrong numbers.

    Raises:
        ImportError: It is missing, or older.
    """
    try:
        import triton
    except ImportError as error:
        raise ImportError("backend='triton' needs triton, which comes with PyTorch for CUDA: "
                          "pip install 'triton>=3.3'") from error
    if Version(triton.__version__).release[:2] < (3, 3):
        raise ImportError(f"backend='triton' needs triton>=3.3, found {triton.__version__}: it "
                          'comes with torch>=2.7')


def in_cpu_autocast() -> bool:
    """Whether the operations of the CPU are under autocast."""
    if TORCH >= (2, 4):
        return torch.is_autocast_enabled('cpu')
    return torch.is_autocast_cpu_enabled()


def on_state_dict(module: nn.Module, hook: Callable[[nn.Module, dict, str, dict], None]) -> None:
    """Have ``hook(module, state_dict, prefix, metadata)`` called on the state dicts of a module."""
    if TORCH >= (2, 5):
        module.register_state_dict_post_hook(hook)
    else:
        module._register_state_dict_hook(hook)


def aminmax(values: Tensor) -> tuple[Tensor, Tensor]:
    """The smallest and the largest of the values; on a CPU of half ones, too."""
    if TORCH < (2, 4) and values.dtype == torch.float16:
        values = values.float()
    return values.aminmax()


def event_start(event: Any) -> int:
    """When an event of torch's profiler began, in units of its own."""
    return event.start_ns() if TORCH >= (2, 4) else event.start_us()


@contextlib.contextmanager
def mmcv_taken_by_mmdet() -> Iterator[None]:
    """Within it mmdet 3.3.0 can be imported beside mmcv 2.2.

    The release asserts mmcv < 2.2 on import, and nowhere else; it was the last one, made before
    mmcv 2.2, and what it takes from mmcv is still there. OneDL's mmdet makes no such assertion.
    """
    import mmcv
    found = mmcv.__version__
    if ('mmdet' in sys.modules or Version(found).release[:2] != (2, 2)
            or _version_of('mmdet') != '3.3.0'):
        yield
        return
    mmcv.__version__ = '2.1.99'
    try:
        yield
    finally:
        mmcv.__version__ = found
    logging.getLogger('tresnet_mm').warning(
        'mmdet 3.3.0 was imported beside mmcv %s, which it refuses by itself: import tresnet_mm '
        'before mmdet', found)


def _version_of(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def faster_coco_metric() -> type:
    """The ``FasterCocoMetric`` of mmdet, or its like for OpenMMLab's own, which has none.

    Called rather than read, since importing mmdet's metrics takes seconds.
    """
    from mmdet.evaluation import metrics
    if hasattr(metrics, 'FasterCocoMetric'):
        return metrics.FasterCocoMetric

    class FasterCocoMetric(metrics.CocoMetric):
        """``CocoMetric`` whose numbers come from the package faster-coco-eval.

        Raises:
            ImportError: The package is missing.
        """

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            try:
                from faster_coco_eval import COCOeval_faster
            except ImportError as error:
                raise ImportError('FasterCocoMetric needs faster-coco-eval: '
                                  'pip install faster-coco-eval') from error
            self._evaluator = COCOeval_faster
            super().__init__(*args, **kwargs)

        def compute_metrics(self, results: list) -> dict[str, float]:
            # The evaluator is a global of the module, without an argument or attribute for it.
            slow, metrics.coco_metric.COCOeval = metrics.coco_metric.COCOeval, self._evaluator
            try:
                return super().compute_metrics(results)
            finally:
                metrics.coco_metric.COCOeval = slow

    return FasterCocoMetric
