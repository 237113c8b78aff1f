#!/usr/bin/env python
"""Where a detector is good and where it fails, from the predictions that tools/test.py wrote.

Writes into OUT_DIR: per_class.csv, per_size.csv, both as tables in report.md, pr_curves.png,
pr_curves/CLASS.png and confusion_matrix.png (mmdet's).

Examples:
    python tools/test.py CONFIG CHECKPOINT --out predictions.pkl
    python tools/analysis/detection_report.py CONFIG predictions.pkl OUT_DIR
"""
from __future__ import annotations

import argparse
import contextlib
import csv
import io
import runpy
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
from mmdet.datasets.api_wrappers import COCO, COCOeval  # noqa: E402
from mmengine.config import Config, DictAction  # noqa: E402
from mmengine.fileio import load  # noqa: E402
from mmengine.registry import DATASETS, init_default_scope  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent))
from mmdet_tool import tool_path  # noqa: E402

# name -> (index of COCO's area range, its bounds in square pixels)
SIZES = {'all': (0, 'any'), 'small': (1, '< 32^2'), 'medium': (2, '32^2 - 96^2'),
         'large': (3, '> 96^2')}
CURVE_IOUS = (0.5, 0.75, 0.9)


def to_coco_results(predictions: Sequence[Mapping[str, Any]],
                    cat_ids: Sequence[int]) -> list[dict[str, Any]]:
    """Predictions of ``DumpDetResults`` (boxes x1, y1, x2, y2 in pixels) as COCO's result list."""
    results = []
    for sample in predictions:
        instances = sample['pred_instances']
        boxes = np.asarray(instances['bboxes'], dtype=float).reshape(-1, 4)
        boxes[:, 2:] -= boxes[:, :2]
        results += [dict(image_id=sample['img_id'], bbox=box.tolist(), score=float(score),
                         category_id=cat_ids[int(label)])
                    for box, score, label in zip(boxes, instances['scores'], instances['labels'],
                                                 strict=True)]
    return results


def evaluate(coco: COCO, results: list[dict[str, Any]], image_ids: Sequence[int],
             cat_ids: Sequence[int]) -> COCOeval:
    """COCO's evaluation of boxes, accumulated, over some images and categories."""
    if not results:
        raise ValueError('there is no prediction: is the score threshold of the model too high?')
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(coco, coco.loadRes(results), 'bbox')
        evaluation.params.imgIds = list(image_ids)
        evaluation.params.catIds = list(cat_ids)
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation


def mean_where_defined(values: np.ndarray) -> float:
    """Mean of the entries above -1 (COCO's mark of a class without objects); NaN if none is."""
    values = values[values > -1]
    return float(values.mean()) if values.size else float('nan')


def count_objects(evaluation: COCOeval) -> np.ndarray:
    """Number of objects that count, shape (classes, 4): all, small, medium, large."""
    params = evaluation.params
    counts = np.zeros((len(params.catIds), len(params.areaRng)), dtype=int)
    for entry in filter(None, evaluation.evalImgs):
        row = params.catIds.index(entry['category_id'])
        column = list(map(list, params.areaRng)).index(list(entry['aRng']))
        counts[row, column] += int((1 - np.asarray(entry['gtIgnore'], dtype=int)).sum())
    return counts


def class_table(evaluation: COCOeval, names: Sequence[str]) -> list[dict[str, Any]]:
    """One row a class: number of objects, AP at several IoUs and sizes, AR of 100 boxes."""
    precision, recall = evaluation.eval['precision'], evaluation.eval['recall']
    counts = count_objects(evaluation)
    return [dict(
        name=name, objects=int(counts[k, 0]), AP=mean_where_defined(precision[:, :, k, 0, -1]),
        AP50=mean_where_defined(precision[0, :, k, 0, -1]),
        AP75=mean_where_defined(precision[5, :, k, 0, -1]),
        **{f'AP_{size}': mean_where_defined(precision[:, :, k, area, -1])
           for size, (area, _) in list(SIZES.items())[1:]},
        AR100=mean_where_defined(recall[:, k, 0, -1])) for k, name in enumerate(names)]


def size_table(evaluation: COCOeval) -> list[dict[str, Any]]:
    """One row a range of object areas: number of objects, AP, AP50, AP75 and AR by boxes."""
    precision, recall = evaluation.eval['precision'], evaluation.eval['recall']
    counts = count_objects(evaluation).sum(0)
    return [dict(
        size=size, area=bounds, objects=int(counts[area]),
        AP=mean_where_defined(precision[:, :, :, area, -1]),
        AP50=mean_where_defined(precision[0, :, :, area, -1]),
        AP75=mean_where_defined(precision[5, :, :, area, -1]),
        **{f'AR{boxes}': mean_where_defined(recall[:, :, area, m])
           for m, boxes in enumerate(evaluation.params.maxDets)})
        for size, (area, bounds) in SIZES.items()]


def markdown_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as a markdown table; numbers to three decimals, '-' where not defined."""
    def cell(value: Any) -> str:
        if isinstance(value, float):
            return '-' if np.isnan(value) else f'{value:.3f}'
        return str(value)
    lines = [list(rows[0]), ['---'] * len(rows[0]), *([cell(v) for v in r.values()] for r in rows)]
    return '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines)


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows as comma-separated values, with a line of names."""
    with path.open('w', newline='') as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def draw_pr_curve(evaluation: COCOeval, path: Path, title: str, class_index: int | None) -> None:
    """Draw precision over recall at several IoUs, for one class or (None) the mean over classes."""
    params = evaluation.params
    figure, axes = plt.subplots(figsize=(5, 4))
    for iou in CURVE_IOUS:
        row = evaluation.eval['precision'][int(np.argmin(abs(params.iouThrs - iou))), :, :, 0, -1]
        row = row[:, row[0] > -1] if class_index is None else row[:, class_index:class_index + 1]
        curve = row.mean(1)
        axes.plot(params.recThrs, curve, label=f'IoU {iou:.2f}: AP {curve.mean():.3f}')
    axes.set(xlabel='recall', ylabel='precision', xlim=(0, 1), ylim=(0, 1.02), title=title)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)


def draw_confusion_matrix(dataset: Any, predictions: Sequence[Mapping[str, Any]], out_dir: Path,
                          score_thr: float, iou_thr: float) -> None:
    """Draw mmdet's confusion matrix of the boxes above a score, matched by IoU."""
    tool = runpy.run_path(str(tool_path('confusion_matrix')))
    matrix = tool['calculate_confusion_matrix'](
        dataset, predictions, score_thr=score_thr, tp_iou_thr=iou_thr)
    with np.errstate(invalid='ignore', divide='ignore'):
        tool['plot_confusion_matrix'](matrix, (*dataset.metainfo['classes'], 'background'),
                                      save_dir=str(out_dir), show=False)
    plt.close('all')


def write_report(out_dir: Path, evaluation: COCOeval, names: Sequence[str]) -> None:
    """Write the tables and the precision-recall curves."""
    (out_dir / 'pr_curves').mkdir(parents=True, exist_ok=True)
    tables = dict(per_size=size_table(evaluation), per_class=class_table(evaluation, names))
    for name, rows in tables.items():
        write_csv(out_dir / f'{name}.csv', rows)
    (out_dir / 'report.md').write_text('\n\n'.join(
        f'## {name.replace("_", " ").capitalize()}\n\n{markdown_table(rows)}'
        for name, rows in tables.items()) + '\n')
    draw_pr_curve(evaluation, out_dir / 'pr_curves.png', 'mean over classes', None)
    for index, row in enumerate(tables['per_class']):
        if row['objects']:
            path = out_dir / 'pr_curves' / f'{row["name"].replace("/", "_")}.png'
            draw_pr_curve(evaluation, path, row['name'], index)
    print(markdown_table(tables['per_size']))


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file that the predictions were made with')
    parser.add_argument('predictions', help='file of tools/test.py --out FILE.pkl')
    parser.add_argument('out_dir', type=Path, help='folder to write')
    parser.add_argument('--score-thr', type=float, default=0.3,
                        help='boxes in the confusion matrix (default: %(default)s)')
    parser.add_argument('--iou-thr', type=float, default=0.5,
                        help='IoU of a match in the confusion matrix (default: %(default)s)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='as of tools/test.py')
    return parser.parse_args(argv)


def main() -> None:
    """Write the report."""
    args = parse_args()
    for path in (args.config, args.predictions):
        if not Path(path).is_file():
            sys.exit(f'detection_report.py: error: {path} does not exist')
    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(args.cfg_options or {})
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    predictions = load(args.predictions)
    if len(predictions) != len(dataset):
        sys.exit(f'detection_report.py: error: {args.predictions} has {len(predictions)} images, '
                 f'the test set {len(dataset)}')
    coco, names = COCO(dataset.ann_file), dataset.metainfo['classes']
    cat_ids = coco.get_cat_ids(cat_names=names)
    evaluation = evaluate(coco, to_coco_results(predictions, cat_ids),
                          [sample['img_id'] for sample in predictions], cat_ids)
    write_report(args.out_dir, evaluation,
                 [category['name'] for category in coco.load_cats(cat_ids)])
    draw_confusion_matrix(dataset, predictions, args.out_dir, args.score_thr, args.iou_thr)
    print(f'written: {args.out_dir}')


if __name__ == '__main__':
    main()
