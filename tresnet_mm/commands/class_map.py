"""Draw where on an image the score of a class comes from, a picture a class.

Class activation maps for the linear head, attention maps for ML-Decoder; docs/seeing.md says how to
read them.

Examples:
    tresnet-mm class-map IMAGE multilabel_tresnet_l_448 CHECKPOINT --classes cat dog
    tresnet-mm class-map FOLDER multilabel_tresnet_l_448 CHECKPOINT --out-dir maps
"""
from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

import mmcv
import numpy as np
from mmengine.config import Config, DictAction
from mmengine.dataset import Compose, pseudo_collate
from mmengine.model import BaseModel
from mmengine.registry import DATASETS

from ..config_tree import dataset_parts, type_name
from ..datasets import LoadImageChecked
from ..visualization import ClassMaps, add_caption, class_maps, draw_heat
from . import launch
from .command_line import command, errors_in_one_line, make_parser
from .export_onnx import build_model

_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp')
#: Pixels, of the image and of the map beside it.
_SMALLEST_WIDTH, _LARGEST_WIDTH = 320, 1024


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = make_parser('class-map', __doc__)
    parser.add_argument('image', help='image file or folder of images')
    parser.add_argument('config', help=f'{launch.CONFIG_HELP}; of a model with an image-level head')
    parser.add_argument('checkpoint', help='checkpoint file or URL')
    parser.add_argument('--classes', nargs='+', metavar='NAME',
                        help='class names or numbers (default: the three of highest score)')
    parser.add_argument('--out-dir', type=Path, default=Path('class_maps'),
                        help='folder of the pictures, IMAGE.CLASS.png (default: %(default)s)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help=launch.CFG_OPTIONS_HELP)
    parser.set_defaults(launcher='none', work_dir=None)
    return parser.parse_args(argv)


def images_of(path: str) -> list[Path]:
    """The image files that a path names; FileNotFoundError if there are none."""
    if Path(path).is_file():
        return [Path(path)]
    if not Path(path).is_dir():
        raise FileNotFoundError(f'{path} does not exist')
    found = [file for file in Path(path).iterdir() if file.suffix.lower() in _SUFFIXES]
    if not found:
        raise FileNotFoundError(f'{path} holds no image ({", ".join(_SUFFIXES)})')
    return sorted(found)


def known_classes(cfg: Config, model: BaseModel, classes: Sequence[str]) -> list[str]:
    """The class names: the checkpoint's, else the test data's, else numbers."""
    count = model.head.num_classes
    for _, part in dataset_parts(cfg.get('test_dataloader', {}).get('dataset'), ''):
        classes = classes or (part.get('metainfo') or {}).get('classes') or ()
        if not classes:
            try:
                dataset = DATASETS.build({**part, 'indices': 1, 'pipeline': []})
                classes = dataset.metainfo.get('classes') or ()
            except (FileNotFoundError, ValueError):  # the data is somewhere else
                pass
    return list(classes) if len(classes) == count else [str(i) for i in range(count)]


def find_classes(wanted: Sequence[str], names: Sequence[str]) -> list[int]:
    """Indices of classes by their names or numbers; ValueError for one that there is not."""
    numbers = {name: i for i, name in enumerate(names)}
    for name in wanted:
        if name not in numbers and not (name.isdecimal() and int(name) < len(names)):
            known = ', '.join(names[:10]) + (', ...' if len(names) > 10 else '')
            raise ValueError(f'--classes {name}: the model has the {len(names)} classes {known}')
    return [numbers[name] if name in numbers else int(name) for name in wanted]


def test_pipeline(cfg: Config) -> Compose:
    """The transforms of the test data, without those that read annotations.

    Raises:
        ValueError: If the config has no test data.
    """
    found = [part for _, part in dataset_parts(cfg.get('test_dataloader', {}).get('dataset'), '')]
    if not found or not found[0].get('pipeline'):
        raise ValueError('the config has no test_dataloader.dataset.pipeline, which says how an '
                         'image comes to the model')
    return Compose([step for step in found[0]['pipeline']
                    if type_name(step['type']) != 'LoadAnnotations'])


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
    cells = maps.cells[number]
    if maps.kind == 'logit':
        low, high = (round(float(v), 1) + 0.0 for v in (cells.min(), cells.max()))  # no -0.0
        text = f'logit of a cell: {low:+.1f} to {high:+.1f}; red for the class, blue against it'
    else:
        text = f'attention: up to {cells.max() * cells.size:.1f} times its mean'
    picture = np.concatenate([image, draw_heat(image, heat)], axis=1)
    return add_caption(picture, [f'{name} {maps.scores[number]:.2f}', text],
                       max(13, image.shape[1] // 60))


@command('class-map')
def main(argv: Sequence[str] | None = None) -> None:
    """Compute and draw."""
    args = parse_args(argv)
    with errors_in_one_line('class-map', FileNotFoundError, ValueError, RuntimeError):
        images = images_of(args.image)
        cfg = launch.load_config(args)
        model, classes = build_model(args)
        if not hasattr(getattr(model, 'head', None), 'class_maps'):
            raise ValueError(
                f'{args.config} has a {type(model).__name__}, which has no image-level head: class '
                'maps are of MultiLabelClassifier and MultiTaskDetector')
        names = known_classes(cfg, model, classes)
        wanted = find_classes(args.classes, names) if args.classes else None
        pipeline = test_pipeline(cfg)
        args.out_dir.mkdir(parents=True, exist_ok=True)
        for path in images:
            data = pipeline(dict(img_path=str(path), img_id=0))
            (maps,) = class_maps(model, pseudo_collate([data]), wanted)
            image = LoadImageChecked()(dict(img_path=str(path)))['img'][..., ::-1]
            shown = range(len(names)) if wanted is None else wanted
            order = range(len(wanted)) if wanted else np.argsort(-maps.scores, kind='stable')[:3]
            for number in order:
                name = names[shown[number]]
                part = re.sub(r'[^\w-]+', '_', name)  # a name may hold what a file's may not
                file = args.out_dir / f'{path.name}.{part}.png'
                mmcv.imwrite(draw(image, maps, int(number), name)[..., ::-1], str(file))
                print(f'{file}: {name} {maps.scores[number]:.3f}')
