"""The small faults that are put into a module, one at a time."""
from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

_COMPARISONS = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In}
_OPERATORS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.MatMult: ast.Add,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.And: ast.Or, ast.Or: ast.And}
#: Types say nothing at run time, decorators mark, and the words of an error are not its occurrence.
_LEFT_OUT = {'annotation', 'returns', 'decorator_list', 'exc'}


class Mutant(NamedTuple):
    """A module with one fault.

    Attributes:
        line: Line of the fault.
        was: The code that was there.
        now: What took its place.
        source: The whole module.
    """

    line: int
    was: str
    now: str
    source: str


class _Place(NamedTuple):
    """Where a node hangs: a field of its parent, or an item of a list there."""

    owner: ast.AST
    field: str
    index: int | None

    def put(self, node: ast.AST) -> None:
        if self.index is None:
            setattr(self.owner, self.field, node)
        else:
            getattr(self.owner, self.field)[self.index] = node


def mutants(source: str) -> list[Mutant]:
    """All mutants of a module, in the order of its lines.

    A comparison, an operator or a condition is turned into its opposite, a number is raised by
    one, a truth value turned, a keyword left out of a call, a call or a ``raise`` left out, None
    returned. Texts stay as they are.
    """
    tree = ast.parse(source)
    found = []
    for place, node in _nodes(tree):
        for new in _changes(node):
            place.put(ast.copy_location(new, node))
            ast.fix_missing_locations(place.owner)
            found.append(Mutant(getattr(node, 'lineno', 0), ast.unparse(node), ast.unparse(new),
                                ast.unparse(tree)))
            place.put(node)
    return sorted(found, key=lambda mutant: mutant.line)


def _nodes(owner: ast.AST) -> Iterator[tuple[_Place, ast.AST]]:
    """The nodes below one that may be changed, and where they hang."""
    for field, value in ast.iter_fields(owner):
        if field in _LEFT_OUT:
            continue
        items = list(enumerate(value)) if isinstance(value, list) else [(None, value)]
        for index, node in items:
            if isinstance(node, ast.AST) and not isinstance(node, ast.JoinedStr):
                yield _Place(owner, field, index), node
                yield from _nodes(node)


def _changes(node: ast.AST) -> Iterator[ast.AST]:
    """What may take the place of a node."""
    if isinstance(node, ast.Compare) and type(node.ops[0]) in _COMPARISONS:
        yield ast.Compare(node.left, [_COMPARISONS[type(node.ops[0])](), *node.ops[1:]],
                          node.comparators)
    elif isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        yield ast.BinOp(node.left, _OPERATORS[type(node.op)](), node.right)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(_OPERATORS[type(node.op)](), node.values)
    elif isinstance(node, ast.AugAssign) and type(node.op) in _OPERATORS:
        yield ast.AugAssign(node.target, _OPERATORS[type(node.op)](), node.value)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub, ast.Invert)):
        yield node.operand
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        yield ast.Constant(node.value + 1)
    elif isinstance(node, ast.If):
        yield ast.If(_not(node.test), node.body, node.orelse)
    elif isinstance(node, ast.IfExp):
        yield ast.IfExp(_not(node.test), node.body, node.orelse)
    elif isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value):
        yield ast.Return(ast.Constant(None))
    elif isinstance(node, ast.Raise) or (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        yield ast.Pass()
    elif isinstance(node, ast.Call):
        for i, keyword in enumerate(node.keywords):
            if keyword.arg is not None:
                yield ast.Call(node.func, node.args, node.keywords[:i] + node.keywords[i + 1:])


def _not(node: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.Not(), node)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None
