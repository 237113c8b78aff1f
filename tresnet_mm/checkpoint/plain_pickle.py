"""Pickles read as data: nothing that a file names is ever imported, looked up or called.

A pickle is a program for a small stack machine, and Python's own machine lets it fetch any
function and call it. This one has a table of the few names that checkpoints need, each with a
constructor of ours that checks its arguments, and knows no other object. There is therefore no
way from a name in the table to anything beyond it: a name on the stack is a `Maker`, which has no
attributes of the class it stands for, and the operations that change an object work on plain
containers and on the types for which a function is given, nothing else.
"""

import argparse
import pickletools
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Hashable, Mapping
from typing import IO, Any, NamedTuple

#: More operations than any real checkpoint has (a detector's with its optimizer: 20,000), and few
#: enough for seconds.
MAX_OPERATIONS = 3_000_000
#: Real checkpoints nest less than ten levels. Deeper ones overflow the stacks of those that walk
#: through them.
MAX_DEPTH = 100

_MARK = object()
_DICTS = (dict, OrderedDict, defaultdict, Counter)
_ALIASES = {'__builtin__': 'builtins', 'copy_reg': 'copyreg'}  # what they were called in Python 2
_PUSHED = ('INT', 'BININT', 'BININT1', 'BININT2', 'LONG', 'LONG1', 'LONG4', 'FLOAT', 'BINFLOAT',
           'STRING', 'BINSTRING', 'SHORT_BINSTRING', 'BINBYTES', 'SHORT_BINBYTES', 'BINBYTES8',
           'BYTEARRAY8', 'UNICODE', 'BINUNICODE', 'SHORT_BINUNICODE', 'BINUNICODE8')
_CONSTANTS = {'NONE': None, 'NEWTRUE': True, 'NEWFALSE': False}
_EMPTY = {'EMPTY_LIST': list, 'EMPTY_TUPLE': tuple, 'EMPTY_DICT': dict, 'EMPTY_SET': set}


class ForbiddenName(ValueError):
    """A pickle asks for a class or function that is not in the table; ``args[0]`` is its name."""


class Maker(NamedTuple):
    """What stands on the stack for a class or function: its name, and what calling it gives."""

    name: str
    make: Callable[..., Any] | None = None


class PlainPickle:
    """Reads pickles by a table of names.

    Args:
        names: Dotted name -> `Maker`, or the value that the name stands for.
        states: Type -> function that gives an object of this type its pickled state.
        persistent: Gives the object of a persistent id (of a tensor's storage).
    """

    def __init__(self, names: Mapping[str, Any],
                 states: Mapping[type, Callable[[Any, Any], None]] | None = None,
                 persistent: Callable[[Any], Any] | None = None) -> None:
        self.names = names
        self.states = states or {}
        self.persistent = persistent
        self.operations = 0

    def read(self, file: IO[bytes] | bytes) -> Any:
        """Read one pickle, and leave the file's position behind it.

        Raises:
            ForbiddenName: If it needs a name that is not in the table.
            Exception: Of any other kind, if it is damaged: this is for the caller to put in words.
        """
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        for opcode, arg, _ in pickletools.genops(file):
            self.operations += 1
            if self.operations > MAX_OPERATIONS:
                raise ValueError(f'more than {MAX_OPERATIONS} operations')
            if opcode.name == 'STOP':
                value = self.stack.pop()
                check_nesting(value)
                return value
            self._run(opcode.name, arg)
        raise ValueError('it ends early')

    def _run(self, name: str, arg: Any) -> None:
        stack = self.stack
        if name in _PUSHED:
            stack.append(arg)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name in ('PUT', 'BINPUT', 'LONG_BINPUT'):
            self.memo[arg] = stack[-1]
        elif name in ('GET', 'BINGET', 'LONG_BINGET'):
            stack.append(self.memo[arg])
        elif name not in ('PROTO', 'FRAME'):
            operation = getattr(self, f'_{name.lower()}', None)
            if operation is None:
                raise ValueError(f'the operation {name} is not used by checkpoints')
            operation() if arg is None else operation(arg)

    # Each method below is the operation of its name (see `pickletools.opcodes`).

    def _memoize(self) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _mark(self) -> None:
        self.stack.append(_MARK)

    def _pop(self) -> None:
        self.stack.pop()

    def _pop_mark(self) -> None:
        self._since_mark()

    def _dup(self) -> None:
        self.stack.append(self.stack[-1])

    def _tuple(self) -> None:
        self.stack.append(tuple(self._since_mark()))

    def _tuple1(self) -> None:
        self._tuple_of(1)

    def _tuple2(self) -> None:
        self._tuple_of(2)

    def _tuple3(self) -> None:
        self._tuple_of(3)

    def _list(self) -> None:
        self.stack.append(self._since_mark())

    def _append(self) -> None:
        value = self.stack.pop()
        self._top(list).append(value)

    def _appends(self) -> None:
        values = self._since_mark()
        self._top(list).extend(values)

    def _dict(self) -> None:
        values = self._since_mark()
        self.stack.append({})
        self._set_items(values)

    def _setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set_items([key, value])

    def _setitems(self) -> None:
        self._set_items(self._since_mark())

    def _additems(self) -> None:
        values = self._since_mark()
        self._top(set).update(map(plain_key, values))

    def _frozenset(self) -> None:
        self.stack.append(frozenset(map(plain_key, self._since_mark())))

    def _global(self, arg: str) -> None:
        module, _, name = arg.partition(' ')
        self._push_name(module, name)

    def _stack_global(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self._push_name(module, name)

    def _reduce(self) -> None:
        args, maker = self.stack.pop(), self.stack.pop()
        if not isinstance(maker, Maker) or not isinstance(args, tuple):
            raise ValueError('it calls what is no function')
        if maker.make is None:
            raise ForbiddenName(maker.name)
        self.stack.append(maker.make(*args))

    _newobj = _reduce

    def _build(self) -> None:
        state = self.stack.pop()
        value = self.stack[-1]
        if type(value) not in self.states:
            raise ValueError(f'it gives a state to a {type(value).__name__}')
        self.states[type(value)](value, state)

    def _binpersid(self) -> None:
        if self.persistent is None:
            raise ValueError('it has a persistent id')
        self.stack.append(self.persistent(self.stack.pop()))

    def _push_name(self, module: str, name: str) -> None:
        full = f'{_ALIASES.get(module, module)}.{name}'
        if full not in self.names:
            raise ForbiddenName(f'{module}.{name}')
        self.stack.append(self.names[full])

    def _tuple_of(self, count: int) -> None:
        values = tuple(self.stack[-count:])
        if len(values) < count or any(value is _MARK for value in values):
            raise ValueError('a tuple lacks its items')
        self.stack[-count:] = [values]

    def _since_mark(self) -> list[Any]:
        values = []
        while (value := self.stack.pop()) is not _MARK:
            values.append(value)
        return values[::-1]

    def _top(self, kind: type) -> Any:
        if type(self.stack[-1]) is not kind:
            raise ValueError(f'it adds to a {type(self.stack[-1]).__name__} as to a '
                             f'{kind.__name__}')
        return self.stack[-1]

    def _set_items(self, values: list[Any]) -> None:
        if type(self.stack[-1]) not in _DICTS or len(values) % 2:
            raise ValueError(f'it sets items of a {type(self.stack[-1]).__name__}')
        for key, value in zip(values[::2], values[1::2], strict=True):
            self.stack[-1][plain_key(key)] = value


def plain_key(key: Any) -> Hashable:
    """A dict's key or a set's item, if it is a plain value or a tuple of plain values.

    Raises:
        ValueError: If it is anything else. (Hashing a tuple of very many levels ends the process.)
    """
    plain = (str, bytes, int, float, complex, type(None))
    if isinstance(key, plain) or (
            isinstance(key, tuple) and all(isinstance(item, plain) for item in key)):
        return key
    raise ValueError(f'a {type(key).__name__} is the key of a dict')


def check_nesting(value: Any) -> None:
    """See that containers do not hold themselves and nest less than `MAX_DEPTH` levels.

    Raises:
        ValueError: If they do not.
    """
    height: dict[int, int] = {}  # of finished containers; 0 while one is on the path
    stack = [(value, False)]
    while stack:
        node, finished = stack.pop()
        children = _children(node)
        if children is None:
            continue
        if finished:
            height[id(node)] = 1 + max((height.get(id(child), 0) for child in children), default=0)
            if height[id(node)] > MAX_DEPTH:
                raise ValueError(f'its values nest more than {MAX_DEPTH} levels deep')
        elif height.get(id(node)) == 0:
            raise ValueError('a value in it holds itself')
        elif id(node) not in height:
            height[id(node)] = 0
            stack.append((node, True))
            stack.extend((child, False) for child in children)


def _children(node: Any) -> list[Any] | None:
    if isinstance(node, dict):
        return list(node.values())
    if isinstance(node, (list, tuple, set, frozenset)) and not isinstance(node, Maker):
        return list(node)
    return list(vars(node).values()) if isinstance(node, argparse.Namespace) else None
