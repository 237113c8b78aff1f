"""Draw where on an image the score of a class comes from, a picture a class.

Class activation maps for the linear head, attention maps for ML-Decoder; docs/seeing.md says how to
read them.

Examples:
    tresnet-mm class-map photo.jpg multilabel_tresnet_l_448 best.pth --classes cat dog
    tresnet-mm class-map FOLDER published.safetensors --out-dir maps
    tresnet-mm class-map photo.jpg my_joint.py best.pth --head weather
"""
from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

import mmcv
import numpy as np
from mmcv.image import bgr2rgb, gray2rgb
from mmengine.config import Config, DictAction
from mmengine.dataset import pseudo_collate

from ..config_tree import named_heads
from ..inference import Inferencer, list_images
from ..visualization import ClassMaps, add_caption, class_maps, draw_heat
from ..visualization.class_maps import find_image_head
from . import launch
from .command_line import command, make_parser
from .image_heads import HEAD_HELP, only_head
from .predict import add_model_arguments

#: Pixels, of the image and of the map beside it.
_SMALLEST_WIDTH, _LARGEST_WIDTH = 320, 1024


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = make_parser('class-map', __doc__)
    parser.add_argument('image', help='image file, folder, pattern or URL')
    add_model_arguments(parser)
    parser.add_argument('--classes', nargs='+', metavar='NAME',
                        help='class names or numbers (default: the three of highest score)')
    parser.add_argument('--head', metavar='NAME', help=f'{HEAD_HELP} (default: the only one)')
    parser.add_argument('--out-dir', type=Path, default=Path('class_maps'),
                        help='folder of the pictures, IMAGE.CLASS.png (default: %(default)s)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help=launch.CFG_OPTIONS_HELP)
    parser.set_defaults(launcher='none', work_dir=None)
    return parser.parse_args(argv)


def find_classes(wanted: Sequence[str], names: Sequence[str]) -> list[int]:
    """Indices of classes by their names or numbers; ValueError for one that there is not."""
    numbers = {name: i for i, name in enumerate(names)}
    for name in wanted:
        if name not in numbers and not (name.isdecimal() and int(name) < len(names)):
            known = ', '.join(names[:10]) + (', ...' if len(names) > 10 else '')
            raise ValueError(f'--classes {name}: the model has the {len(names)} classes {known}')
    return [numbers[name] if name in numbers else int(name) for name in wanted]


def free_name(name: str, taken: set[str]) -> str:
    """A file name of characters that every file system has, and that none of the run has yet."""
    name = re.sub(r'[^\w.-]+', '_', name)
    file, number = f'{name}.png', 1
    while file.lower() in taken:
        number += 1
        file = f'{name}_{number}.png'
    taken.add(file.lower())
    return file


def draw(image: np.ndarray, maps: ClassMaps, number: int, name: str) -> np.ndarray:
    """An image and, to its right, a map over it, with lines that say what it is.

    Args:
        image: uint8 (H, W, 3) in RGB.
        maps: The maps of the image.
        number: Which of them.
        name: Name of its class.
    """
    width = min(max(image.shape[1], _SMALLEST_WIDTH), _LARGEST_WIDTH)
    image = mmcv.imrescale(image, width / image.shape[1], interpolation='bicubic')
    heat = maps.on_image(*image.shape[:2])[number]
    picture = np.concatenate([image, draw_heat(image, heat)], axis=1)
    return add_caption(picture, [f'{name} {maps.scores[number]:.2f}', maps.explain(number)],
                       max(13, image.shape[1] // 60))


def _model(args: argparse.Namespace) -> Config | str:
    """The config with the changes to it, or what is a model without one."""
    if args.weights is None:
        if args.cfg_options:
            raise ValueError('--cfg-options change a config, and no config was given')
        return args.model
    args.config = args.model
    return launch.load_config(args)


@command('class-map')
def main(argv: Sequence[str] | None = None) -> None:
    """Compute and draw."""
    args = parse_args(argv)
    images = list_images(args.image)
    inferencer = Inferencer(_model(args), args.weights)
    model, cfg = inferencer.model, inferencer.source.cfg.model
    head = only_head(cfg, args.head) if args.head is not None or named_heads(cfg) else None
    if not hasattr(find_image_head(model, head), 'class_maps'):
        raise ValueError(
            f'{args.model} has a {type(model).__name__}, which has no image-level head: class '
            'maps are of MultiLabelClassifier and MultiTaskDetector')
    names = inferencer.classes if head is None else inferencer.dataset_meta['image_classes'][head]
    wanted = find_classes(args.classes, names) if args.classes else None
    args.out_dir.mkdir(parents=True, exist_ok=True)
    taken: set[str] = set()
    for (image,) in inferencer.preprocess(images, 1, skip_bad=False):
        pixels = bgr2rgb(image.pixels) if image.pixels.ndim == 3 else gray2rgb(image.pixels)
        (maps,) = class_maps(model, pseudo_collate([image.data]), wanted, head)
        shown = range(len(names)) if wanted is None else wanted
        order = range(len(wanted)) if wanted else np.argsort(-maps.scores, kind='stable')[:3]
        for number in order:
            name = names[shown[number]]
            shown_as = name if head is None else f'{head}: {name}'
            file = args.out_dir / free_name('.'.join(filter(None, (image.source.stem, head, name))),
                                            taken)
            picture = draw(pixels, maps, int(number), shown_as)
            mmcv.imwrite(picture[..., ::-1], str(file))
            print(f'{file}: {shown_as} {maps.scores[number]:.3f}')
