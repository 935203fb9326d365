"""Owns which definition lies in which, and what a module does when it is run."""

from __future__ import annotations

import ast
from bisect import bisect_right
from typing import Final

from toughen.survey.facts import Definition, Span, dotted

Defined = tuple[str, str, int, int, int, tuple[str, ...], tuple[str, ...]]
"""(kind, name, first line, line of its `def`, last line, heads of decorators, bases) of a definition."""
_FEW: Final = 16


def nested(definitions: list[Defined], returned: list[tuple[int, str]]) -> tuple[Definition, ...]:
    """Qualify names by the definitions around them, in source order."""
    definitions.sort(key=lambda each: (each[2], -each[4]))
    returned.sort()
    spans = [(each[3], each[4]) for each in definitions if each[0] == "def"]
    results: dict[int, list[str]] = {}
    for line, name in returned:
        inner = (
            max((span for span in spans if span[0] <= line <= span[1]), default=None)
            if len(spans) < _FEW
            else _innermost(spans, line)
        )
        if inner is not None:
            results.setdefault(inner[0], []).append(name)
    found: list[Definition] = []
    stack: list[Definition] = []
    for kind, name, first, line, end, heads, bases in definitions:
        while stack and stack[-1].end < first:
            stack.pop()
        qualified = f"{stack[-1].name}.{name}" if stack else name
        returns = tuple(results.get(line, ())[:8]) if kind == "def" else ()
        definition = Definition(kind, qualified, first, line, end, heads, bases, returns)
        found.append(definition)
        stack.append(definition)
    return tuple(found)


def _innermost(spans: list[Span], line: int) -> Span | None:
    index = bisect_right(spans, (line, 1 << 30))
    while index:
        index -= 1
        if spans[index][1] >= line:
            return spans[index]
    return None


def is_main(test: ast.expr) -> bool:
    """Whether a test asks if the module is run rather than imported."""
    return (
        isinstance(test, ast.Compare)
        and isinstance(test.left, ast.Name)
        and test.left.id == "__name__"
        and isinstance(test.comparators[0], ast.Constant)
        and test.comparators[0].value == "__main__"
    )


def runs_what(node: ast.If) -> tuple[str | None, str | None]:
    """What a `__main__` block calls `.run(` on, and the string it gives first."""
    for each in ast.walk(node):
        if (
            isinstance(each, ast.Call)
            and isinstance(each.func, ast.Attribute)
            and each.func.attr in {"run", "serve", "serve_forever"}
        ):
            first = each.args[0] if each.args else None
            if isinstance(first, ast.Name):
                return first.id, None
            named = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None
            return dotted(each.func.value), named
    return None, None
