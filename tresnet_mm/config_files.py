"""From what a user types for a config to its file."""

from __future__ import annotations

import difflib
from importlib.util import find_spec
from pathlib import Path

from mmengine.config import Config

_PACKAGE = Path(__file__).resolve().parent


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
        # Not mmengine's get_installed_path, whose error for a missing package is pkg_resources' in
        # its official releases.
        found = find_spec(package) if package.isidentifier() else None
        if found is None or not found.submodule_search_locations:
            raise FileNotFoundError(f'{name}: no package {package!r} is installed')
        path = Path(found.submodule_search_locations[0]) / '.mim' / 'configs' / inner
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


def read_config(name: str) -> Config:
    """Read a config; ``name`` as of `find_config`.

    A ``.py`` config is a program and is run: take one only from where you would take code.

    Raises:
        FileNotFoundError: If there is none, or one that it inherits from is missing.
        ValueError: If it cannot be read; the message names the file and what is wrong in it.
    """
    path = find_config(name)
    try:
        return Config.fromfile(path)
    except FileNotFoundError as error:
        raise FileNotFoundError(f'config {path} cannot be read: {error}') from error
    except Exception as error:  # a Python config can raise anything
        raise ValueError(f'config {path} cannot be read: {type(error).__name__}: {error}'
                         ) from error
