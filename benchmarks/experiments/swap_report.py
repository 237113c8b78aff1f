"""Table: which models of mmdet work with ResNet on this stack, and with its ResNet swapped.

Takes one config of each of mmdet's config folders that has a ResNet, and on the CPU builds the
model, computes its losses with backward, and predicts. Each model runs in a process of its own.

Examples:
    python -m benchmarks.experiments.swap_report --only atss fcos detr
    python -m benchmarks.experiments.swap_report --archs m l v2_l --out docs/swap_report.md
"""
from __future__ import annotations

import argparse
import json
import multiprocessing
import re
import sys
import warnings
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import torch
from mmdet.registry import MODELS
from mmdet.testing import demo_mm_inputs
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from mmengine.utils import get_installed_path

from tresnet_mm import swap_backbone
from tresnet_mm.backbone_swap import plan_swap
from tresnet_mm.config_tree import parts

from ..markdown_table import markdown_table

CONFIGS = Path(get_installed_path('mmdet')) / '.mim' / 'configs'
STEPS = ('build', 'loss', 'predict')
IMAGE = 128
#: These split their smallest feature map further than 128 pixels allow.
LARGER_IMAGE = {'ddod': 320, 'dino': 320}
TIMEOUT_S = 600
INTRODUCTION = """\
# mmdet's models with TResNet

One config of each of mmdet's config folders that has a ResNet, with that ResNet and swapped:
whether the model is built, computes its losses with backward, and predicts, on the CPU with random
images and weights. Made by

<!-- needs: minutes -->
```sh
python -m benchmarks.experiments.swap_report --archs {archs} --out docs/swap_report.md
```
"""


def representatives(only: Collection[str] | None = None) -> Iterator[tuple[str, Path]]:
    """One config of every folder with a ResNet; ResNet-50 preferred, and no need of proposals."""
    for folder in sorted(p for p in CONFIGS.iterdir() if p.is_dir() and p.name != '_base_'):
        if only and folder.name not in only:
            continue
        for path in sorted(folder.glob('*.py'), key=lambda p: (
                'r50' not in p.name, 'fast-rcnn' in p.name, len(p.name))):
            try:
                plan_swap(Config.fromfile(path))
            except Exception:  # no ResNet, or a config that does not load: not a row of the table
                continue
            yield folder.name, path
            break


def without_downloads(cfg: Config) -> Config:
    """Remove every ``init_cfg`` that would load a file: the report is about code, not weights."""
    for _, node in parts(cfg._cfg_dict):
        init = node.get('init_cfg')
        if isinstance(init, dict) and init.get('type') == 'Pretrained':
            node['init_cfg'] = None
    return cfg


def accept_all_scores(cfg: Config) -> Config:
    """Set score thresholds to 0, so that an untrained model predicts boxes at all."""
    for _, node in parts(cfg._cfg_dict):
        for key in {'score_thr', 'mask_thr'} & set(node):
            if isinstance(node[key], float):
                node[key] = 0.0
    return cfg


def check(path: Path, arch: str | None) -> dict[str, str]:
    """Run the steps on one config; 'ok' or the error for each step that was reached."""
    cfg = Config.fromfile(path)
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    if arch is not None:
        cfg = swap_backbone(cfg, arch)
    accept_all_scores(without_downloads(cfg))
    hub = MessageHub.get_current_instance()
    hub.update_info('iter', 0)
    hub.update_info('epoch', 0)
    size = LARGER_IMAGE.get(path.parent.name, IMAGE)
    inputs = demo_mm_inputs(
        2, [[3, size, size]] * 2, num_classes=80, with_mask=True, with_semantic=True)
    state = {}

    def build() -> None:
        torch.manual_seed(0)
        state['model'] = revert_sync_batchnorm(MODELS.build(cfg.model))

    def loss() -> None:
        model = state['model'].train()
        losses = model(**model.data_preprocessor(inputs, True), mode='loss')
        total, _ = model.parse_losses(losses)
        total.backward()

    def predict() -> None:
        model = state['model']
        model.eval()
        with torch.no_grad():
            model(**model.data_preprocessor(inputs, False), mode='predict')

    results = {}
    for name, step in zip(STEPS, (build, loss, predict), strict=True):
        results[name] = _outcome(step)
        if name == 'build' and results[name] != 'ok':
            break
    return results


def _outcome(step: Callable[[], None]) -> str:
    try:
        step()
    except Exception as error:  # whatever the model raises is the table's entry
        return f'{type(error).__name__}: {first_line(str(error))}'
    return 'ok'


def first_line(message: str) -> str:
    """The start of an error message; files and addresses by their names alone."""
    line = (message.splitlines() or [''])[0]
    line = re.sub(r' at "/.*', '', line)  # where in PyTorch's or mmcv's source it was raised
    return re.sub(r'(?:https?:/)?/[^\s\'"]+/', '', line)[:120]


def check_in_process(path: Path, arch: str | None) -> dict[str, str]:
    """`check` in a process of its own, so that a crash is one row's and memory is given back."""
    context = multiprocessing.get_context('fork')  # with all that is imported by now
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=lambda: sender.send(check(path, arch)))
    process.start()
    sender.close()
    try:
        if not receiver.poll(TIMEOUT_S):
            return {'build': f'no result in {TIMEOUT_S} s'}
        return receiver.recv()
    except EOFError:
        process.join()
        return {'build': f'the process ended with exit code {process.exitcode}'}
    finally:
        process.kill()
        process.join()


def markdown(rows: list[dict], archs: list[str]) -> str:
    """The page: the table, with what failed and why below it."""
    names = ['ResNet', *archs]
    table = []
    failures: dict[tuple[str, str, str], list[str]] = {}
    for row in rows:
        cells = {}
        for name in names:
            results = row['results'][name]
            cells[name] = ' '.join(s for s in STEPS if results.get(s) == 'ok') or 'nothing'
            for step, text in results.items():
                if text != 'ok':
                    failures.setdefault((row['config'], step, text), []).append(name)
        table.append(dict(config=row['config'], **cells))
    table.append(dict(config=f'of {len(rows)}: {" / ".join(STEPS)}', **{
        name: ' / '.join(str(sum(row['results'][name].get(step) == 'ok' for row in rows))
                         for step in STEPS) for name in names}))
    reasons = [f'- {config}, {step} ({", ".join(who)}): {text}'
               for (config, step, text), who in failures.items()]
    return '\n'.join([INTRODUCTION.format(archs=' '.join(archs)), markdown_table(table), '',
                      '## What did not work', '', *reasons, ''])


def regressions(rows: list[dict], archs: list[str]) -> list[str]:
    """Steps that work with ResNet and not swapped."""
    return [f'{row["config"]} {arch} {step}: {row["results"][arch].get(step, "not reached")}'
            for row in rows for arch in archs for step in STEPS
            if row['results']['ResNet'].get(step) == 'ok'
            and row['results'][arch].get(step) != 'ok']


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--archs', nargs='+', default=['m'], help='TResNet archs to swap in')
    parser.add_argument('--only', nargs='+', metavar='FOLDER', help='only these config folders')
    parser.add_argument('--out', type=Path, help='markdown file to write; a .json lies beside it')
    return parser.parse_args()


def main() -> None:
    """Make the table; exit status 1 where something works with ResNet only."""
    args = parse_args()
    warnings.simplefilter('ignore')
    rows = []
    for folder, path in representatives(args.only):
        results = {name: check_in_process(path, arch)
                   for name, arch in [('ResNet', None), *((a, a) for a in args.archs)]}
        rows.append(dict(config=f'{folder}/{path.name}', results=results))
        print(rows[-1]['config'], results, flush=True)
    text = markdown(rows, args.archs)
    print(text)
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(text)
        args.out.with_suffix('.json').write_text(json.dumps(rows, indent=1))
    if lost := regressions(rows, args.archs):
        sys.exit('worked with ResNet and not swapped:\n' + '\n'.join(lost))


if __name__ == '__main__':
    main()
