"""Owns the mend of states that are entered once: an UPDATE that hits no row which is in its last state already."""

from __future__ import annotations

import ast

from toughen import syntax
from toughen.codemod.answers import swallowing
from toughen.codemod.draft import Draft, word
from toughen.codemod.module import Module, dotted, halt
from toughen.codemod.races import Step, hit, origin
from toughen.codemod.transactions import copied_refusal


@word
def settle(module: Module, line: int, *, key: str = "id", unset: bool = False) -> Draft:
    """Bring a row to a state in one conditional UPDATE, and refuse where it is in that state already.

    Shapes: SQLAlchemy `row.status = "paid"` (a constant, or a name of a class as enums have) at `line`, where `row` was loaded by one
    query of this function or is a parameter annotated with its model. `unset` says that the column holds nothing before
    (`row.paid_at = now()`): then that is the condition, and any value fits. The refusal is the copy of the nearest
    earlier check of that attribute, else 409 in the file's style. Refuses rows without a known model or session, values
    that are computed, and refusals that a broad handler around would swallow.
    """
    statement = module.statement(line)
    match statement:
        case ast.Assign(targets=[ast.Attribute(value=ast.Name(id=row), attr=column)], value=value):
            found = Step(statement, row, column, "=", value)
        case _:
            return halt(f"{module.file}:{line} is no `row.column = value`")
    function = module.enclosing(statement) or halt("the change stands outside of a function")
    if not unset and not (isinstance(value, ast.Constant) or dotted(value).count(".") >= 1):
        halt(f"the new {column} is computed")
    session, model = origin(module, function, found)
    refusal, imports = copied_refusal(module, function, statement, f"{row}.{column}")
    if refusal.lstrip().startswith("raise") and swallowing(module, statement) is not None:
        halt("a broad handler around the change would swallow the refusal")
    text = module.segment(value)
    flag = isinstance(value, ast.Constant) and isinstance(value.value, bool)
    # `!= True` is what linters dislike, and holds for no row that has nothing there.
    condition = f"{model}.{column}.is_(None)" if unset else f"{model}.{column}.isnot({text})" if flag else f"{model}.{column} != {text}"
    parts = [f"{session}.query({model})", f".filter({model}.{key} == {row}.{key}, {condition})", f".update({{{model}.{column}: {text}}})"]
    draft = hit(module, statement, parts, session, refusal) + imports
    return draft.note(f"{column} is changed by an UPDATE of its own now: ORM events and version columns do not see it.")


def assigned(text: str, function: str, column: str) -> list[int]:
    """Lines in a function at which `row.column` is set."""
    tree = syntax.tree(text)
    wanted = function.rpartition(".")[2]
    homes = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == wanted] if tree else []
    return sorted(
        node.lineno
        for home in homes
        for node in ast.walk(home)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute) and node.targets[0].attr == column
    )
