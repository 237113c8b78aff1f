"""Fit scaling and thresholds of a multi-label model's scores, and write them into a checkpoint.

The model runs on the validation data. A copy of the checkpoint then holds, with its weights, what
was fitted: a scaling of the logits, so that a score of 0.8 is right eight times of ten, and for
each class a threshold of the scaled score. Whatever loads the copy uses them: test, predict, web,
publish and export. Training state is left out of it: train on from the original.

Examples:
    tresnet-mm calibrate multilabel_tresnet_m_224 best.pth -o calibrated.pth --plot calibrated.png
    tresnet-mm calibrate multilabel_tresnet_m_224 best.pth -o calibrated.pth --scores scores.npz
    tresnet-mm calibrate multilabel_tresnet_m_224 best.pth -o calibrated.pth --thresholds recall=0.8
    tresnet-mm calibrate multilabel_tresnet_m_224 best.pth -o calibrated.pth --scaling shared
"""
from __future__ import annotations

import argparse
import tempfile
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.registry import RUNNERS
from mmengine.runner import Runner
from torch import Tensor

from ..checkpoint import CheckpointMismatch, load_from_tresnet_mm, write_file
from ..checkpoint.formats import metadata_of, set_metadata
from ..checkpoint.loading import CALIBRATION
from ..checkpoint.publishing import image_head
from ..checks.weights import weights_of
from ..config_tree import type_name
from ..evaluation import (
    best_f1_thresholds,
    brier_score,
    fit_scaling,
    multilabel_scores,
    reliability,
    thresholds_at_precision,
    thresholds_at_recall,
)
from ..evaluation.scaling import FEWEST
from ..visualization.reliability_diagram import draw_reliability
from . import launch
from .check import require_agreement
from .command_line import command, make_parser
from .mistakes import read_scores
from .test import log_once

_RULES = {'precision': thresholds_at_precision, 'recall': thresholds_at_recall}


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = make_parser('calibrate', __doc__)
    parser.add_argument('config', help=launch.CONFIG_HELP)
    parser.add_argument('checkpoint', help='checkpoint: path, URL, tresnet:// or hf:// name')
    parser.add_argument('-o', '--out', required=True, metavar='FILE',
                        help='the calibrated copy of the checkpoint, a .pth file')
    parser.add_argument('--scaling', choices=['none', 'shared', 'temperature', 'platt'],
                        default='platt', help='shared divides the logits of all classes by one '
                        'number, temperature those of each class by its own, platt also shifts '
                        'them (default: %(default)s)')
    parser.add_argument('--fewest', type=int, default=FEWEST, metavar='N',
                        help='a class with fewer known positives or negatives has no fit of its '
                        'own, but the number that all classes share (default: %(default)s)')
    parser.add_argument('--thresholds', default='f1', metavar='RULE',
                        help='f1: the best F1 of a class; precision=0.9: its highest recall at '
                        'that precision; recall=0.8: its highest precision at that recall; none '
                        '(default: %(default)s)')
    parser.add_argument('--data', choices=['val', 'test'], default='val',
                        help="the config's data to fit to (default: %(default)s)")
    parser.add_argument('--scores', metavar='FILE', help='.npz that tresnet-mm test --out wrote '
                        'with this checkpoint, to fit to in place of running it')
    parser.add_argument('--plot', metavar='FILE', help='draw the reliability before and after')
    launch.add_common_arguments(parser)
    return parser.parse_args(argv)


def choose(rule: str, scores: np.ndarray, targets: np.ndarray
           ) -> tuple[np.ndarray, dict[int, str]] | None:
    """The thresholds (C,) of a rule of ``--thresholds``; None for 'none'.

    Returns:
        With what is to be told of a class, by its index.

    Raises:
        ValueError: If there is no such rule.
    """
    if rule == 'none':
        return None
    if rule == 'f1':
        thresholds, reached = best_f1_thresholds(scores, targets)
        wanted = 0.0
    else:
        wanted, name = _wanted(rule)
        thresholds, reached = _RULES[name](scores, targets, wanted)
    told = {c: f'its {rule.partition("=")[0]} is {value:.3f} at most: that is taken'
            for c, value in enumerate(reached) if value < wanted}
    told |= {c: 'no known positives: the threshold is 0.5' for c in np.flatnonzero(
        np.isnan(reached)).tolist()}
    return thresholds, told


def _wanted(rule: str) -> tuple[float, str]:
    name, _, number = rule.partition('=')
    try:
        wanted = float(number)
    except ValueError:
        wanted = 0.0
    if name not in _RULES or not 0 < wanted <= 1:
        raise ValueError('--thresholds should be f1, none, or precision or recall with a number in '
                         f'(0, 1], such as precision=0.9; got {rule!r}')
    return wanted, name


def check_arguments(args: argparse.Namespace, cfg: Config, weights: Mapping[str, Tensor]) -> None:
    """See, before anything runs, that the fit can be written and will be used.

    Raises:
        ValueError: If not.
    """
    if args.thresholds not in ('f1', 'none'):
        _wanted(args.thresholds)
    if args.fewest < 1:
        raise ValueError(f'--fewest should be at least 1, got {args.fewest}')
    if args.scaling == args.thresholds == 'none':
        raise ValueError('--scaling none --thresholds none: there is nothing to fit')
    if Path(args.out).suffix != '.pth':
        raise ValueError(f'-o should name a .pth file, got {args.out!r}')
    if Path(args.out).resolve() == Path(args.checkpoint).resolve():
        raise ValueError(f'-o {args.out} is the checkpoint itself, whose training state would be '
                         'lost: name another file')
    head = image_head(cfg.model)
    if head is None:
        raise ValueError(f'{args.config} has no image-level head: there is nothing to calibrate')
    if type_name(head.get('type')) == 'SingleLabelHead':
        raise ValueError(f'{args.config} has a SingleLabelHead, whose scores are a softmax: this '
                         'calibrates scores of each class by itself')
    if head.get('thresholds') is not None:
        raise ValueError(f'the head of {args.config} has thresholds of its own, which are for '
                         'scores that are not calibrated and would be taken before those of the '
                         'checkpoint: leave them out of the config')
    if args.scores and any(CALIBRATION in name for name in weights):
        raise ValueError(f'{args.checkpoint} is calibrated already, and so are its scores: run it '
                         'without --scores, or give the original checkpoint')


def run(args: argparse.Namespace, cfg: Config) -> Any:
    """Run the model, without calibration, on the data.

    Returns:
        Scores (N, C), targets (N, C) and classes; None in all processes but the first.

    Raises:
        CheckpointMismatch: If the checkpoint is not the model's.
        ValueError: If the config has no such data.
    """
    cfg = deepcopy(cfg)
    if cfg.get(f'{args.data}_dataloader') is None:
        raise ValueError(f'{args.config} has no {args.data}_dataloader')
    cfg.load_from = args.checkpoint
    cfg.test_dataloader = cfg[f'{args.data}_dataloader']
    if not args.no_check:
        require_agreement('test', cfg, args.checkpoint, 'calibrate')
    image_head(cfg.model).calibrated = False
    launch.add_hook(cfg, dict(type='WholeWeightsHook'))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / 'scores.npz'
        cfg.test_evaluator = dict(type='DumpMultiLabelScores', out_file=str(file))
        launch.set_up_processes(cfg, args.local_rank)
        runner = Runner.from_cfg(cfg) if 'runner_type' not in cfg else RUNNERS.build(cfg)
        log_once(runner)
        try:
            runner.test()
        except CheckpointMismatch as error:
            raise CheckpointMismatch(f'{args.checkpoint}: {error}') from error
        return read_scores(file)[:3] if is_main_process() else None


def calibrated(weights: Mapping[str, Tensor], values: Mapping[str, np.ndarray]
               ) -> dict[str, Tensor]:
    """A state dict with what was fitted in its head, in place of what may be there."""
    result = OrderedDict(
        (name, value) for name, value in weights.items() if CALIBRATION not in name)
    set_metadata(result, metadata_of(weights))  # which norm layer they are for
    prefix = 'image_' if any(name.startswith('image_head.') for name in weights) else ''
    for name, value in values.items():
        result[f'{prefix}{CALIBRATION}{name}'] = torch.from_numpy(value)
    return result


def report(before: np.ndarray, after: np.ndarray, targets: np.ndarray,
           thresholds: np.ndarray | None) -> str:
    """What was gained, in lines."""
    lines = [f'{name}: {measure(before):.2f} -> {measure(after):.2f}' for name, measure in {
        'ECE (%)': lambda scores: 100 * reliability(scores, targets).expected_error,
        'ECE of equal bins (%)': lambda scores: 100 * reliability(
            scores, targets, binning='mass').expected_error,
        'largest error of a bin (%)': lambda s: 100 * reliability(s, targets).largest_error,
        'Brier score (%)': lambda scores: 100 * brier_score(scores, targets)}.items()]
    plain = multilabel_scores(before, targets, top_k=None)
    chosen = multilabel_scores(after, targets, 0.5 if thresholds is None else thresholds,
                               top_k=None)
    return '\n'.join([*lines, *(f'{key}: {plain[key]:.2f} -> {chosen[key]:.2f}' for key in (
        'mAP', 'CP', 'CR', 'CF1', 'OF1'))])


def fit(scores: np.ndarray, targets: np.ndarray, classes: Sequence[str], scaling: str, rule: str,
        fewest: int = FEWEST) -> tuple[np.ndarray, dict[str, np.ndarray], list[str]]:
    """The scaled scores (N, C), what was fitted by its name, and what is to be told."""
    after, told, values = scores, [], {}
    if scaling != 'none':
        found = fit_scaling(scores, targets, scaling, fewest=fewest)  # type: ignore[arg-type]
        after = found(scores)
        what = ('is not scaled' if found.shared is None else
                f'has the temperature of all classes, {1 / found.shared:.4f}')
        told = [f'{classes[c]} {what}: {why}' for c, why in found.left.items()]
        values = dict(scale=found.scale, bias=found.bias)
    if (chosen := choose(rule, after, targets)) is not None:
        values['thresholds'] = chosen[0]
        told += [f'{classes[c]}: {why}' for c, why in chosen[1].items()]
        told += [f'{classes[c]}: its threshold rests on {count} known positives'
                 for c, count in enumerate((targets == 1).sum(axis=0)) if 0 < count < fewest]
    return after, values, told


@command('calibrate')
def main(argv: Sequence[str] | None = None) -> None:
    """Run, fit, write, and say what was gained."""
    args = parse_args(argv)
    cfg = launch.load_config(args)
    launch.check_checkpoint(args.checkpoint)
    checkpoint = load_from_tresnet_mm(args.checkpoint, 'cpu')
    weights = weights_of(checkpoint)
    check_arguments(args, cfg, weights)
    found = read_scores(Path(args.scores))[:3] if args.scores else run(args, cfg)
    if found is None or not is_main_process():
        return
    scores, targets, classes = found
    count = image_head(cfg.model).num_classes
    if len(classes) != count:
        raise ValueError(f'the scores are of {len(classes)} classes, the model has {count}')
    after, values, told = fit(scores, targets, classes, args.scaling, args.thresholds,
                                args.fewest)
    write_file(args.out, calibrated(weights, values), dict(checkpoint.get('meta') or {}))
    width = max(map(len, classes))
    for c, name in enumerate(classes):
        print(f'{name:{width}}  ' + '  '.join(f'{key} {value[c]:.4f}'
                                              for key, value in values.items()))
    print('\n'.join([*told, report(scores, after, targets, values.get('thresholds'))]))
    if args.plot:
        draw_reliability(dict(before=scores, after=after), targets, classes, args.plot)
        print(f'Drawn to {args.plot}.')
    print(f'Written to {args.out}. {len(scores)} images chose this: measure on others.')
