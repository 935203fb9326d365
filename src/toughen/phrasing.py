"""Owns how a project words its SQL: statements on a column whose values stand in the text are bound first, and a new one is written as others are."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from toughen.codemod import Draft, Module, bind
from toughen.codemod.sqltext import Hole, read
from toughen.codemod.statements import dynamic, executions
from toughen.handling import Place, called, calls_of, parsed
from toughen.touches import statement_text

if TYPE_CHECKING:
    from collections.abc import Mapping

_WRITES = re.compile(r"\s*(INSERT|UPDATE|DELETE)\b(?!.*\bRETURNING\b)", re.IGNORECASE | re.DOTALL)
"""What changes rows and gives none back."""
_MOST = 40
"""Statements that are bound at most."""
_PAIR = 2
"""A statement's text and its values."""


def bound(sources: Mapping[str, str], table: str, column: str) -> dict[str, str]:
    """The sources in which no statement on a column of a table has values in its text, as far as they can be bound."""
    now = dict(sources)
    refused: set[tuple[str, str]] = set()
    for _ in range(_MOST):
        project = list(parsed(now).values())
        found = next(((module, line, text) for module in project for line, text in _loose(module, project, table, column) if (module.file, text) not in refused), None)
        if found is None:
            break
        module, line, text = found
        draft = bind(module, line, project=project)
        if isinstance(draft, Draft):
            now[module.file] = draft.done()
        if not isinstance(draft, Draft) or now[module.file] == module.text:
            refused.add((module.file, text))
    return now


def _loose(module: Module, project: list[Module], table: str, column: str) -> list[tuple[int, str]]:
    """(line, text) of each statement that compares the column with a value in its text, or inserts a row with values in it."""
    named = re.compile(rf"\b(FROM|INTO|UPDATE|JOIN)\s+[\"`]?{re.escape(table)}\b", re.IGNORECASE)
    asked = re.compile(rf"\b{re.escape(column)}\b[\"`]?\s*=\s*['\"]?\0", re.IGNORECASE)
    given = re.compile(rf"\bINTO\b[^()]*\([^()]*\b{re.escape(column)}\b[^()]*\)\s*VALUES\b.*\0", re.IGNORECASE | re.DOTALL)
    result = []
    for line, found in dynamic(module, project):
        atoms = read(module, found.text).atoms
        text = "".join("\0" if isinstance(each, Hole) else each.value for each in atoms)
        if named.search(text) and (asked.search(text) or given.search(text)):
            result.append((line, text))
    return result


def alike(place: Place, call: ast.Call, text: str, values: str, project: tuple[Module, ...]) -> str:
    """The call of a function of the project's own that runs SQL, worded as another call of it with an INSERT, UPDATE or DELETE; "" where there is none."""
    helper = called(place, call, project)
    for module in project if helper is not None else ():
        for node in module.functions:
            for other in calls_of(node):
                found = next((each for each in executions(module, other, project) if each.call is other), None)
                if found is None or not _WRITES.match(statement_text(Place(module, node), found.text)):
                    continue
                inner = called(Place(module, node), other, project)
                more = [each for each in other.keywords if each.value is not found.parameters]
                if inner is None or helper is None or inner.node is not helper.node or len(other.args) > _PAIR or not all(isinstance(each.value, ast.Constant) for each in more):
                    continue
                waits = "await " if isinstance(module.parent(other), ast.Await) else ""
                named = next((f"{each.arg}=" for each in other.keywords if each.value is found.parameters), "")
                return f"{waits}{place.module.segment(call.func)}({', '.join([text, f'{named}{values}', *(module.segment(each) for each in more)])})"
    return ""
