"""Owns the mend of effects that come too early: what is told to others goes behind the commit of what it is about."""

from __future__ import annotations

import ast

from toughen.codemod.draft import Draft, Edit, word
from toughen.codemod.mechanics import after, alone
from toughen.codemod.module import Module, Span, halt, names_in
from toughen.codemod.races import calls_of


@word
def defer(module: Module, line: int) -> Draft:
    """Put the statement at `line`, which tells somebody something, behind the last commit that follows in its block.

    Shapes: a call as a statement of its own (also awaited, also a `with` that sends a mail and binds nothing that is used later),
    and `session.commit()` as a later statement of the same block. Refuses calls whose result is used, a commit that is not
    there or stands deeper, names that are bound again in between, and a return or raise in between.
    """
    statement = module.statement(line)
    if module.enclosing(statement) is None:
        halt("the call stands outside of a function")
    statement = _whole(module, statement)
    block = module.block(statement)
    index = block.index(statement)
    commits = [at for at in range(index + 1, len(block)) if isinstance(block[at], ast.Expr) and any(True for _ in calls_of(block[at], "commit"))]
    if not commits:
        halt("no commit follows in its block")
    between = block[index + 1 : commits[-1] + 1]
    if any(isinstance(node, ast.Return | ast.Raise) for each in between for node in ast.walk(each)):
        halt("the function may leave before its commit")
    if module.inner_lines & set(range(statement.lineno + 1, (statement.end_lineno or statement.lineno) + 1)):
        halt("it holds a text of several lines")
    asked = names_in(statement)
    bound = {node.id for each in between for node in ast.walk(each) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    if asked & bound:
        halt(f"{min(asked & bound)} is bound again before the commit")
    span = alone(module, statement)
    start, end = module.line_start(span.start), module.line_end(span.end)
    end += len(module.newline) if module.cut(Span(end, min(len(module.data), end + len(module.newline)))) == module.newline else 0
    draft = Draft(module, (Edit(start, end, ""),)) + after(module, block[commits[-1]], module.segment(statement).replace("\n" + module.indent(statement), "\n"))
    return draft.note("What is told comes after the commit now: where the process dies in between, nobody is told, rather than twice.")


def _whole(module: Module, statement: ast.stmt) -> ast.stmt:
    """The statement itself, or the `with` around it that binds nothing which is used behind it."""
    if isinstance(statement, ast.Expr):
        value = statement.value.value if isinstance(statement.value, ast.Await) else statement.value
        if not isinstance(value, ast.Call):
            halt("it is no call of its own")
        above = module.parent(statement)
        while isinstance(above, ast.With | ast.AsyncWith):
            statement, above = above, module.parent(above)
        return statement
    if isinstance(statement, ast.With | ast.AsyncWith):
        return statement
    return halt("what the call returns is used")
