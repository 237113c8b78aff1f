"""Evaluate a checkpoint, with the options that mmdet's tool has and a few more.

Examples:
    tresnet-mm test fcos_tresnet_m CHECKPOINT
    python tools/test.py configs/fcos_tresnet_m.py CHECKPOINT --tta --classwise --out coco.json
    python tools/test.py configs/fcos_tresnet_m.py MODEL.onnx --backend onnxruntime
    bash tools/dist_test.sh configs/fcos_tresnet_m.py CHECKPOINT 8 --out predictions.pkl
"""
from __future__ import annotations

import argparse
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.dist import is_main_process
from mmengine.hooks import LoggerHook
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from ..checkpoint import CheckpointMismatch
from ..config_tree import type_name
from ..deploy import with_onnx_model
from ..engine import WorkerHook
from ..evaluation.dump_multilabel_scores import head_file
from . import launch
from .check import require_agreement
from .command_line import command, make_parser
from .image_heads import heads_of, labelled_kinds
from .run_errors import explained

COCO_METRICS = ('CocoMetric', 'FasterCocoMetric')
# models of image labels, and the visualizers that would leave them out
LABELLERS = ('MultiLabelClassifier', 'MultiTaskDetector')
BLIND_TO_LABELS = ('', 'Visualizer', 'DetLocalVisualizer')
# last transform of a test pipeline -> what merges the views of an image
TTA_MODELS = {
    'PackDetInputs': dict(type='DetTTAModel', tta_cfg=dict(
        nms=dict(type='nms', iou_threshold=0.5), max_per_img=100)),
    'PackMultiLabelInputs': dict(type='MultiLabelTTAModel'),
    'PackSingleLabelInputs': dict(type='MultiLabelTTAModel')}
# suffix of --out -> mmdet's metric that writes such a file beside the config's own
DUMPERS = {'.pkl': 'DumpDetResults', '.pickle': 'DumpDetResults'}


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = make_parser('test', __doc__)
    parser.add_argument('config', help=launch.CONFIG_HELP)
    parser.add_argument('checkpoint', help='checkpoint file or URL')
    parser.add_argument('--backend', choices=['pytorch', 'onnxruntime'], default='pytorch',
                        help='onnxruntime: CHECKPOINT is a file of tresnet-mm export')
    parser.add_argument('--out', action='append', default=[], metavar='FILE',
                        help='write the predictions, by suffix: .pkl (data samples), .json (the '
                        'COCO result format: NAME.json becomes NAME.bbox.json, NAME.segm.json), '
                        '.npz (scores and targets of image labels; of a named image head '
                        'NAME.HEAD.npz); several are allowed')
    parser.add_argument('--classwise', action='store_true', help='AP of each class (COCO metrics)')
    parser.add_argument('--tta', action='store_true', help='test-time augmentation')
    parser.add_argument('--show', action='store_true', help='show the predictions in a window')
    parser.add_argument('--show-dir', metavar='NAME',
                        help='draw the predictions into WORK_DIR/TIMESTAMP/NAME')
    parser.add_argument('--wait-time', type=float, default=2,
                        help='seconds that --show waits (default: %(default)s)')
    launch.add_common_arguments(parser)
    return parser.parse_args(argv)


def set_out(cfg: Config, path: str) -> None:
    """Have the predictions written to a file, in the form that its suffix names."""
    suffix = Path(path).suffix
    if suffix == '.json':
        for metric in coco_metrics(cfg, '--out with .json'):
            metric['outfile_prefix'] = path[:-len('.json')].removesuffix('.bbox')
    elif suffix == '.npz':
        cfg.test_evaluator = [*evaluators(cfg), *score_dumpers(cfg, path)]
    elif suffix in DUMPERS:
        cfg.test_evaluator = [*evaluators(cfg),
                              dict(type=DUMPERS[suffix], out_file_path=path)]
    else:
        raise ValueError(
            f'--out {path}: the suffix should be one of .json, .npz, {", ".join(DUMPERS)}')


def score_dumpers(cfg: Config, path: str) -> list[dict[str, Any]]:
    """A metric for each image-level head that the data have labels of, to write its scores.

    Raises:
        ValueError: If the model has named image heads alone, and the data labels of none of them.
    """
    model = cfg.model.get('module', cfg.model)  # of --tta
    kinds = labelled_kinds(cfg, 'test_dataloader')
    heads = list(heads_of(model))
    chosen = [name for name in heads if name is None or name in kinds]
    if heads and not chosen:
        raise ValueError(f'--out {path}: test_dataloader has no image_labels of '
                         f'{", ".join(map(str, heads))}')
    return [dict(type='DumpMultiLabelScores', out_file=str(head_file(path, name)),
                 **({} if name is None else dict(field=name))) for name in chosen or [None]]


def evaluators(cfg: Config) -> list[dict[str, Any]]:
    """The metrics' configs of the test evaluator, be it one, a list or an ``Evaluator``."""
    evaluator = cfg.test_evaluator
    if isinstance(evaluator, dict) and 'metrics' in evaluator:
        evaluator = evaluator['metrics']
    return list(evaluator) if isinstance(evaluator, (list, tuple)) else [evaluator]


def coco_metrics(cfg: Config, option: str) -> list[dict[str, Any]]:
    """The COCO metrics of the test evaluator; ValueError if there is none."""
    found = [metric for metric in evaluators(cfg)
             if type_name(metric['type']) in COCO_METRICS]
    if not found:
        raise ValueError(f'{option} needs one of {", ".join(COCO_METRICS)} in test_evaluator')
    return found


def set_classwise(cfg: Config) -> None:
    """Have AP computed and logged for every class."""
    for metric in coco_metrics(cfg, '--classwise'):
        metric['classwise'] = True


def set_visualization(cfg: Config, args: argparse.Namespace) -> None:
    """Turn on the visualization hook, and have image labels drawn where the model gives them."""
    hook = cfg.get('default_hooks', {}).get('visualization')
    if hook is None:
        raise ValueError('--show and --show-dir need default_hooks.visualization in the config')
    visualizer = cfg.get('visualizer') or dict(name='visualizer')
    if type_name(cfg.model.get('type')) in LABELLERS and type_name(
            visualizer.get('type')) in BLIND_TO_LABELS:
        cfg.visualizer = dict(visualizer, type='MultiLabelVisualizer')
    hook['draw'] = True
    if args.show:
        hook.update(show=True, wait_time=args.wait_time)
    if args.show_dir:
        hook['test_out_dir'] = args.show_dir


def set_tta(cfg: Config) -> None:
    """Wrap the model and its pipeline for test-time augmentation.

    The config's ``tta_model`` and ``tta_pipeline`` are taken. Without them there are two views, the
    image and its mirror image, whose boxes are merged by NMS, whose probabilities of labels are
    averaged.
    """
    if 'mask_head' in cfg.model.get('roi_head', {}) or 'mask_head' in cfg.model:
        raise ValueError('--tta merges boxes, not masks, and this model predicts masks')
    *steps, pack = cfg.test_dataloader.dataset.pipeline
    packer = type_name(pack['type'])
    if packer not in TTA_MODELS and not {'tta_model', 'tta_pipeline'} <= cfg.keys():
        raise ValueError(f'--tta needs tta_model and tta_pipeline in {cfg.filename}')
    if 'tta_pipeline' not in cfg:
        if packer == 'PackDetInputs':
            pack = dict(type='PackDetInputs', meta_keys=(
                'img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip',
                'flip_direction'))
        mirror = dict(type='TestTimeAug', transforms=[
            [dict(type='RandomFlip', prob=1.0), dict(type='RandomFlip', prob=0.0)], [pack]])
        cfg.tta_pipeline = deepcopy([*steps, mirror])
    if 'tta_model' not in cfg:
        cfg.tta_model = deepcopy(TTA_MODELS[packer])
    cfg.model = ConfigDict(**cfg.tta_model, module=cfg.model)
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline


def build_config(args: argparse.Namespace, check: bool = False) -> Config:
    """The config that the command line describes, with the files that it names checked.

    Args:
        args: The command line.
        check: Whether to hold config, data and checkpoint against each other; where they do not
            agree, the process ends.

    Raises:
        FileNotFoundError: If the config, the checkpoint or an annotation file does not exist.
        ValueError: If an option does not fit the config.
    """
    cfg = launch.load_config(args)
    launch.check_checkpoint(args.checkpoint)
    cfg.load_from = args.checkpoint
    written = deepcopy(cfg)  # without the wrapper of --tta
    if not check:
        launch.check_annotation_files(cfg, 'test_dataloader')
    if args.classwise:
        set_classwise(cfg)
    if args.show or args.show_dir:
        set_visualization(cfg, args)
    if args.tta:
        set_tta(cfg)
    if args.backend == 'onnxruntime':
        cfg = with_onnx_model(cfg, args.checkpoint)
    for path in args.out:
        set_out(cfg, path)
    if args.backend == 'pytorch':
        launch.add_hook(cfg, dict(type='WholeWeightsHook'))
    launch.add_host_watch(cfg)
    if check:
        require_agreement('test', written, args.checkpoint)
    return cfg


def log_once(runner: Runner) -> None:
    """Leave the file of metrics to the first process.

    mmengine's hook has every process write it, all to one path; two that write at the same time
    can leave a file that is no JSON.
    """
    if not is_main_process():
        runner.hooks[:] = [hook for hook in runner.hooks if not isinstance(hook, LoggerHook)]


@command('test')
def main(argv: Sequence[str] | None = None) -> None:
    """Build the runner and test."""
    args = parse_args(argv)
    cfg = build_config(args, check=not args.no_check)
    for path in args.out:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    launch.set_up_processes(cfg, args.local_rank)
    runner = Runner.from_cfg(cfg) if 'runner_type' not in cfg else RUNNERS.build(cfg)
    log_once(runner)
    runner.register_hook(WorkerHook())
    try:
        with explained(runner):
            runner.test()
    except CheckpointMismatch as error:
        raise CheckpointMismatch(f'{args.checkpoint}: {error}') from error
