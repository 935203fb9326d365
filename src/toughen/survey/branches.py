"""Owns the reading of one branch: which test turned a request away."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from toughen.survey.facts import dotted
from toughen.survey.project import Function, source
from toughen.survey.provenance import LocalOrigin, locals_origin, tree_of
from toughen.survey.refusals import refuses

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.model.blueprint import Json

_OPERATORS: Final = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Is: "is",
    ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Comparison:
    """`left op right` as source; `literal` where one side is a constant."""

    left: str
    op: str
    right: str
    literal: Json = None
    """Value of the constant side; a list for `in (...)`."""
    has_literal: bool = False


@dataclass(frozen=True, slots=True)
class Branch:
    """The test that decided that a request ends here."""

    kind: str
    """if, elif, else, assert, ternary, or (`x or abort(404)`), match."""
    line: int
    test: str
    """Source of the test; for match the subject."""
    negated: bool
    """True where the request is turned away because the test is false."""
    names: tuple[str, ...]
    """Names and attribute chains: `user.balance`, `data.amount`."""
    subscripts: tuple[tuple[str, str], ...]
    """(owner, key) of string subscripts and `.get("key")`: `("card", "is_frozen")`."""
    comparisons: tuple[Comparison, ...]
    messages: tuple[str, ...]
    """String constants of the answer."""
    status: int | None
    """Its status where it is literal."""


def enclosing_branch(text: str, line: int) -> Branch | None:
    """The innermost test that leads to the refusal on that line, the last one executed; None where there is none."""
    parsed = tree_of(text)
    if parsed is None:
        return None
    tree, parents = parsed
    statement = _statement(tree, line)
    if statement is None:
        return None
    if (inner := _within(statement)) is not None:
        return inner
    if isinstance(statement, ast.If) and _ends(statement.body):
        return _branch(_kind(statement, parents), statement, statement.test, False, statement.body[-1])  # noqa: FBT003
    return _above(statement, parents)


def _statement(tree: ast.Module, line: int) -> ast.stmt | None:
    """The innermost statement that covers the line."""
    found: ast.stmt | None = None
    for node in ast.walk(tree):
        if not isinstance(node, ast.stmt) or not node.lineno <= line <= (node.end_lineno or node.lineno):
            continue
        if found is None or (node.lineno, -(node.end_lineno or 0)) >= (found.lineno, -(found.end_lineno or 0)):
            found = node
    return found


def _within(node: ast.stmt) -> Branch | None:
    """A guard inside a single statement: assert, ternary, `x or abort(404)`."""
    if isinstance(node, ast.Assert):
        messages = tuple(
            each.value for each in ast.walk(node.msg) if isinstance(each, ast.Constant) and isinstance(each.value, str)
        ) if node.msg else ()  # fmt: skip
        return _made("assert", node.lineno, node.test, negated=True, messages=messages, status=None)
    if isinstance(node, ast.If | ast.For | ast.While | ast.With | ast.Try | ast.Match | Function | ast.ClassDef):
        return None
    for each in ast.walk(node):
        if isinstance(each, ast.BoolOp) and isinstance(each.op, ast.Or):
            last = each.values[-1]
            refusal = refuses(ast.Expr(last)) if isinstance(last, ast.Call) else None
            if refusal is not None:
                return _made(
                    "or", node.lineno, each.values[0], negated=True, messages=refusal.messages, status=refusal.status
                )
        if isinstance(each, ast.IfExp):
            for value, negated in ((each.body, False), (each.orelse, True)):
                refusal = refuses(ast.Return(value))
                if refusal is not None and refusal.status is not None:
                    return _made(
                        "ternary", node.lineno, each.test, negated=negated,
                        messages=refusal.messages, status=refusal.status,
                    )  # fmt: skip
    return None


def _above(statement: ast.stmt, parents: dict[ast.AST, ast.AST]) -> Branch | None:
    node: ast.AST = statement
    while (parent := parents.get(node)) is not None:
        if isinstance(parent, ast.If) and node is not parent.test:
            inside = parent.body if node in parent.body else parent.orelse
            if _ends(inside):
                negated = inside is parent.orelse
                kind = "else" if negated else _kind(parent, parents)
                return _branch(kind, parent, parent.test, negated, inside[-1])
        elif isinstance(parent, ast.match_case) and _ends(parent.body):
            owner = parents.get(parent)
            if isinstance(owner, ast.Match):
                return _matched(owner, parent)
        elif isinstance(parent, ast.ExceptHandler):
            # What was caught decided, not the tests around it.
            return None
        if isinstance(node, ast.stmt) and (before := _before(node, parent)) is not None and _ends([node]):
            return _branch(_kind(before, parents), before, before.test, True, statement)  # noqa: FBT003
        if isinstance(parent, Function | ast.ClassDef | ast.Lambda):
            return None
        node = parent
    return None


def _before(node: ast.stmt, parent: ast.AST) -> ast.If | None:
    """The `if ...: return` right before a return or raise: the request came here since its test was false."""
    for name in ("body", "orelse", "finalbody"):
        block = getattr(parent, name, None)
        if isinstance(block, list) and node in block:
            index = block.index(node)
            previous = block[index - 1] if index else None
            if isinstance(previous, ast.If) and _ends(previous.body):
                return previous
    return None


def _ends(body: list[ast.stmt]) -> bool:
    return bool(body) and (isinstance(body[-1], ast.Return | ast.Raise) or refuses(body[-1]) is not None)


def _kind(node: ast.If, parents: dict[ast.AST, ast.AST]) -> str:
    parent = parents.get(node)
    if isinstance(parent, ast.If) and parent.orelse == [node] and node.col_offset == parent.col_offset:
        return "elif"
    return "if"


def _branch(kind: str, node: ast.If, test: ast.expr, negated: bool, last: ast.stmt) -> Branch:  # noqa: FBT001 - a fact, not a flag
    refusal = refuses(last)
    messages = refusal.messages if refusal else _texts(last)
    return _made(
        kind, node.lineno, test, negated=negated, messages=messages, status=refusal.status if refusal else None
    )


def _texts(node: ast.AST) -> tuple[str, ...]:
    keys = {id(key) for each in ast.walk(node) if isinstance(each, ast.Dict) for key in each.keys if key is not None}
    return tuple(
        each.value
        for each in ast.walk(node)
        if isinstance(each, ast.Constant) and isinstance(each.value, str) and id(each) not in keys
    )


def _matched(owner: ast.Match, case: ast.match_case) -> Branch:
    refusal = refuses(case.body[-1])
    subject = source(owner.subject)
    comparisons = [
        Comparison(subject, "==", source(each.value), _literal(each.value), has_literal=_is_literal(each.value))
        for each in ast.walk(case.pattern)
        if isinstance(each, ast.MatchValue)
    ]
    if isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None:
        # The default case: none of the other patterns fitted.
        comparisons = [
            Comparison(subject, "!=", source(each.value), _literal(each.value), has_literal=_is_literal(each.value))
            for other in owner.cases
            for each in ast.walk(other.pattern)
            if isinstance(each, ast.MatchValue)
        ]
    names, subscripts = _named(owner.subject)
    messages = refusal.messages if refusal else _texts(case.body[-1])
    return Branch(
        "match", owner.lineno, subject, negated=False, names=names, subscripts=subscripts,
        comparisons=tuple(comparisons), messages=messages, status=refusal.status if refusal else None,
    )  # fmt: skip


def _made(
    kind: str, line: int, test: ast.expr, *, negated: bool, messages: tuple[str, ...], status: int | None
) -> Branch:
    while isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        test, negated = test.operand, not negated
    names, subscripts = _named(test)
    return Branch(kind, line, source(test), negated, names, subscripts, tuple(_comparisons(test)), messages, status)


def _named(test: ast.expr) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    names: list[str] = []
    subscripts: list[tuple[str, str]] = []

    def visit(node: ast.AST) -> None:
        match node:
            case ast.Attribute() if name := dotted(node):
                names.append(name)
                return
            case ast.Name(id=name):
                names.append(name)
            case ast.Subscript(value=owner, slice=ast.Constant(value=str() as key)):
                subscripts.append((source(owner), key))
            case ast.Call(func=ast.Attribute(attr="get", value=owner), args=[ast.Constant(value=str() as key), *rest]):
                subscripts.append((source(owner), key))
                for each in (owner, *rest):
                    visit(each)
                return
            case ast.Call(func=ast.Attribute(value=owner), args=arguments, keywords=keywords):
                for each in (owner, *arguments, *(one.value for one in keywords)):
                    visit(each)
                return
            case ast.Call(func=ast.Name(), args=arguments, keywords=keywords):
                for each in (*arguments, *(one.value for one in keywords)):
                    visit(each)
                return
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(test)
    return tuple(dict.fromkeys(names)), tuple(dict.fromkeys(subscripts))


def _comparisons(test: ast.expr) -> Iterator[Comparison]:
    for node in ast.walk(test):
        if not isinstance(node, ast.Compare):
            continue
        left = node.left
        for operator, right in zip(node.ops, node.comparators, strict=True):
            constant = right if _is_literal(right) else left if _is_literal(left) else None
            yield Comparison(
                source(left), _OPERATORS[type(operator)], source(right),
                _literal(constant) if constant is not None else None, has_literal=constant is not None,
            )  # fmt: skip
            left = right


def _is_literal(node: ast.expr) -> bool:
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return _plain(value) is not NotImplemented


def _literal(node: ast.expr) -> Json:
    try:
        value = _plain(ast.literal_eval(node))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    return None if value is NotImplemented else value  # type: ignore[return-value]


def _plain(value: object) -> object:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case list() | tuple() | set() | frozenset():
            inner = [_plain(each) for each in value]
            return NotImplemented if NotImplemented in inner else inner
    return NotImplemented


__all__ = ["Branch", "Comparison", "LocalOrigin", "enclosing_branch", "locals_origin"]
