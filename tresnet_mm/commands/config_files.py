"""From what a user types for a config to its file."""

from __future__ import annotations

import difflib
from pathlib import Path

from mmengine.utils import get_installed_path

_PACKAGE = Path(__file__).resolve().parent.parent


def shipped_configs() -> dict[str, Path]:
    """The configs that come with this package, by their names without ``.py``.

    A wheel carries them in ``.mim``, a checkout has them beside the package.
    """
    for folder in (_PACKAGE / '.mim' / 'configs', _PACKAGE.parent / 'configs'):
        if folder.is_dir():
            return {path.stem: path for path in sorted(folder.glob('*.py'))}
    return {}


def find_config(name: str) -> Path:
    """The file of a config.

    Args:
        name: A path; ``package::path`` below an installed package's configs, as in ``_base_``; or
            the name of a config that comes with this package, such as ``fcos_tresnet_m``.

    Raises:
        FileNotFoundError: If there is none; the message names those that are called alike.
    """
    path = Path(name)
    if path.is_file():
        return path
    if '::' in name:
        package, _, inner = name.partition('::')
        try:
            path = Path(get_installed_path(package)) / '.mim' / 'configs' / inner
        except ImportError as error:  # importlib's PackageNotFoundError is one
            raise FileNotFoundError(f'{name}: no package {package!r} is installed') from error
        if not path.is_file():
            raise FileNotFoundError(f'no config {name} ({path})')
        return path
    shipped = shipped_configs()
    stem = name.removesuffix('.py')
    if stem in shipped:
        return shipped[stem]
    near = difflib.get_close_matches(path.name.removesuffix('.py'), shipped, n=3)
    hint = f'; tresnet_mm comes with {", ".join(near)}' if near else ''
    raise FileNotFoundError(f'config file {name} does not exist{hint}')
