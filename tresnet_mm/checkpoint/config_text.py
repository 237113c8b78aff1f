"""The config that mmengine keeps in a checkpoint, read as data.

It is Python text (``meta['cfg']``), and mmengine's own reader runs it, whosever it is. Here only
what mmengine's writer makes of a config is understood: assignments of plain values.
"""

import ast
import math
from typing import Any

#: A hundred times that of mmdet's longest.
_MAX_SIZE = 4 << 20
_NUMBERS = {'inf': math.inf, 'nan': math.nan}
_CONTAINERS = {'dict': dict, 'list': list, 'tuple': tuple}


def parse_config(text: str, strict: bool = True) -> dict[str, Any]:
    r"""Read the text of a config without running it.

    Args:
        text: Lines such as ``model = dict(type='FCOS', strides=(8, 16))``.
        strict: Whether all of it has to be plain values; otherwise the settings that are not are
            left out, and a text that is no Python gives none.

    Raises:
        ValueError: If there is anything in it but assignments of plain values, ``dict(...)`` and
            the like; the message names the line.

    Examples:
        >>> parse_config("train_cfg = dict(max_epochs=3)\nx = open('file')", strict=False)
        {'train_cfg': {'max_epochs': 3}}
    """
    try:
        return _settings(text, strict)
    except ValueError:
        if strict:
            raise
        return {}


def _settings(text: str, strict: bool) -> dict[str, Any]:
    if len(text) > _MAX_SIZE:
        raise ValueError(f'its config is longer than {_MAX_SIZE >> 20} MiB')
    if '\0' in text:  # of which some Pythons raise another error
        raise ValueError('its config is no Python text: it has a null byte')
    try:
        lines = ast.parse(text).body
        config: dict[str, Any] = {}
        for line in lines:
            try:
                if not isinstance(line, ast.Assign) or len(line.targets) != 1 or not isinstance(
                        line.targets[0], ast.Name):
                    raise _not_data(line)
                config[line.targets[0].id] = _value(line.value)
            except ValueError:
                if strict:
                    raise
    except SyntaxError as error:
        raise ValueError(f'its config is no Python text: line {error.lineno}: {error.msg}'
                         ) from error
    except (RecursionError, MemoryError):
        raise ValueError('its config has too many levels') from None
    return config


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Constant) and isinstance(
            node.value, (str, int, float, bool, type(None))):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = _value(node.operand)
        if isinstance(number, (int, float)):
            return -number
    if isinstance(node, ast.Name) and node.id in _NUMBERS:
        return _NUMBERS[node.id]
    if isinstance(node, ast.List):
        return [_value(part) for part in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_value(part) for part in node.elts)
    if isinstance(node, ast.Dict) and None not in node.keys:
        return {_key(key): _value(part)
                for key, part in zip(node.keys, node.values, strict=True) if key is not None}
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return _call(node, node.func.id)
    raise _not_data(node)


def _call(node: ast.Call, name: str) -> Any:
    """The value of ``dict(a=1)``, ``list([1])`` or ``tuple([1])``.

    ``dict({'a b': 1})`` and ``dict(**{'a b': 1})`` are how mmengine writes keys that are no names.
    """
    parts = [_value(part) for part in node.args]
    if name == 'dict':
        parts += [{word.arg: _value(word.value)} if word.arg else _value(word.value)
                  for word in node.keywords]
        if all(isinstance(part, dict) for part in parts):
            return {key: value for part in parts for key, value in part.items()}
    if name in ('list', 'tuple') and not node.keywords and len(parts) <= 1 and all(
            isinstance(part, (list, tuple)) for part in parts):
        return _CONTAINERS[name](*parts)
    raise _not_data(node)


def _key(node: ast.expr) -> Any:
    if isinstance(node, ast.Constant) and isinstance(node.value, (str, int)):
        return node.value
    raise _not_data(node)


def _not_data(node: ast.AST) -> ValueError:
    return ValueError(f'its config has something else than plain values in line '
                      f'{getattr(node, "lineno", "?")} ({ast.unparse(node)[:60]})')
