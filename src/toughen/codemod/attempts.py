"""Owns the mend of attempts that run out: a loop that tries until it succeeds, and goes on as if it had."""

from __future__ import annotations

import ast

from toughen.codemod.answers import swallowing
from toughen.codemod.draft import Draft, word
from toughen.codemod.mechanics import after
from toughen.codemod.module import Module, halt
from toughen.codemod.refusals import refuse

_TEXT = "Too many requests at once, please try again"


@word
def exhausted(module: Module, line: int) -> Draft:
    """Refuse (409) where every attempt of the loop around `line` was lost.

    Shapes: `for _ in range(...)` with a `break` of its own and no `else`. Refuses loops that end otherwise, and refusals that a broad
    handler around would swallow.
    """
    statement = module.statement(line)
    loop = next((each for each in (statement, *module.ancestors(statement)) if isinstance(each, ast.For)), None) or halt(f"{module.file}:{line} is not tried in a loop")
    if loop.orelse:
        halt("the loop says what comes of it where every attempt is lost")
    if not (isinstance(loop.iter, ast.Call) and isinstance(loop.iter.func, ast.Name) and loop.iter.func.id == "range"):
        halt("the loop goes over things rather than attempts")
    if not any(isinstance(node, ast.Break) and _loop_of(module, node) is loop for node in ast.walk(loop)):
        halt("nothing breaks off the loop")
    function = module.enclosing(loop) or halt("the loop stands outside of a function")
    refusal = refuse(module, function, 409, _TEXT)
    if refusal.raises and swallowing(module, loop) is not None:
        halt("a broad handler around the loop would swallow the refusal")
    return after(module, loop, f"else:\n{refusal.indented}") + refusal.needs(module)


def _loop_of(module: Module, node: ast.AST) -> ast.AST | None:
    return next((each for each in module.ancestors(node) if isinstance(each, ast.For | ast.While)), None)
