"""Pictures and lists of the worst mistakes of a test run, and of labels that may be wrong.

RESULTS is what ``tresnet-mm test --out`` wrote: .npz of a model of image labels, .bbox.json of a
detector. Every sheet of pictures (.png) has a list beside it (.json); docs/seeing.md says what is
on each.

Examples:
    tresnet-mm test CONFIG CHECKPOINT --out scores.npz
    tresnet-mm mistakes CONFIG scores.npz --out-dir mistakes

    tresnet-mm test CONFIG CHECKPOINT --out coco.json
    tresnet-mm mistakes CONFIG coco.bbox.json --out-dir mistakes
"""
from __future__ import annotations

import argparse
import contextlib
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import mmcv
import numpy as np
from mmengine.config import Config, DictAction
from mmengine.registry import DATASETS, init_default_scope

from ..config_tree import dataset_parts, parts, type_name
from ..datasets import LoadImageChecked
from ..datasets.annotations import parse_json, read_coco, read_text
from ..evaluation import load_thresholds
from ..evaluation.renumbered_coco import RenumberedCOCO
from ..visualization import (
    add_caption,
    box_mistakes,
    contact_sheet,
    draw_box_tile,
    draw_label_scores,
    draw_matrix,
    label_mistakes,
)
from . import launch
from .command_line import errors_in_one_line, make_parser

_TILE = 256
_COLUMNS = 6
#: Entries of a list; a sheet shows the first of them.
_LISTED = 1000


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = make_parser('mistakes', __doc__)
    parser.add_argument('config', help=launch.CONFIG_HELP)
    parser.add_argument('results', type=Path, help='.npz or .bbox.json of tresnet-mm test --out')
    parser.add_argument('--out-dir', type=Path, default=Path('mistakes'),
                        help='folder of the pictures and lists (default: %(default)s)')
    parser.add_argument('--number', type=int, default=24,
                        help='pictures a sheet (default: %(default)s)')
    parser.add_argument('--thresholds', default='0.5',
                        help='labels above it are predicted: a probability, or a file of '
                        'tresnet-mm thresholds (default: %(default)s)')
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


def read_scores(path: Path) -> tuple[np.ndarray, np.ndarray, list[str], list[str]]:
    """Scores (N, C), targets (N, C), classes and image files of ``test --out x.npz``.

    Raises:
        ValueError: If it is no such file.
    """
    try:
        with np.load(path) as data:
            return (data['scores'], data['targets'], data['classes'].tolist(),
                    data['images'].tolist())
    except (KeyError, ValueError, OSError, EOFError) as error:
        raise ValueError(f'{path} is no file of scores that tresnet-mm test --out wrote: {error}'
                         ) from error


def loss_constants(cfg: Config) -> dict[str, Any]:
    """The constants of the head's asymmetric loss; those of cross entropy where it has another."""
    for _, part in parts(cfg.get('model')):
        if type_name(part.get('type')) == 'AsymmetricLoss':
            names = ('gamma_neg', 'gamma_pos', 'clip', 'eps')
            return {name: part[name] for name in names if name in part}
    return dict(label_mistakes.CROSS_ENTROPY)


class Sheets:
    """Writes sheets of pictures, each with its list, into a folder.

    Args:
        folder: Made when the first is written.
        number: Pictures a sheet.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self.folder = folder
        self.number = number

    def write(self, name: str, title: str, records: Sequence[dict[str, Any]],
              draw: Callable[[int], np.ndarray]) -> None:
        """Write ``NAME.png`` and ``NAME.json``; only an empty list where there is no record.

        Args:
            name: Of both files, without suffix.
            title: Line above the pictures.
            records: What is in the list.
            draw: Draws the picture of a record by its place.
        """
        tiles = [draw(place) for place in range(min(self.number, len(records)))]
        self.folder.mkdir(parents=True, exist_ok=True)
        if tiles:
            sheet = contact_sheet(tiles, _COLUMNS, title)
            mmcv.imwrite(sheet[..., ::-1], str(self.folder / f'{name}.png'))
        (self.folder / f'{name}.json').write_text(json.dumps(list(records), indent=1) + '\n')
        print(f'{title}: {len(records)}' + (f', {self.folder / name}.png' if tiles else ''))

    def write_matrix(self, name: str, matrix: np.ndarray, rows: Sequence[str],
                     columns: Sequence[str], *titles: str) -> None:
        """Write ``NAME.png`` by `draw_matrix`; ``titles`` are those of matrix, rows, columns."""
        title, row_title, column_title = titles
        self.folder.mkdir(parents=True, exist_ok=True)
        draw_matrix(matrix, rows, columns, title, row_title, column_title,
                    self.folder / f'{name}.png')
        print(f'{title}: {self.folder / name}.png')


def read_image(path: str) -> np.ndarray:
    """An image file as uint8 (H, W, 3) in RGB; raises as `LoadImageChecked`."""
    return np.ascontiguousarray(LoadImageChecked()(dict(img_path=path))['img'][..., ::-1])


def label_sheets(args: argparse.Namespace, cfg: Config, results: Any, sheets: Sheets) -> None:
    """All pictures of a model of image labels; ``results`` are those of `read_scores`."""
    scores, targets, classes, images = results
    try:
        wanted: Any = float(args.thresholds)
    except ValueError:
        wanted = args.thresholds
    thresholds = load_thresholds(wanted, len(classes), classes)

    def tile(image: int, caption: str) -> np.ndarray:
        picture = draw_label_scores(
            read_image(images[image]), scores[image], classes, targets[image], thresholds, top=2,
            width=_TILE, most=6)
        return add_caption(picture, [caption, images[image]], 12)

    constants = label_mistakes.CROSS_ENTROPY if args.loss == 'bce' else loss_constants(cfg)
    losses = label_mistakes.image_losses(scores, targets, **constants)
    worst = np.argsort(-losses, kind='stable')[:_LISTED]
    sheets.write('highest_loss', 'Images of the highest loss',
                 [{'image': images[i], 'loss': round(float(losses[i]), 4)} for i in worst],
                 lambda place: tile(worst[place], f'loss {losses[worst[place]]:.2f}'))
    for name, title, pairs in [
            ('false_alarms', 'False alarms of the highest score',
             label_mistakes.false_alarms(scores, targets, thresholds, _LISTED)),
            ('missed', 'Missed labels of the lowest score',
             label_mistakes.missed_labels(scores, targets, thresholds, _LISTED)),
            ('doubtful', 'Labels that may be wrong',
             label_mistakes.doubtful_labels(scores, targets, _LISTED))]:
        records = label_mistakes.describe(pairs, images, classes, scores, targets)

        def captioned(place: int, pairs: list = pairs, records: list = records) -> np.ndarray:
            record = records[place]
            state = 'labelled' if record['labelled'] else 'not labelled'
            return tile(pairs[place][0], f'{record["class"]} {record["score"]:.2f}, {state}')

        sheets.write(name, title, records, captioned)
    sheets.write_matrix(
        'confusion', label_mistakes.label_confusion(scores, targets, thresholds), classes, classes,
        'Predicted where a label is true, in percent', 'true', 'predicted')
    sheets.write_matrix(
        'co_occurrence', label_mistakes.co_occurrence(targets), classes, classes,
        'Also true where a label is true, in percent', 'true', 'also true')


def read_boxes(path: Path) -> list[dict[str, Any]]:
    """Predictions in COCO's result format.

    Raises:
        ValueError: If the file holds something else.
    """
    content = parse_json(read_text(str(path)), str(path))
    fields = {'image_id', 'category_id', 'bbox', 'score'}
    if not isinstance(content, list) or not all(
            isinstance(entry, dict) and fields <= entry.keys() for entry in content):
        raise ValueError(f'{path} is no list of predictions in the COCO format, each with '
                         f'{", ".join(sorted(fields))}')
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


def box_sheets(args: argparse.Namespace, cfg: Config, results: Any, sheets: Sheets) -> None:
    """All pictures of a detector; ``results`` are those of `read_boxes`."""
    dataset = test_data(cfg)
    file = read_coco(dataset.ann_file, outlines=False)
    classes = list(dataset.metainfo.get('classes') or file.classes)
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools tells that it makes an index
        truth = RenumberedCOCO(file, file.category_ids(classes))
    found = box_mistakes.find_box_mistakes(truth, results, len(classes), args.score_thr)
    folder = dataset.image_folder()
    paths = [folder.path(image['file_name'], f'{dataset.ann_file}: image {image["id"]!r}')
             for image in file.images]

    def text(mistake: box_mistakes.BoxMistake) -> str:
        words = classes[mistake.label]
        if mistake.score is None:
            return f'{words}, missed'
        kind: str = mistake.kind
        if kind == 'other class' and mistake.other is not None:
            kind = f'labelled {classes[mistake.other]}'
        return f'{words} {mistake.score:.2f}, {kind}'

    for name, title, mistakes in [
            ('false_alarms', 'False alarms of the highest score', found.false_alarms),
            ('missed', 'Missed objects, the largest first', found.missed),
            ('doubtful', 'Objects whose annotation may be wrong or missing', found.doubtful())]:

        def tile(place: int, mistakes: list = mistakes) -> np.ndarray:
            mistake = mistakes[place]
            picture = draw_box_tile(read_image(paths[mistake.image]), mistake.box,
                                    mistake.score is not None, found.objects[mistake.image][1],
                                    _TILE)
            return add_caption(picture, [text(mistake), paths[mistake.image]], 12)

        sheets.write(name, title, [_record(m, paths, classes) for m in mistakes[:_LISTED]],
                     tile)
    totals = found.confusion.sum(axis=1, keepdims=True)
    shares = np.divide(found.confusion, totals, out=np.full(found.confusion.shape, np.nan),
                       where=totals > 0)
    shares[-1, -1] = np.nan  # nothing that was found by nothing
    sheets.write_matrix(
        'confusion', shares, [*classes, 'nothing'], [*classes, 'not found'],
        'Boxes on the objects of a class, in percent of the row', 'true', 'predicted')
    labels = np.zeros((len(paths), len(classes)), int)
    for image, (present, _) in enumerate(found.objects):
        labels[image, present] = 1
    sheets.write_matrix(
        'co_occurrence', label_mistakes.co_occurrence(labels), classes, classes,
        'Also in the image of an object, in percent', 'object', 'also there')


def _record(mistake: box_mistakes.BoxMistake, paths: Sequence[str],
            classes: Sequence[str]) -> dict[str, Any]:
    other = None if mistake.other is None else classes[mistake.other]
    record: dict[str, Any] = {
        'image': paths[mistake.image], 'class': classes[mistake.label],
        'box': [round(float(v), 1) for v in mistake.box], 'kind': mistake.kind}
    if mistake.score is not None:
        record |= {'score': round(mistake.score, 4), 'overlap': round(mistake.overlap, 3),
                   'overlaps': other}
    return record


def main(argv: Sequence[str] | None = None) -> None:
    """Find and draw."""
    args = parse_args(argv)
    kinds: dict[str, tuple[Callable, Callable]] = {
        '.npz': (read_scores, label_sheets), '.json': (read_boxes, box_sheets)}
    with errors_in_one_line('mistakes'):
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
        draw(args, cfg, results, Sheets(args.out_dir, args.number))
