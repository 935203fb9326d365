"""Owns the one door through which source text becomes a syntax tree: one thread at a time, and one way to fail."""

from __future__ import annotations

import ast
from functools import lru_cache
from threading import Lock

_BASE = 64
"""Largest base and exponent of a power that is worked out."""
_DOOR = Lock()
"""Two threads that parse at once confuse CPython's count of how deep it is, and one of them ends in a SystemError
(python/cpython#106905)."""


def parse(text: str) -> ast.Module:
    """The tree of a text, the caller's own.

    Raises SyntaxError whatever is wrong with it: also for NUL bytes, for what is nested too deep, and for what takes too much memory.
    """
    with _DOOR:
        try:
            return ast.parse(text)
        except (ValueError, RecursionError, MemoryError) as error:
            raise SyntaxError(str(error) or type(error).__name__) from error


def expression(text: str) -> ast.expr:
    """The tree of an expression, the caller's own. Raises SyntaxError as `parse` does."""
    with _DOOR:
        try:
            return ast.parse(text, mode="eval").body
        except (ValueError, RecursionError, MemoryError) as error:
            raise SyntaxError(str(error) or type(error).__name__) from error


@lru_cache(maxsize=64)
def tree(text: str) -> ast.Module | None:
    """The tree of a text that all share and nobody changes; None where it cannot be parsed."""
    try:
        return parse(text)
    except SyntaxError:
        return None


def number(node: ast.AST) -> int | float | None:
    """The number that constants and arithmetic on them make (`2**63 - 1`); None for anything else, and for powers too large to be a bound."""
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            found = number(inner)
            return -found if found is not None else None
        case ast.BinOp(left=left, op=operator, right=right):
            first, second = number(left), number(right)
            if first is None or second is None:
                return None
            match operator:
                case ast.Add():
                    return first + second
                case ast.Sub():
                    return first - second
                case ast.Mult():
                    return first * second
                case ast.Pow() if abs(first) <= _BASE and 0 <= second <= _BASE:
                    return first**second
    return None
