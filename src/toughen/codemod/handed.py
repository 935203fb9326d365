"""Owns mends of bodies that a function of the file's own reads, tests and hands to the handler."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from toughen.codemod.answers import swallowing
from toughen.codemod.bodies import body_read, check, field_tests, fits
from toughen.codemod.draft import Draft, word
from toughen.codemod.mechanics import after
from toughen.codemod.module import UnmendableError, halt, names_in, scope_of
from toughen.codemod.refusals import refuse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toughen.codemod.bodies import Field
    from toughen.codemod.module import FunctionNode, Module


@word
def check_handed(module: Module, function: str, fields: Sequence[Field] = (), *, line: int = 0, status: int = 400, text: str) -> Draft:
    """Refuse bodies that are no JSON object in the function that reads them, and fields of the wrong type in the handler.

    Shapes: `data = parsed()`, `valid, data, status = validated([...])` with a function of the same file that returns the body
    by its name. The fields' tests follow what the handler refuses right behind the call. Refuses other handlers.
    """
    node = module.function(function, line)
    statement, helper, name = _call(module, node) or halt(f"{node.name} reads no JSON body")
    inner = check(module, module.qualified(helper), (), line=helper.lineno, status=status, text=text)
    draft = inner if isinstance(inner, Draft) else Draft(module)
    refusal = refuse(module, node, status, text)
    if refusal.raises and swallowing(module, statement) is not None:
        halt("a broad handler around the body's read would swallow the refusal")
    own = f"isinstance({body_read(module, helper).name}, dict)"
    told = f"isinstance({name}, dict)" in module.segment(node) or own in module.segment(helper) or isinstance(inner, Draft)
    lines = "" if told else f"if not isinstance({name}, dict):\n{refusal.indented}\n"
    lines += field_tests(module, node, name, [each for each in fields if fits(node, name, each)], (status, text))
    if lines:
        draft += after(module, _tested(module, statement, name), lines.rstrip("\n")) + refusal.needs(module)
    return draft


def _call(module: Module, node: FunctionNode) -> tuple[ast.stmt, FunctionNode, str] | None:
    """The statement that takes the body, the function that reads it, and the handler's name for it."""
    for statement in scope_of(node):
        match statement:
            case ast.Assign(targets=[target], value=ast.Call(func=ast.Name(id=called))):
                helper = next((each for each in module.functions if each.name == called and each is not node), None)
                name = _name(module, helper, target) if helper is not None else ""
                if helper is not None and name:
                    return statement, helper, name
    return None


def _name(module: Module, helper: FunctionNode, target: ast.expr) -> str:
    """What of a call's result is the body, under the name that it is bound to; "" where none is."""
    try:
        found = body_read(module, helper)
    except UnmendableError:
        return ""
    for item in scope_of(helper):
        match item:
            case ast.Return(value=ast.Name(id=given)) if given == found.name and isinstance(target, ast.Name):
                return target.id
            case ast.Return(value=ast.Tuple(elts=given)) if isinstance(target, ast.Tuple) and len(given) == len(target.elts):
                for part, bound in zip(given, target.elts, strict=True):
                    if isinstance(part, ast.Name) and part.id == found.name and isinstance(bound, ast.Name):
                        return bound.id
    return ""


def _tested(module: Module, statement: ast.stmt, name: str) -> ast.stmt:
    """The last of the refusals right behind the call: what they let pass is the body."""
    block = module.block(statement)
    last = statement
    for item in block[block.index(statement) + 1 :]:
        if not isinstance(item, ast.If) or item.orelse or not isinstance(item.body[-1], ast.Return | ast.Raise) or name in names_in(item.test):
            break
        last = item
    return last
