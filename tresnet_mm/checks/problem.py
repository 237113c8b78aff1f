"""One thing that does not agree, or that could not be looked at."""

from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal['error', 'note', 'not made']

#: Text of values longer than this is cut in messages.
_LONGEST = 100


@dataclass(frozen=True)
class Problem:
    """What disagrees in a config, its data or a checkpoint.

    Attributes:
        what: What is wrong, in words.
        where: The dotted key of the config that it is about, or the checkpoint's path.
        value: What stands there.
        right: What would be right.
        severity: 'error' for what would stop the run or make it silently wrong, 'note' for what
            may be meant, 'not made' for a check that could not be made.
        check: Name of the check that found it.
    """

    what: str
    where: str
    value: Any = field(default=None, repr=False)
    right: str = ''
    severity: Severity = 'error'
    check: str = ''

    def __str__(self) -> str:
        value = '' if self.value is None else f' = {shown(self.value)}'
        right = f'; right: {self.right}' if self.right else ''
        return f'{self.where}{value}: {self.what}{right}'


def shown(value: Any) -> str:
    """A value as a message shows it: not longer than a line."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _LONGEST else f'{text[:_LONGEST - 4]} ...'


def listed(names: Any, most: int = 6) -> str:
    """Names as a message lists them: ``cat, dog, ... (80)`` where there are many."""
    names = [str(name) for name in names]
    if len(names) <= most:
        return ', '.join(names)
    return f'{", ".join(names[:most - 1])}, ... ({len(names)})'
