"""Count the parameters and multiply-adds of a model, by its parts.

Counted are the multiply-adds of convolutions, linear layers and other matrix products of one image.
Norm layers and everything by element are left out. A two-stage detector is counted with as many
proposals as its untrained weights let through.

Examples:
    tresnet-mm flops fcos_tresnet_tiny_shapes
    tresnet-mm flops multilabel_tresnet_m_224 --size 256
    tresnet-mm flops my_config.py --size 800 1333 --depth 2
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config, DictAction
from mmengine.registry import MODELS, init_default_scope
from torch import Tensor, nn

from ..config_files import read_config
from ..config_tree import dataset_parts, type_name
from ..models.complexity import Complexity, complexity
from . import launch
from .command_line import command, make_parser


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = make_parser('flops', __doc__)
    parser.add_argument('config', help=launch.CONFIG_HELP)
    parser.add_argument('--size', nargs='+', type=int, metavar='PIXELS',
                        help='side of the image, or height and width (default: what the test '
                        'pipeline resizes to)')
    parser.add_argument('--depth', type=int, default=1,
                        help='how deep to list the parts (default: %(default)s)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction,
                        help=launch.CFG_OPTIONS_HELP)
    return parser.parse_args(argv)


def input_size(cfg: Config, size: Sequence[int] | None = None) -> tuple[int, int]:
    """Height and width of the images to count for.

    Args:
        cfg: The config, whose test pipeline says them where ``size`` does not. A scale (1333, 800)
            that keeps the aspect ratio is taken for the largest image, 800 x 1333.
        size: One side or two.

    Raises:
        ValueError: If ``size`` is neither, or the pipeline resizes to no fixed size.
    """
    if size:
        if len(size) > 2 or min(size) < 1:
            raise ValueError(f'--size takes one side or height and width, got {list(size)}')
        return size[0], size[-1]
    dataset = (cfg.get('test_dataloader') or cfg.get('val_dataloader') or {}).get('dataset')
    for _, part in dataset_parts(dataset, 'dataset'):
        for step in part.get('pipeline') or ():
            scale = step.get('scale')
            if 'Resize' in type_name(step.get('type')) and isinstance(scale, (list, tuple)):
                return int(scale[1]), int(scale[0])
    raise ValueError(f'the test pipeline of {cfg.filename} resizes to no fixed size: give --size')


def example(model: Any, height: int, width: int) -> tuple[Tensor, list[DetDataSample]]:
    """An image of noise, as the model's data preprocessor hands it on, and its sample."""
    sample = DetDataSample(metainfo=dict(
        img_shape=(height, width), ori_shape=(height, width), scale_factor=(1.0, 1.0),
        batch_input_shape=(height, width), pad_shape=(height, width)))
    image = torch.randint(0, 256, (3, height, width), dtype=torch.uint8)
    data = model.data_preprocessor(dict(inputs=[image], data_samples=[sample]))
    return data['inputs'], data['data_samples']


def count(cfg: Config, height: int, width: int) -> tuple[nn.Module, Complexity, tuple[int, ...]]:
    """Build a config's model and count it.

    Returns:
        The model, what one image of the size costs, and the shape that the model gets it in.
    """
    init_default_scope(cfg.get('default_scope') or 'mmdet')
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    inputs, samples = example(model, height, width)
    return model, complexity(model, inputs, data_samples=samples, mode='tensor'), inputs.shape


def table(model: nn.Module, found: Complexity, depth: int) -> list[str]:
    """Lines with parameters in millions and multiply-adds in 10^9: the whole, then its parts."""
    rows = [(name or 'model', *numbers) for name, *numbers in _rows(model, found, depth)]
    width = max(len(name) for name, *_ in rows)
    return [f'{"":{width}}  parameters/M  multiply-adds/G',
            *(f'{name:{width}}  {parameters / 1e6:12.3f}  {products / 1e9:15.3f}'
              for name, parameters, products in rows)]


def _rows(model: nn.Module, found: Complexity, depth: int) -> Iterator[tuple[str, Any, Any]]:
    for name, module in model.named_modules():
        parameters = sum(p.numel() for p in module.parameters())
        products = found.parts.get(name, 0)
        if name.count('.') < depth and (parameters or products):
            yield name, parameters, products


@command('flops')
def main(argv: Sequence[str] | None = None) -> None:
    """Build, count and print."""
    args = parse_args(argv)
    cfg = launch.merge(read_config(args.config), args)
    model, found, shape = count(cfg, *input_size(cfg, args.size))
    print('\n'.join(table(model, found, args.depth)))
    print(f'One image of {shape[-2]} x {shape[-1]} (height x width) as the model gets it; '
          'convolutions and matrix products, norm layers left out.')
    if found.not_counted:
        print('Not counted: ' + ', '.join(
            f'{name.rpartition(".")[2]} ({times} times)'
            for name, times in sorted(found.not_counted.items())))
