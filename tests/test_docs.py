"""The pages: their blocks can be followed, and what they name and link to is there."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope

from tests.doc_blocks import NEEDS, RUN, SHOWN, read_blocks, script, without_blocks
from tests.doc_given import give
from tresnet_mm.checks.model_facts import build_model
from tresnet_mm.commands import COMMANDS
from tresnet_mm.commands.swap import child_config
from tresnet_mm.config_tree import parts

ROOT = Path(__file__).resolve().parent.parent
DOCS = sorted((ROOT / 'docs').rglob('*.md'))
PAGES = {path.relative_to(ROOT).as_posix(): path
         for path in (ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *DOCS)}
BLOCKS = {name: read_blocks(path) for name, path in PAGES.items()}
CONFIGS = [block for blocks in BLOCKS.values() for block in blocks
           if block.file and block.language == 'python']


@pytest.mark.parametrize('page', PAGES)
def test_every_block_is_run_or_says_why_not(page):
    wrong = []
    for block in BLOCKS[page]:
        if block.language not in RUN + SHOWN:
            wrong.append(f'{block.where}: language {block.language!r} is none of {RUN + SHOWN}')
        wrong += [f'{block.where}: {need!r} is not in doc_blocks.NEEDS' for need in block.needs
                  if need not in NEEDS]
    indented = re.findall(r'\n\n((?: {4}|\t)\S[^\n]*)', without_blocks(PAGES[page].read_text()))
    wrong += [f'{page}: fence this block and name its language: {line}' for line in indented]
    assert wrong == []


@pytest.mark.slow
@pytest.mark.parametrize('page', [
    page for page, blocks in BLOCKS.items() if any(block.is_run for block in blocks)])
def test_the_page_can_be_followed(page, tmp_path):
    blocks = BLOCKS[page]
    for thing in {thing for block in blocks if not block.needs for thing in block.given}:
        give(thing, tmp_path)
    for name in ('configs', 'tools', 'benchmarks', 'tests'):
        (tmp_path / name).symlink_to(ROOT / name)
    environment = {name: value for name, value in os.environ.items()
                   if not name.endswith('_ROOT')}
    environment.update(
        PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ['PATH']]),
        PYTHONPATH=str(ROOT), HF_HUB_OFFLINE='1')
    done = subprocess.run(['bash', '-c', script(blocks)], cwd=tmp_path, env=environment,
                          capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert done.returncode == 0, f'{said.split("== ")[-1][:200]}\n...\n{said[-3000:]}'


@pytest.mark.parametrize('block', [
    pytest.param(block, id=f'{block.where} {block.file}') for block in CONFIGS])
def test_a_config_makes_a_model(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for thing in block.given:
        give(thing, tmp_path)
    Path(block.file).write_text(block.text)
    cfg = Config.fromfile(block.file)
    if 'model' not in cfg:
        return
    for _, part in parts(cfg.model):
        part.pop('init_cfg', None)
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmdet')):
        assert list(build_model(cfg.model).parameters())


def test_the_page_shows_what_swap_writes():
    (shown,) = (block for block in BLOCKS['docs/swap.md'] if block.file)
    assert shown.text == child_config('mmdet::atss/atss_r50_fpn_1x_coco.py', 'm')


@pytest.mark.parametrize('page', PAGES)
def test_commands_and_files_are_there(page):
    text = PAGES[page].read_text()
    commands = set(re.findall(r'tresnet-mm ([a-z]+(?:-[a-z]+)*)', text))
    assert commands <= set(COMMANDS)
    files = set(re.findall(r'(?<![\w/])(?:tools|configs|benchmarks|tests|\.dev_scripts)/[\w/.-]*\w',
                           text))
    assert [file for file in files if not (ROOT / file).exists()] == []
    modules = set(re.findall(r'python -m (benchmarks[\w.]*)', text))
    assert [name for name in modules
            if not (ROOT / f'{name.replace(".", "/")}.py').is_file()
            and not (ROOT / name.replace('.', '/') / '__main__.py').is_file()] == []


@pytest.mark.parametrize('page', PAGES)
def test_links_lead_somewhere(page):
    """Files and headings in the checkout; addresses by their form alone."""
    path = PAGES[page]
    generated = {'changelog.md', 'contributing.md'}
    wrong = []
    for target in re.findall(r'\]\(([^)\s]+)\)', without_blocks(path.read_text())):
        if '://' in target:
            if not re.fullmatch(r'https://[\w.-]+\.[a-z]+(/[\w./#?=&%+-]*)?', target):
                wrong.append(f'{target} is no address')
            continue
        name, _, anchor = target.partition('#')
        file = path.parent / name if name else path
        if not file.exists() and name not in generated:
            wrong.append(f'{target}: there is no {name}')
        elif anchor and anchor not in anchors(file):
            wrong.append(f'{target}: {file.name} has the headings {anchors(file)}')
    assert wrong == []


def anchors(path: Path) -> list[str]:
    """The headings' anchors as MkDocs makes them."""
    titles = re.findall(r'^#+ (.+)$', without_blocks(path.read_text()), re.MULTILINE)
    return [re.sub(r'[\s-]+', '-', re.sub(r'[^\w\s-]', '', title).strip().lower())
            for title in titles]


def test_docstrings_are_markdown():
    """A role of another markup, or a section that MkDocs does not know, would be left as text."""
    wrong = [f'{path.relative_to(ROOT)}: {found}' for path in ROOT.glob('tresnet_mm/**/*.py')
             for found in re.findall(r':[a-z]+:`[^`]+`|^ *Example:$', path.read_text(), re.M)]
    assert wrong == []


@pytest.mark.parametrize('room', [
    'tresnet_mm', *(f'tresnet_mm.{name}' for name in (
        'models', 'models.heads', 'models.layers', 'models.losses', 'datasets', 'evaluation',
        'engine', 'deploy', 'visualization'))])
def test_public_names_are_in_the_reference(room):
    module = importlib.import_module(room)
    listed = re.findall(r'^::: \S+\.(\w+)$', '\n'.join(
        path.read_text() for path in ROOT.glob('docs/reference/*.md')), re.M)
    missing = [f'::: {getattr(value, "__module__", room)}.{name}' for name in module.__all__
               if not isinstance(value := getattr(module, name), ModuleType)
               and name not in listed]
    assert not missing, '\n'.join(['put these lines into a page of docs/reference/', *missing])
