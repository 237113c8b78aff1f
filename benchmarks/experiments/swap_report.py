"""Table: which models of an mm library work with ResNet on this stack, and with it swapped.

Takes one config of each of the library's config folders that has a ResNet, and on the CPU builds
the model, computes its losses with backward, and predicts. Each model runs in a process of its own.

Examples:
    python -m benchmarks.experiments.swap_report --only atss fcos detr
    python -m benchmarks.experiments.swap_report --archs m l v2_l --out docs/swap_report.md
    python -m benchmarks.experiments.swap_report --library mmseg --out docs/swap_mmseg.md
"""
from __future__ import annotations

import argparse
import importlib
import json
import multiprocessing
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, init_default_scope
from mmengine.utils import get_installed_path

from tresnet_mm import swap_backbone
from tresnet_mm.backbone_swap import plan_swap
from tresnet_mm.config_tree import parts

from ..markdown_table import markdown_table
from .swap_inputs import IMAGE, INPUTS, LARGER_IMAGE, import_library

STEPS = ('build', 'loss', 'predict')
TIMEOUT_S = 600
NO_CPU_OPERATOR = 'implementation for device cpu not found'  # mmcv's words
INTRODUCTION = """\
# {library}'s models with TResNet

One config of each of {folders} that has a ResNet, with that ResNet and swapped:
whether the model is built, computes its losses with backward, and predicts, on the CPU with random
images and weights. Made by

<!-- needs: minutes -->
```sh
python -m benchmarks.experiments.swap_report{option} --archs {archs} --out docs/{page}
```

with {versions}.
"""


def representatives(only: Collection[str] | None = None,
                    library: str = 'mmdet') -> Iterator[tuple[str, Path]]:
    """One config of every folder with a ResNet; ResNet-50 preferred, and no need of proposals."""
    configs = Path(get_installed_path(library)) / '.mim' / 'configs'
    for folder in sorted(p for p in configs.iterdir() if p.is_dir() and p.name != '_base_'):
        if only and folder.name not in only:
            continue
        for path in sorted(folder.glob('*.py'), key=lambda p: (
                not re.search('r50|resnet50', p.name), 'fast-rcnn' in p.name, len(p.name))):
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
    """Set score thresholds to 0, so that an untrained model predicts boxes at all, if few.

    Of thousands of boxes mmcv's rotated NMS takes a quarter of a minute on the CPU.
    """
    for _, node in parts(cfg._cfg_dict):
        if isinstance(node.get('nms_pre'), int):
            node['nms_pre'] = min(node['nms_pre'], 100)
        for key in {'score_thr', 'mask_thr'} & set(node):
            if isinstance(node[key], float):
                node[key] = 0.0
    return cfg


def check(path: Path, arch: str | None, library: str = 'mmdet') -> dict[str, str]:
    """Run the steps on one config; 'ok' or the error for each step that was reached."""
    import_library(library)
    cfg = Config.fromfile(path)
    init_default_scope(cfg.get('default_scope', library))
    if arch is not None:
        cfg = swap_backbone(cfg, arch)
    if 'data_preprocessor' in cfg:  # as mmengine's runner does
        cfg.model.setdefault('data_preprocessor', cfg.data_preprocessor)
    accept_all_scores(without_downloads(cfg))
    hub = MessageHub.get_current_instance()
    hub.update_info('iter', 0)
    hub.update_info('epoch', 0)
    size = LARGER_IMAGE.get(path.parent.name, IMAGE)
    inputs = INPUTS[library](cfg, size)
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
        return _error_text(error)
    return 'ok'


def _error_text(error: Exception) -> str:
    """The error's name and message; of one without a message, the line that raised it."""
    message = str(error) or traceback.extract_tb(error.__traceback__)[-1].line or ''
    return f'{type(error).__name__}: {first_line(message)}'


def first_line(message: str) -> str:
    """The start of an error message; files and addresses by their names alone."""
    line = (message.splitlines() or [''])[0]
    line = re.sub(r' at "/.*', '', line)  # where in PyTorch's or mmcv's source it was raised
    return re.sub(r'(?:https?:/)?/[^\s\'"]+/', '', line)[:120]


def check_in_process(path: Path, arch: str | None, library: str) -> dict[str, str]:
    """`check` in a process of its own, so that a crash is one row's and memory is given back."""
    context = multiprocessing.get_context('fork')  # with all that is imported by now
    receiver, sender = context.Pipe(duplex=False)

    def answer() -> None:
        try:
            sender.send(check(path, arch, library))
        except Exception as error:  # before the first step
            sender.send({'prepare': _error_text(error)})

    process = context.Process(target=answer)
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


def markdown(rows: list[dict], archs: list[str], library: str = 'mmdet',
             only: Collection[str] | None = None) -> str:
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
    if any(NO_CPU_OPERATOR in reason for reason in reasons):
        reasons += ['', f'"{NO_CPU_OPERATOR}" says that mmcv has this operator for GPUs alone.']
    return '\n'.join([introduction(archs, library, only), markdown_table(table), '',
                      '## What did not work', '', *(reasons or ['Nothing.']), ''])


def introduction(archs: list[str], library: str, only: Collection[str] | None) -> str:
    """What the page says above the table."""
    packages = dict.fromkeys(['torch', 'mmengine', 'mmcv', 'mmdet', library])
    versions = ', '.join(f'{name} {importlib.import_module(name).__version__}'
                         for name in packages)
    option = '' if library == 'mmdet' else f' --library {library}'
    folders = f"{library}'s config folders"
    if only:
        option += f' --only {" ".join(only)}'
        folders = f'these of {folders}'
    page = 'swap_report.md' if library == 'mmdet' else f'swap_{library}.md'
    return INTRODUCTION.format(library=library, folders=folders, archs=' '.join(archs),
                               option=option, page=page, versions=versions)


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
    parser.add_argument('--library', default='mmdet', choices=INPUTS)
    parser.add_argument('--archs', nargs='+', default=['m'], help='TResNet archs to swap in')
    parser.add_argument('--only', nargs='+', metavar='FOLDER', help='only these config folders')
    parser.add_argument('--out', type=Path, help='markdown file to write; a .json lies beside it')
    return parser.parse_args()


def main() -> None:
    """Make the table; exit status 1 where something works with ResNet only."""
    args = parse_args()
    warnings.simplefilter('ignore')
    import_library(args.library)  # here, so that no model's process has to
    rows = []
    for folder, path in representatives(args.only, args.library):
        results = {name: check_in_process(path, arch, args.library)
                   for name, arch in [('ResNet', None), *((a, a) for a in args.archs)]}
        rows.append(dict(config=f'{folder}/{path.name}', results=results))
        print(rows[-1]['config'], results, flush=True)
    text = markdown(rows, args.archs, args.library, args.only)
    print(text)
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(text)
        args.out.with_suffix('.json').write_text(json.dumps(rows, indent=1))
    if lost := regressions(rows, args.archs):
        sys.exit('worked with ResNet and not swapped:\n' + '\n'.join(lost))


if __name__ == '__main__':
    main()
