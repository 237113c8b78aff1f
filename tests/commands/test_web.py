"""The command line of the page: which models, and what is said where gradio is missing."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tresnet_mm.__main__ import main
from tresnet_mm.commands import web
from tresnet_mm.commands.web import names_of, split_model


@pytest.mark.parametrize(('text', 'expected'), [
    ('net.safetensors', ('net.safetensors', None)),
    ('fcos_tresnet_m=a/epoch_12.pth', ('fcos_tresnet_m', 'a/epoch_12.pth')),
    ('a.py=https://host/net.pth?key=1', ('a.py', 'https://host/net.pth?key=1')),
    ('https://host/net.pth?key=1', ('https://host/net.pth?key=1', None)),
    ('fcos_tresnet_m=', ('fcos_tresnet_m=', None))])
def test_a_model_and_its_weights(text, expected):
    assert split_model(text) == expected


def test_a_file_may_have_a_sign_of_equality(tmp_path):
    (tmp_path / 'lr=1.pth').write_text('')
    assert split_model(f'{tmp_path}/lr=1.pth') == (f'{tmp_path}/lr=1.pth', None)


@pytest.mark.parametrize(('models', 'names'), [
    (['a/one.pth', 'two'], ['one', 'two']), (['a/one.pth', 'b/one.pth'], ['a/one', 'b/one']),
    (['a/one.pth', 'a/one.py'], ['one (1)', 'one (2)'])])
def test_names_tell_models_apart(models, names):
    assert names_of(models) == names


def test_missing_gradio_is_told_with_its_extra(monkeypatch, capsys):
    for name in ('tresnet_mm.web.server', 'tresnet_mm.web.page'):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, 'gradio', None)
    with pytest.raises(SystemExit) as stop:
        main(['web', 'none.pth'])
    assert stop.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        'web: error: the page needs gradio, which is not installed; run: '
        "pip install 'tresnet_mm[web]'")


def test_another_missing_module_is_not_taken_for_gradio(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'tresnet_mm.web.server', None)
    with pytest.raises(SystemExit):
        main(['web', 'none.pth'])
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith('web: error: ') and 'tresnet_mm.web.server' in line
    assert 'gradio' not in line


def test_an_interrupt_ends_the_page_without_a_traceback(monkeypatch, capsys):
    """A server that is interrupted at once; the folder of the page goes with it."""
    folders = []

    def serve(models, folder, *rest):
        folders.append(folder)
        assert models == ['model of none'] and Path(folder).is_dir()
        raise KeyboardInterrupt

    server = SimpleNamespace(Limits=lambda *values: SimpleNamespace(max_pixels=1), serve=serve)
    monkeypatch.setitem(sys.modules, 'tresnet_mm.web.server', server)
    monkeypatch.setattr(web, 'Inferencer', lambda *files, **settings: None)
    monkeypatch.setattr(web, 'WebModel', lambda name, *rest: f'model of {name}')
    assert main(['web', 'none.pth']) is None
    assert capsys.readouterr().out == '\n'
    assert not Path(folders[0]).exists()


@pytest.mark.parametrize(('argv', 'words'), [
    (['none.pth'], 'checkpoint none.pth does not exist'),
    (['none.pth', '--max-mb', '0'], 'max_mb must be above 0, got 0')])
def test_mistakes(argv, words, capsys):
    pytest.importorskip('gradio')
    with pytest.raises(SystemExit) as stop:
        main(['web', *argv])
    assert stop.value.code == 2 and words in capsys.readouterr().err.splitlines()[-1]


def test_the_page_of_the_docs_has_all_options(repo_root, capsys):
    page = (repo_root / 'docs/web.md').read_text()
    with pytest.raises(SystemExit):
        main(['web', '--help'])
    options = {word.strip('[],') for word in capsys.readouterr().out.split()
               if word.startswith('--')} - {'--help', '--debug'}
    assert len(options) == 5 and not [option for option in options if f'`{option}`' not in page]
