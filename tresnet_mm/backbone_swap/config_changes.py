"""Two versions of a part of a config, and what a child config writes for the difference."""

from typing import Any


def plain(node: Any) -> Any:
    """A copy of a config's values in ordinary dicts, lists and tuples."""
    if isinstance(node, dict):
        return {key: plain(value) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return type(node)(plain(value) for value in node)
    return node


def changes(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The dict that makes ``new`` of ``old`` when mmengine merges it.

    Lists are given whole, since configs do not merge within them.

    Examples:
        >>> changes(dict(a=1, b=dict(c=2, d=3)), dict(a=1, b=dict(c=2, d=4)))
        {'b': {'d': 4}}
        >>> changes(dict(b=dict(c=2)), dict(b=dict(e=5)))
        {'b': {'_delete_': True, 'e': 5}}
    """
    if set(old) - set(new):
        return dict(_delete_=True, **new)
    result = {}
    for key, value in new.items():
        if key not in old:
            result[key] = value
        elif value != old[key]:
            result[key] = _change(old[key], value)
    return result


def _change(old: Any, new: Any) -> Any:
    if not isinstance(new, dict):
        return new
    if not isinstance(old, dict):  # mmengine refuses to merge a dict into anything else
        return dict(_delete_=True, **new)
    return changes(old, new)
