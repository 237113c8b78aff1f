"""The folder of what is uploaded and drawn."""

import os

import pytest

from tresnet_mm.web.own_folder import own_folder


def test_the_folder_is_private_and_goes(monkeypatch):
    monkeypatch.setenv('GRADIO_ALLOWED_PATHS', '/')
    before = dict(os.environ)
    with pytest.raises(KeyError), own_folder() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        assert os.environ['GRADIO_TEMP_DIR'] == str(folder)
        assert 'GRADIO_ALLOWED_PATHS' not in os.environ
        (folder / 'a').write_text('')
        raise KeyError
    assert not folder.exists() and dict(os.environ) == before
