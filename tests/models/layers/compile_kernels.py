"""Compiles the kernels of in-place ABN for a GPU of compute capability 8.0, without one.

Run as a program, without Triton's interpreter; prints what each reads and writes memory by.
"""

import re

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from tresnet_mm.models.layers.kernels import abn
from tresnet_mm.models.layers.triton_abn import _Tiles

TARGET = GPUTarget('cuda', 80, 32)
NUMBERS = {'of_an_image', 'positions', 'channels', 'image_stride', 'position_stride',
           'channel_stride', 'tiles', 'count'}
FEATURES = {'x_ptr', 'y_ptr', 'grad_ptr', 'grad_x_ptr'}


def accesses(kernel: triton.JITFunction, dtype: str, constants: dict[str, object]) -> str:
    """Compile as for features whose numbers 16 divides, and list the instructions."""
    names = [parameter.name for parameter in kernel.params]
    signature, attributes = {}, {}
    for index, name in enumerate(names):
        if name in constants:
            signature[name] = 'constexpr'
        elif name.endswith('_ptr'):
            signature[name] = f'*{dtype if name in FEATURES else "fp32"}'
        else:
            signature[name] = 'i32' if name in NUMBERS else 'fp32'
        if name.endswith('_ptr') or (name in NUMBERS and name not in constants):
            attributes[(index, )] = [['tt.divisibility', 16]]
    places = {(names.index(name), ): value for name, value in constants.items() if name in names}
    code = triton.compile(ASTSource(kernel, signature, places, attributes), target=TARGET)
    found = set(re.findall(r'(?:ld|st)\.(?:global|local)\S*', code.asm['ptx']))
    return f'{kernel.__name__} {dtype}: {" ".join(sorted(found))}'


def main() -> None:
    for memory_format in (torch.contiguous_format, torch.channels_last):
        tiles = _Tiles.of(torch.empty(2, 64, 32, 32).to(memory_format=memory_format))
        positions, channels = tiles.shape
        layout = dict(zip(('of_an_image', 'positions', 'channels', 'image_stride',
                           'position_stride', 'channel_stride'), tiles.layout, strict=True))
        ones = {name: 1 for name, value in layout.items() if value == 1}  # as Triton takes them
        constants = dict(ones, P=positions, C=channels, activation='leaky_relu', eps=1e-3,
                         centred=True)
        for dtype in ('fp32', 'bf16'):
            for kernel in (abn.partial_statistics, abn.normalised, abn.partial_sums,
                           abn.input_gradient):
                print(accesses(kernel, dtype, constants))
    print(accesses(abn.combined_statistics, 'fp32', dict(of_an_image=1, P=64, ROWS=32, C=32)))


if __name__ == '__main__':
    main()
