"""Where gradio keeps what is uploaded and drawn."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


@contextmanager
def own_folder() -> Iterator[Path]:
    """A folder that only this user can open, told to gradio, and gone at the end.

    To be entered before gradio is imported, which otherwise makes a folder that all users share.
    What the environment says to gradio otherwise (paths to serve, a public address) is not heard:
    the page's settings come from this package alone.
    """
    kept = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith('GRADIO_')}
    with TemporaryDirectory(prefix='tresnet_mm_web_') as name:
        folder = Path(name).resolve()
        told = dict(GRADIO_TEMP_DIR=str(folder), GRADIO_EXAMPLES_CACHE=str(folder),
                    GRADIO_ANALYTICS_ENABLED='False')
        os.environ.update(told)
        try:
            yield folder
        finally:
            for setting in told:
                os.environ.pop(setting, None)
            os.environ.update(kept)
