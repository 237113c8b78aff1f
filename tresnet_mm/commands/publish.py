"""Publish a trained model: weights that any tool loads and that say what they are, and a card.

What goes into the file: the weights that the tools evaluate (of a run with EMAHook the averaged
ones), the model's config, the test pipeline, class names, thresholds and measurements. Optimizer,
schedules and logs stay out. The file's name ends with the start of its SHA-256.

Examples:
    tresnet-mm publish work_dirs/fcos_tresnet_m/best_coco_bbox_mAP_epoch_12.pth out/
    tresnet-mm publish epoch_40.pth out/ --thresholds thresholds.json --metrics test/20260101.json
    tresnet-mm publish epoch_40.pth out/ --thresholds thresholds.json --thresholds scene=scene.json
    tresnet-mm publish hf://USER/REPO out/net.safetensors --config multilabel_tresnet_m_224
"""
from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from mmengine.registry import MODELS, DefaultScope
from torch import Tensor

from .. import __version__
from ..checkpoint import Published, load_from_tresnet_mm, read_published
from ..checkpoint.config_text import parse_config
from ..checkpoint.model_card import model_card
from ..checkpoint.publishing import describe, safe_stem, write_published
from ..checks.weights import compare_weights, weights_of
from ..config_files import read_config
from ..config_tree import named_heads, type_name
from . import launch
from .command_line import command, errors_in_one_line, make_parser
from .published_heads import (
    all_thresholds,
    dataset_meta_of,
    datasets_of,
    mapping_in,
    of_head,
    read_option,
    require_heads,
)

#: What mmengine logs beside measurements.
_TIMES = ('time', 'data_time')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = make_parser('publish', __doc__)
    parser.add_argument('checkpoint', help='checkpoint: path, URL, tresnet:// or hf:// name')
    parser.add_argument('out', help='folder, or file NAME.safetensors, which becomes '
                        'NAME-HASH.safetensors; README.md is written beside it')
    parser.add_argument('--config', help=f"{launch.CONFIG_HELP} (default: the checkpoint's own)")
    parser.add_argument('--classes', metavar='[HEAD=]FILE', action='append', type=of_head,
                        help='class names, one a line, where neither checkpoint nor config has '
                        'them; of the image head HEAD, if one is named')
    parser.add_argument('--thresholds', metavar='[HEAD=]FILE', action='append', type=of_head,
                        help='thresholds of the classes, as tresnet-mm thresholds writes them '
                        "(default: the config's head's, or the checkpoint's)")
    parser.add_argument('--metrics', metavar='FILE', help='what was measured: the .json that '
                        'tresnet-mm test writes into its work folder (default: the score of '
                        'a best_*.pth checkpoint)')
    parser.add_argument('--dataset', metavar='NAME', help='what the card calls the data that it '
                        "was measured on (default: the config's class)")
    parser.add_argument('--license', metavar='ID', help='for the card, as the hub names them: '
                        'apache-2.0')
    parser.add_argument('--force', action='store_true', help='overwrite existing files')
    args = parser.parse_args(argv)
    args.classes, args.thresholds = dict(args.classes or ()), dict(args.thresholds or ())
    return args


def config_of(args: argparse.Namespace, meta: Mapping[str, Any],
              published: Published | None) -> Mapping[str, Any]:
    """The config of ``--config``, or of the checkpoint, which is read as data and not run.

    Raises:
        FileNotFoundError: If there is no such config.
        ValueError: If it cannot be read, or there is none.
    """
    if args.config is not None:
        return read_config(args.config).to_dict()
    if published is not None:
        return dict(model=published.model,
                    test_dataloader=dict(dataset=dict(pipeline=published.test_pipeline)))
    if not isinstance(meta.get('cfg'), str):
        raise ValueError(f'{args.checkpoint} holds no config: give --config')
    try:
        return parse_config(meta['cfg'])
    except ValueError as error:
        raise ValueError(f'{args.checkpoint}: {error}: give --config') from error


def metrics_of(args: argparse.Namespace, checkpoint: Mapping[str, Any],
               published: Published | None) -> dict[str, float]:
    """What was measured on these weights: of ``--metrics``, or what a best checkpoint records.

    An ordinary epoch's checkpoint is written before its validation: what its log holds are the
    measurements of an epoch before, so they are not taken.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds no measurements.
    """
    if args.metrics is not None:
        try:
            content = json.loads(read_option(args.metrics, '--metrics'))
        except ValueError as error:
            raise ValueError(f'--metrics {args.metrics} is no JSON: {error}') from error
        found = _numbers(content)
        if not found:
            raise ValueError(f'--metrics {args.metrics} should hold a JSON object of numbers')
        return found
    if published is not None:
        return published.metrics
    meta = mapping_in(checkpoint, 'meta')
    best = mapping_in(meta, 'best')  # of BestWeightsHook
    if best:
        return _numbers({str(best.get('metric')): best.get('score')})
    return _logged(args.checkpoint, checkpoint)


def _logged(source: str, checkpoint: Mapping[str, Any]) -> dict[str, float]:
    """What mmengine's ``save_best`` logged with this checkpoint; nothing of any other."""
    hub = mapping_in(checkpoint, 'message_hub')
    info = mapping_in(hub, 'runtime_info')
    names = {Path(str(value)).name for key, value in info.items()
             if str(key).startswith('best_ckpt')}
    if Path(source).name not in names:
        return {}
    logged = {str(name).removeprefix('val/'): history.current() for name, history in
              mapping_in(hub, 'log_scalars').items()
              if str(name).startswith('val/') and len(history.data[0])}
    found = _numbers(logged)
    if 'ema_state_dict' not in checkpoint:
        return found
    # Beside EMAHook the averaged weights are the file's; PlainAndEMAEvalHook logs both kinds.
    averaged = {name.replace('ema_', '', 1): value for name, value in found.items()
                if name.rpartition('/')[2].startswith('ema_')}
    return averaged or found


def weights_for(published: Published, checkpoint: Mapping[str, Any]) -> Mapping[str, Tensor]:
    """The state dict of the model that is published, with all of its weights from the checkpoint.

    Raises:
        ValueError: If the checkpoint does not fit the model.
    """
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(deepcopy(published.model))
    report = compare_weights(model, weights_of(checkpoint))
    if report.incomplete or report.unexpected:
        raise ValueError(f'the checkpoint does not fit the model of the config: '
                         f'{report.incomplete or report.left_out}')
    state_dict = model.state_dict()
    wrong = [name for name, value in state_dict.items() if not value.isfinite().all()]
    if wrong:
        raise ValueError(f'{len(wrong)} parameters are not finite, such as {wrong[0]}')
    return state_dict


def write(out: str, stem: str, force: bool, published: Published,
          state_dict: Mapping[str, Tensor], **card: Any) -> Path:
    """Write file and card, each whole or not at all.

    Args:
        out: Folder, or file whose name gets the hash.
        stem: Start of the name in a folder.
        force: Whether existing files are overwritten.
        published: What the file says.
        state_dict: Its weights.
        card: Further arguments of `model_card`.

    Returns:
        The file.

    Raises:
        FileExistsError: If there is one already.
    """
    folder = Path(out).expanduser()
    if folder.suffix == '.safetensors':
        folder, stem = folder.parent, safe_stem(folder.name)
    elif folder.is_file():
        raise ValueError(f'{out} is a file, and no .safetensors one')
    readme = folder / 'README.md'
    _refuse(readme, force)
    folder.mkdir(parents=True, exist_ok=True)
    part, card_part = (folder / f'.{stem}.{os.getpid()}.part{suffix}'
                       for suffix in ('.safetensors', '.md'))
    try:
        sha256 = write_published(part, published, state_dict)
        file = folder / f'{stem}-{sha256[:8]}.safetensors'
        _refuse(file, force)
        if read_published(part) != published:
            raise ValueError(f'{part} was not read back as it was written')
        with card_part.open('w', encoding='utf-8') as text:
            text.write(model_card(published, file.name, sha256, **card))
            text.flush()
            os.fsync(text.fileno())
        os.replace(part, file)
        os.replace(card_part, readme)
    finally:
        part.unlink(missing_ok=True)
        card_part.unlink(missing_ok=True)
    return file


@command('publish')
def main(argv: Sequence[str] | None = None) -> None:
    """Read, check, write, and say what was written."""
    args = parse_args(argv)
    with errors_in_one_line('publish', OSError, TypeError, ValueError):
        local = '://' not in args.checkpoint
        before = read_published(args.checkpoint) if local and args.config is None else None
        checkpoint = load_from_tresnet_mm(args.checkpoint, 'cpu')
        meta = mapping_in(checkpoint, 'meta')
        cfg = config_of(args, meta, before)
        require_heads(args, cfg)
        dataset_meta = dataset_meta_of(args, cfg, meta)
        thresholds, named = all_thresholds(args, cfg, dataset_meta, before, checkpoint)
        published = describe(cfg, dataset_meta, thresholds,
                             metrics_of(args, checkpoint, before), __version__, named)
        state_dict = weights_for(published, checkpoint)
        datasets = [type_name(dataset.get('type')) for dataset in datasets_of(cfg)]
        file = write(
            args.out, safe_stem(args.checkpoint), args.force, published, state_dict,
            parameters=sum(value.numel() for value in state_dict.values()),
            dataset=args.dataset or (datasets or ['unknown'])[0] or 'unknown',
            license_id=args.license)
    averaged = ' (the averaged ones)' if 'ema_state_dict' in checkpoint else ''
    print(f'{file}: {len(state_dict)} tensors{averaged}, {published.task}, '
          f'{len(published.dataset_meta["classes"])} classes, '
          f'{"with" if published.thresholds else "no"} thresholds, '
          f'{"".join(f"image head {name!r}, " for name in named_heads(published.model))}'
          f'{len(published.metrics)} measurements\n{file.parent / "README.md"}: the card')


def _numbers(content: Any) -> dict[str, float]:
    """The finite numbers of a dict by their names, without times."""
    items = content.items() if isinstance(content, Mapping) else ()
    return {str(name): float(value) for name, value in items
            if type(value) in (int, float) or getattr(value, 'shape', None) == ()
            if name not in _TIMES and math.isfinite(value)}


def _refuse(path: Path, force: bool) -> None:
    if path.exists() and not force:
        raise FileExistsError(f'{path} exists: give --force to overwrite it')
