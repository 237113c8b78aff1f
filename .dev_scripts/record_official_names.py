"""Records which names OpenMMLab's own packages have, into tests/data/official_names.json.

Run it in the environment of that line (`make env STACK=openmmlab`). The test of the imports holds
what this project takes from mmengine, mmcv and mmdet against the file, so that a change is told
where only the other line is installed. Sources are parsed and not run; only names are kept, those
of mmdet's config files included.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ('mmengine', 'mmcv', 'mmdet')
FILE = Path(__file__).resolve().parent.parent / 'tests/data/official_names.json'


class Package:
    """The modules of an installed package and the names that each has at its top level.

    Args:
        name: Its name for import.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.root = Path(find_spec(name).origin).parent
        self._names: dict[str, list[str]] = {}

    def modules(self) -> list[str]:
        """All modules, dotted."""
        files = (f.relative_to(self.root.parent) for f in self.root.rglob('*.py')
                 if '.mim' not in f.parts)  # fmt: skip
        return sorted('.'.join(f.with_suffix('').parts).removesuffix('.__init__') for f in files)

    def names(self, module: str) -> list[str] | None:
        """The names of a module, its submodules included; None where there is no such module.

        A plain module's are what it defines; what it imports for itself is no promise. A package's
        are also what it imports from its own modules.
        """
        if module not in self._names:
            folder = self.root.parent.joinpath(*module.split('.'))
            is_package = (folder / '__init__.py').is_file()
            file = folder / '__init__.py' if is_package else folder.with_suffix('.py')
            if not file.is_file():
                return None
            found = set()
            if is_package:
                found = {f.stem for f in folder.glob('*.py')} - {'__init__'}
                found |= {f.parent.name for f in folder.glob('*/__init__.py')}
            for node in statements(ast.parse(file.read_text(encoding='utf-8'))):
                found |= self._bound(node, module, is_package)
            self._names[module] = sorted(found)
        return self._names[module]

    def _bound(self, node: ast.stmt, module: str, is_package: bool) -> set[str]:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            return {node.name}
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            return {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}
        if not (isinstance(node, ast.ImportFrom) and is_package):
            return set()
        base = module.split('.')[:len(module.split('.')) - node.level + 1] if node.level else []
        source = '.'.join([*base, *filter(None, [node.module])])
        if source.split('.')[0] != self.name:
            return set()
        if node.names[0].name == '*':
            return {name for name in self.names(source) or () if not name.startswith('_')}
        return {alias.asname or alias.name for alias in node.names}


def statements(node: ast.AST) -> Iterator[ast.stmt]:
    """The statements at the top level, those under ``if``, ``try`` and ``with`` included."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.If, ast.Try, ast.With, ast.ExceptHandler)):
            yield from statements(child)
        elif isinstance(child, ast.stmt):
            yield child


def main() -> int:
    """Writes the file; returns the exit status."""
    try:
        versions = {name: version(name) for name in PACKAGES}
    except ModuleNotFoundError as error:  # OneDL's distributions have other names
        print(f'error: {error}; this needs the environment of `make env STACK=openmmlab`',
              file=sys.stderr)  # fmt: skip
        return 1
    modules = {
        module: ' '.join(package.names(module))
        for package in map(Package, PACKAGES)
        for module in package.modules()
    }
    folder = Package('mmdet').root / '.mim/configs'
    configs = sorted(file.relative_to(folder).as_posix() for file in folder.rglob('*.py'))
    record = dict(versions=versions, modules=modules, configs=configs)
    FILE.write_text(json.dumps(record, indent=0) + '\n')
    print(f'{FILE}: {len(modules)} modules of {versions}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
