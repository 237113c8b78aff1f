"""Fit scaling and thresholds of a multi-label model's scores, and write them into a checkpoint.

The model runs on the validation data. A copy of the checkpoint then holds, with its weights, what
was fitted: a scaling of the logits, so that a score of 0.8 is right eight times of ten, and for
each class a threshold of the scaled score. Whatever loads the copy uses them: test, predict, web,
publish and export. Training state is left out of it: train on from the original. Of a joint model
all image heads are fitted, but for those of one label an image, whose scores are a softmax.

Examples:
    tresnet-mm calibrate multilabel_tresnet_m_224 best.pth -o calibrated.pth --plot calibrated.png
    tresnet-mm calibrate multilabel_tresnet_m_224 best.pth -o calibrated.pth --scores scores.npz
    tresnet-mm calibrate multilabel_tresnet_m_224 best.pth -o calibrated.pth --thresholds recall=0.8
    tresnet-mm calibrate multilabel_tresnet_m_224 best.pth -o calibrated.pth --scaling shared
    tresnet-mm calibrate my_joint.py best.pth -o calibrated.pth --head scene
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
from ..checks.weights import weights_of
from ..evaluation.dump_multilabel_scores import head_file
from ..evaluation.scaling import FEWEST
from ..visualization.reliability_diagram import draw_reliability
from . import launch
from .check import require_agreement
from .command_line import command, make_parser
from .fit_scores import check_rule, fit, report, table
from .image_heads import HEAD_HELP, find_head, heads_of, is_single, labelled_kinds, shown_name
from .saved_scores import has_scores, read_head_scores
from .test import log_once


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
    parser.add_argument('--head', metavar='NAME', help=f'{HEAD_HELP} (default: all that data have '
                        'labels of)')
    parser.add_argument('--plot', metavar='FILE', help='draw the reliability before and after; '
                        'of a named image head to NAME.HEAD.png')
    launch.add_common_arguments(parser)
    return parser.parse_args(argv)


def choose_heads(args: argparse.Namespace, cfg: Config) -> tuple[list[str | None], list[str]]:
    """The names of the heads to fit, None for the one without a name.

    Returns:
        With what is to be told of those that are left out.

    Raises:
        ValueError: If there is none, or the one that is asked for cannot be fitted.
    """
    heads = heads_of(cfg.model)
    if not heads:
        raise ValueError(f'{args.config} has no image-level head: there is nothing to calibrate')
    kinds = labelled_kinds(cfg, f'{args.data}_dataloader')
    wanted = list(heads) if args.head is None else [find_head(cfg.model, args.head)]
    left = {}
    for name in wanted:
        if is_single(heads[name]):
            left[name] = ('a SingleLabelHead, whose scores are a softmax: this calibrates scores '
                          'of each class by itself')
        elif args.scores and len(wanted) > 1 and not has_scores(args.scores, name):
            left[name] = f'no scores in {head_file(args.scores, name)}'
        elif not args.scores and name is not None and name not in kinds:
            left[name] = f'no image_labels of it in {args.data}_dataloader'
    chosen = [name for name in wanted if name not in left]
    told = [f'{shown_name(name, cfg.model)} is {why}' if why.startswith('a ') else
            f'{shown_name(name, cfg.model)} has {why}' for name, why in left.items()]
    if not chosen:
        raise ValueError(f'{args.config}: nothing to calibrate: {"; ".join(told)}')
    return chosen, [f'left out: {line}' for line in told]


def check_arguments(args: argparse.Namespace, cfg: Config, weights: Mapping[str, Tensor],
                    chosen: Sequence[str | None]) -> None:
    """See, before anything runs, that the fit can be written and will be used.

    Raises:
        ValueError: If not.
    """
    check_rule(args.thresholds)
    if args.fewest < 1:
        raise ValueError(f'--fewest should be at least 1, got {args.fewest}')
    if args.scaling == args.thresholds == 'none':
        raise ValueError('--scaling none --thresholds none: there is nothing to fit')
    if Path(args.out).suffix != '.pth':
        raise ValueError(f'-o should name a .pth file, got {args.out!r}')
    if Path(args.out).resolve() == Path(args.checkpoint).resolve():
        raise ValueError(f'-o {args.out} is the checkpoint itself, whose training state would be '
                         'lost: name another file')
    for name in chosen:
        if heads_of(cfg.model)[name].get('thresholds') is not None:
            raise ValueError(f'{shown_name(name, cfg.model)} of {args.config} has thresholds of '
                             'its own, which are for scores that are not calibrated and would be '
                             'taken before those of the checkpoint: leave them out of the config')
    if args.scores and any(key.startswith(place_of(name, weights))
                           for key in weights for name in chosen):
        raise ValueError(f'{args.checkpoint} is calibrated already, and so are its scores: run it '
                         'without --scores, or give the original checkpoint')


def run(args: argparse.Namespace, cfg: Config, chosen: Sequence[str | None]) -> Any:
    """Run the model, without calibration of the chosen heads, on the data.

    Returns:
        The scores of each head; None in all processes but the first.

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
    for name in chosen:
        heads_of(cfg.model)[name].calibrated = False  # type: ignore[attr-defined]
    launch.add_hook(cfg, dict(type='WholeWeightsHook'))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / 'scores.npz'
        cfg.test_evaluator = [dict(type='DumpMultiLabelScores', field=name,
                                   out_file=str(head_file(file, name))) for name in chosen]
        launch.set_up_processes(cfg, args.local_rank)
        runner = Runner.from_cfg(cfg) if 'runner_type' not in cfg else RUNNERS.build(cfg)
        log_once(runner)
        try:
            runner.test()
        except CheckpointMismatch as error:
            raise CheckpointMismatch(f'{args.checkpoint}: {error}') from error
        return {name: read_head_scores(file, name)
                for name in chosen} if is_main_process() else None


def place_of(name: str | None, weights: Mapping[str, Tensor]) -> str:
    """What the keys of a head's calibration start with in a state dict."""
    if name is not None:
        return f'image_heads.{name}.calibration.'
    prefix = 'image_' if any(key.startswith('image_head.') for key in weights) else ''
    return f'{prefix}{CALIBRATION}'


def calibrated(weights: Mapping[str, Tensor],
               fitted: Mapping[str | None, Mapping[str, np.ndarray]]) -> dict[str, Tensor]:
    """A state dict with what was fitted in its heads, in place of what they may have."""
    places = {name: place_of(name, weights) for name in fitted}
    result = OrderedDict((key, value) for key, value in weights.items()
                         if not key.startswith(tuple(places.values())))
    set_metadata(result, metadata_of(weights))  # which norm layer they are for
    for name, values in fitted.items():
        for key, value in values.items():
            result[f'{places[name]}{key}'] = torch.from_numpy(value)
    return result


@command('calibrate')
def main(argv: Sequence[str] | None = None) -> None:
    """Run, fit, write, and say what was gained."""
    args = parse_args(argv)
    cfg = launch.load_config(args)
    launch.check_checkpoint(args.checkpoint)
    checkpoint = load_from_tresnet_mm(args.checkpoint, 'cpu')
    weights = weights_of(checkpoint)
    chosen, left_out = choose_heads(args, cfg)
    check_arguments(args, cfg, weights, chosen)
    found = ({name: read_head_scores(args.scores, name) for name in chosen} if args.scores else
             run(args, cfg, chosen))
    if found is None or not is_main_process():
        return
    fitted, scaled, pages = {}, {}, left_out
    for name, saved in found.items():
        count, shown = heads_of(cfg.model)[name]['num_classes'], shown_name(name, cfg.model)
        if len(saved.classes) != count:
            raise ValueError(f'the scores of {shown} are of {len(saved.classes)} classes, the '
                             f'model has {count}')
        after, fitted[name], told = fit(saved.scores, saved.targets, saved.classes, args.scaling,
                                        args.thresholds, args.fewest)
        pages += [f'{shown}, {len(saved.scores)} images:'] * (len(found) > 1)
        pages += [*table(saved.classes, fitted[name]), *told,
                  report(saved.scores, after, saved.targets, fitted[name].get('thresholds'))]
        scaled[name] = after
    write_file(args.out, calibrated(weights, fitted), dict(checkpoint.get('meta') or {}))
    print(*pages, sep='\n')
    for name, after in scaled.items() if args.plot else ():
        file, saved = str(head_file(args.plot, name)), found[name]
        draw_reliability(dict(before=saved.scores, after=after), saved.targets, saved.classes, file)
        print(f'Drawn to {file}.')
    print(f'Written to {args.out}. {max(len(saved.scores) for saved in found.values())} images '
          'chose this: measure on others.')
