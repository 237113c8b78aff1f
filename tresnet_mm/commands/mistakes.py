"""Pictures and lists of the worst mistakes of a test run, and of labels that may be wrong.

RESULTS is what ``tresnet-mm test --out`` wrote: .npz of a model of image labels, .HEAD.npz of a
named image head, .bbox.json of a detector. Every sheet of pictures (.png) has a list beside it
(.json); docs/seeing.md says what is on each.

Examples:
    tresnet-mm test multilabel_tresnet_m_224 best.pth --out scores.npz
    tresnet-mm mistakes multilabel_tresnet_m_224 scores.npz --out-dir label_mistakes
    tresnet-mm test fcos_tresnet_m epoch_12.pth --out coco.json
    tresnet-mm mistakes fcos_tresnet_m coco.bbox.json --out-dir box_mistakes
"""
from __future__ import annotations

import argparse
import contextlib
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config, DictAction
from mmengine.registry import DATASETS, init_default_scope

from ..config_tree import dataset_parts, parts, type_name
from ..datasets.annotations import coco_values, parse_json, read_coco, read_text
from ..datasets.cifar import CIFAR
from ..evaluation import load_thresholds
from ..evaluation.renumbered_coco import RenumberedCOCO
from ..visualization import (
    find_box_mistakes,
    write_box_sheets,
    write_label_sheets,
    write_single_label_sheets,
)
from ..visualization.label_mistakes import CROSS_ENTROPY
from ..visualization.sheet_writer import SheetWriter, read_image
from . import launch
from .command_line import command, make_parser
from .image_heads import heads_of, is_single
from .saved_scores import SavedScores, read_scores

#: What a prediction has, with its judge and what is right.
_FIELDS: dict[str, tuple[Callable, str]] = {
    'image_id': (coco_values.are_ids, 'an integer or text'),
    'category_id': (coco_values.are_ids, 'an integer or text'),
    'bbox': (coco_values.are_boxes, 'four finite numbers x, y, w, h'),
    'score': (coco_values.are_numbers, 'a finite number'),
}


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = make_parser('mistakes', __doc__)
    parser.add_argument('config', help=launch.CONFIG_HELP)
    parser.add_argument('results', type=Path, help='.npz or .bbox.json of tresnet-mm test --out')
    parser.add_argument('--out-dir', type=Path, default=Path('mistakes'),
                        help='folder of the pictures and lists (default: %(default)s)')
    parser.add_argument('--number', type=int, default=24,
                        help='pictures a sheet (default: %(default)s)')
    parser.add_argument('--thresholds',
                        help='labels above it are predicted: a probability, or a file of '
                        'tresnet-mm thresholds (default: 0.5; not for one label an image)')
    parser.add_argument('--loss', choices=['config', 'bce'], default='config',
                        help="of image labels: the head's AsymmetricLoss, or binary cross entropy, "
                        'which a head with another loss gets too (default: %(default)s)')
    parser.add_argument('--score-thr', type=float, default=0.3,
                        help='leave out boxes of a lower score (default: %(default)s)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help=launch.CFG_OPTIONS_HELP)
    parser.set_defaults(launcher='none', work_dir=None)
    args = parser.parse_args(argv)
    if args.number < 1:
        parser.error(f'--number must be at least 1, got {args.number}')
    return args


def loss_constants(head: Any) -> dict[str, Any]:
    """The constants of a head's asymmetric loss; those of cross entropy where it has another."""
    for _, part in parts(head):
        if type_name(part.get('type')) == 'AsymmetricLoss':
            names = ('gamma_neg', 'gamma_pos', 'clip', 'eps')
            return {name: part[name] for name in names if name in part}
    return dict(CROSS_ENTROPY)


def label_sheets(args: argparse.Namespace, cfg: Config, results: SavedScores, writer: SheetWriter
                 ) -> None:
    """All pictures of a model of image labels, or of the named image head that was scored.

    Raises:
        ValueError: If the model has no such head.
    """
    scores, targets, classes, images = results[:4]
    heads = heads_of(cfg.get('model') or {})
    if results.head is not None and results.head not in heads:
        raise ValueError(f'{args.results} has scores of the image head {results.head!r}, and the '
                         f'model of {args.config} has none of this name')
    head = heads.get(results.head, cfg.get('model') or {})
    if is_single(head):
        single_label_sheets(args, cfg, results, writer)
        return
    try:
        wanted: Any = 0.5 if args.thresholds is None else float(args.thresholds)
    except ValueError:
        wanted = args.thresholds
    thresholds = load_thresholds(wanted, len(classes), classes)
    loss = CROSS_ENTROPY if args.loss == 'bce' else loss_constants(head)
    write_label_sheets(writer, scores, targets, classes, images, thresholds, loss)


def single_label_sheets(args: argparse.Namespace, cfg: Config, results: SavedScores,
                        writer: SheetWriter) -> None:
    """All pictures of a model of one label an image; ``results`` as for `label_sheets`.

    Raises:
        ValueError: If there are thresholds, or an image has not exactly one label.
    """
    scores, targets, classes, images = results[:4]
    if args.thresholds is not None:
        raise ValueError(f'--thresholds {args.thresholds}: the model of {args.config} gives each '
                         'image its class of highest score, whatever that is')
    other = np.flatnonzero((targets == 1).sum(axis=1) != 1)
    if len(other):
        raise ValueError(f'{args.results}: {images[other[0]]} has {(targets[other[0]] == 1).sum()} '
                         f'labels, and the model of {args.config} gives one')
    write_single_label_sheets(writer, scores, targets.argmax(axis=1), classes, images,
                              image_reader(cfg))


def image_reader(cfg: Config) -> Callable[[str], np.ndarray]:
    """What reads an image by its name, RGB: of a file, or of a data set that holds its images."""
    found = [part for _, part in dataset_parts(cfg.get('test_dataloader', {}).get('dataset'), '')]
    kind = DATASETS.get(found[0]['type']) if len(found) == 1 else None
    if kind is None or not issubclass(kind, CIFAR):
        return read_image
    dataset = DATASETS.build(dict(found[0], pipeline=[]))
    places = {dataset.get_data_info(i)['img_path']: i for i in range(len(dataset))}

    def read(name: str) -> np.ndarray:
        if name not in places:
            raise ValueError(f'{name} is no image of the {kind.__name__} of the config: scores '
                             'and test_dataloader should be of the same data')
        return np.ascontiguousarray(dataset.get_data_info(places[name])['img'][..., ::-1])
    return read


def read_boxes(path: Path) -> list[dict[str, Any]]:
    """Predictions in COCO's result format.

    Raises:
        ValueError: If the file holds something else.
    """
    content = parse_json(read_text(str(path)), str(path))
    if not isinstance(content, list) or not all(
            isinstance(entry, dict) and _FIELDS.keys() <= entry.keys() for entry in content):
        raise ValueError(f'{path} is no list of predictions in the COCO format, each with '
                         f'{", ".join(_FIELDS)}')
    for field, (judge, right) in _FIELDS.items():
        if not judge([entry[field] for entry in content]):
            wrong = next(i for i, entry in enumerate(content) if not judge([entry[field]]))
            raise ValueError(f'{path}: {field} of prediction {wrong} should be {right}, got '
                             f'{content[wrong][field]!r:.60}')
    return content


def test_data(cfg: Config) -> Any:
    """The test dataset, not loaded; ValueError where the config's is not a single one of COCO's."""
    found = [part for _, part in dataset_parts(cfg.get('test_dataloader', {}).get('dataset'), '')]
    if len(found) != 1:
        raise ValueError(f'test_dataloader has {len(found)} datasets; for boxes it should be one')
    dataset = DATASETS.build({**found[0], 'lazy_init': True})
    if not hasattr(dataset, 'image_folder') or not str(dataset.ann_file).endswith('.json'):
        raise ValueError(f'test_dataloader.dataset is a {type(dataset).__name__} of '
                         f'{dataset.ann_file!r}; for boxes it should be a CocoDataset')
    return dataset


def box_sheets(args: argparse.Namespace, cfg: Config, results: Any, writer: SheetWriter) -> None:
    """All pictures of a detector; ``results`` are those of `read_boxes`."""
    dataset = test_data(cfg)
    file = read_coco(dataset.ann_file, outlines=False)
    unknown = {result['category_id'] for result in results} - {c['id'] for c in file.categories}
    if unknown:
        raise ValueError(f'{args.results} has predictions of category {next(iter(unknown))!r}, '
                         f'which {dataset.ann_file} has not: they should be of the same data')
    classes = list(dataset.metainfo.get('classes') or file.classes)
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools tells that it makes an index
        truth = RenumberedCOCO(file, file.category_ids(classes))
    found = find_box_mistakes(truth, results, len(classes), args.score_thr)
    folder = dataset.image_folder()
    images = [folder.path(image['file_name'], f'{dataset.ann_file}: image {image["id"]!r}')
              for image in file.images]
    write_box_sheets(writer, found, classes, images)


@command('mistakes')
def main(argv: Sequence[str] | None = None) -> None:
    """Find and draw."""
    args = parse_args(argv)
    kinds: dict[str, tuple[Callable, Callable]] = {
        '.npz': (read_scores, label_sheets), '.json': (read_boxes, box_sheets)}
    if args.results.suffix not in kinds:
        raise ValueError(f'{args.results}: the suffix should be .npz (image labels) or .json '
                         '(boxes); tresnet-mm test --out writes both')
    written = args.results.with_suffix('.bbox.json')  # what --out x.json becomes
    if not args.results.is_file() and written.is_file():
        args.results = written
    if not args.results.is_file():
        raise FileNotFoundError(f'{args.results} does not exist')
    read, draw = kinds[args.results.suffix]
    results = read(args.results)
    cfg = launch.load_config(args)
    init_default_scope(cfg.get('default_scope') or 'mmdet')
    draw(args, cfg, results, SheetWriter(args.out_dir, args.number, print))
