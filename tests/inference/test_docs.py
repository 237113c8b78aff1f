"""The page about prediction names every argument and every option that there is."""

import inspect

import pytest

from tresnet_mm import Inferencer
from tresnet_mm.commands import predict


def test_every_argument_and_every_key_is_on_the_page(repo_root, capsys):
    page = (repo_root / 'docs/predict.md').read_text()
    call = inspect.signature(Inferencer.__call__).parameters
    assert call == inspect.signature(Inferencer.stream).parameters
    for name in [*call, *inspect.signature(Inferencer).parameters]:
        assert name == 'self' or f'`{name}`' in page or f'{name}=' in page, name
    with pytest.raises(SystemExit):
        predict.main(['--help'])
    options = {word.strip('[],') for word in capsys.readouterr().out.split()
               if word.startswith('--')} - {'--help', '--debug'}
    assert len(options) == 8
    assert not [option for option in options if f'`{option}' not in page]
