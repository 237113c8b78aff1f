"""What makes the host wait for a device, recorded on the CPU."""

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import tresnet_mm

OURS = str(Path(tresnet_mm.__file__).parent)
#: Operations whose result's size, or value, has to be known by the host.
READS = {'_local_scalar_dense', 'nonzero', 'masked_select', 'unique_dim', '_unique', '_unique2',
         'unique_consecutive', 'equal', 'is_nonzero'}
INDEXES = {'index', 'index_put', 'index_put_', '_index_put_impl_'}
#: Methods that copy to the host without any operation where the tensor is there already.
FETCHES = (Tensor.tolist, Tensor.cpu, Tensor.numpy, Tensor.__array__)


class Readback(NamedTuple):
    """One wait: the operation, and where the innermost package's call came from."""

    operation: str
    file: str
    line: int


class Readbacks:
    """Records, within it, what reads from or sends to a device, by operation and caller.

    Tensors of 'meta' stand for those of a GPU: they have no values, so that nothing can be read
    from them unseen, and copies between them and the CPU show. What is asked of them is answered by
    ones, which for a flag is True. What needs values runs on 'cpu', whose tensors stand for the
    GPU's then; there also constants that the host makes are recorded. Indexing by a boolean mask
    counts, as the size of its result has to be known.

    Attributes:
        all (list[Readback]): What was recorded.
    """

    def __init__(self, device: str) -> None:
        self.all: list[Readback] = []
        self._modes = (_Fetches(device, self._record), _Operations(device, self._record))

    @property
    def ours(self) -> list[Readback]:
        """Those whose innermost caller outside of torch is this package's."""
        return [one for one in self.all if one.file.startswith(OURS)]

    def __enter__(self) -> 'Readbacks':
        for mode in self._modes:
            mode.__enter__()
        return self

    def __exit__(self, *args: Any) -> None:
        for mode in reversed(self._modes):
            mode.__exit__(*args)

    def _record(self, operation: str) -> None:
        torch_folder = str(Path(torch.__file__).parent)
        frames = [frame for frame in traceback.extract_stack()
                  if not frame.filename.startswith((torch_folder, __file__))]
        self.all.append(Readback(operation, frames[-1].filename, frames[-1].lineno))


class _Fetches(TorchFunctionMode):

    def __init__(self, device: str, record: Callable[[str], None]) -> None:
        self.device, self.record = device, record

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (),
                           kwargs: dict | None = None) -> Any:
        if self.device == 'cpu' and (func in FETCHES or func is torch.tensor):
            self.record(func.__name__)
        return func(*args, **kwargs or {})


class _Operations(TorchDispatchMode):

    def __init__(self, device: str, record: Callable[[str], None]) -> None:
        super().__init__()
        self.device, self.record = device, record

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (),
                           kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        first = next((value for value in args if isinstance(value, Tensor)), None)
        here = first is not None and first.device.type == self.device
        if here and (name in READS or name in INDEXES and any(
                index is not None and index.dtype == torch.bool for index in args[1])):
            self.record(name)
            if name == '_local_scalar_dense' and first.is_meta:
                return torch.ones((), dtype=first.dtype).item()
        elif name == '_to_copy' and kwargs.get('device') not in (None, first.device):
            self.record(f'{first.device} to {kwargs["device"]}')
            if first.is_meta:
                return torch.ones(first.shape, dtype=kwargs.get('dtype') or first.dtype)
        elif name == 'copy_' and first.device != args[1].device:
            self.record(f'{args[1].device} to {first.device}')
            if args[1].is_meta:
                return first.fill_(1)
        return func(*args, **kwargs)
