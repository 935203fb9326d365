"""Owns which rows the lab writes beforehand so that an honest request passes: a balance, a date, a row that is the asker's own."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from toughen import sql
from toughen.explore.people import role_column
from toughen.explore.refusing import comparisons, tail
from toughen.explore.values import Candidate, normal, words
from toughen.lab.requests import text_of
from toughen.model.journey import Grant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.explore.refusing import Guarding
    from toughen.explore.session import Plan, Session
    from toughen.model.blueprint import Json, Table
    from toughen.model.trace import Exchange

_FAR = 1_000_000
_MOST = 4
_SACRED = re.compile(r"token|session|migration|alembic", re.IGNORECASE)
"""Tables that no grant touches: writing an expiry there logged everybody out."""
_POWER = re.compile(r"(^|_)(admin|superuser|staff|moderator|root|roles?|permissions?|privileges?|scopes?|access_level)(_|$)", re.IGNORECASE)


def passing_grants(
    session: Session, plan: Plan, exchange: Exchange, branch: Guarding, said: str, identity: str | None
) -> Iterator[Plan]:
    """Write the column that the branch reads so that the honest request passes."""
    read = [node for node in ast.walk(branch.test) if isinstance(node, ast.Attribute | ast.Subscript | ast.Name | ast.Call)]
    names = dict.fromkeys(tail(node) for node in read)
    rows = rows_read(session, exchange)
    positional = any(isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, int) for node in read)
    if positional:
        names.update(dict.fromkeys(f"is_{word}" for word in words(said)))
        names.update(dict.fromkeys(words(said)))
    yield from _owned(session, plan, rows, branch, identity)
    seen: set[tuple[str, str]] = set()
    for row, table_name in rows:
        table = session.blueprint.table(table_name)
        if table is None or _SACRED.search(table.name):
            continue
        for name in names:
            column = next((each for each in table.columns if normal(each.name) == normal(name)), None)
            if column is None or column.primary_key or column.references or (table.name, column.name) in seen:
                continue
            if _untouchable(table, column.name):
                continue
            seen.add((table.name, column.name))
            where = _which(table, row)
            for value in _passing(column.type, row.get(column.name), branch, name):
                yield plan.grant(Grant(table.name, where, column.name, value), f"grant {table.name}.{column.name}")


def _untouchable(table: Table, column: str) -> bool:
    """What says who somebody is and what he may do is never granted: every authorization verdict would be void."""
    return bool(_POWER.search(column)) or column == role_column(table) or "password" in column.lower() or column.lower() in {"email", "username"}


def _owned(session: Session, plan: Plan, rows: list[tuple[dict[str, Json], str]], branch: Guarding, identity: str | None) -> Iterator[Plan]:
    """A column that the branch compares with who asks (`task.assigned_to != user.id`): the row becomes his."""
    own = session.wallet.identities.get(identity) if identity else None
    if own is None or not own.row:
        return
    for left, operator, right in comparisons(branch):
        if not isinstance(operator, ast.Eq | ast.NotEq):
            continue
        for side, other in ((left, right), (right, left)):
            if isinstance(other, ast.Constant):
                continue
            for row, name in rows:
                table = session.blueprint.table(name)
                column = next((each for each in table.columns if normal(each.name) == normal(tail(side))), None) if table else None
                if table is None or column is None or column.primary_key or own.table in {None, table.name} or _untouchable(table, column.name):
                    continue
                theirs = next((value for key, value in own.row.items() if normal(key) == normal(tail(other))), None)
                if theirs is None and (column.references or normal(column.name).endswith("_id") or column.type == "integer"):
                    theirs = next((value for key, value in own.row.items() if key.lower() in {"id", "user_id", "uid"}), None)
                if theirs is None or _same(row.get(column.name), theirs):
                    continue
                held = next((each for each in reversed(session.rows(name)) if _same(each.get(column.name), theirs)), None)
                if held is not None:
                    keys = [each.name for each in table.columns if each.primary_key]
                    changes = {key: Candidate(held[pk], "rows", stored=(table.name, pk)) for key, candidate in plan.values for pk in keys if _same(candidate.value, row.get(pk))}  # type: ignore[arg-type]
                    if changes:
                        yield plan.put(changes, "own")
                elif session.own_only:
                    session.withheld = True
                else:
                    yield plan.grant(Grant(table.name, _which(table, row), column.name, theirs), f"grant {table.name}.{column.name}")


def bound_grants(session: Session, plan: Plan, exchange: Exchange) -> Iterator[Plan]:
    """Where a statement sought our row under a condition that it does not meet (its owner, its state): the row meets it."""
    sent = {text_of(candidate.value) for _, candidate in plan.values} - {""}
    found = 0
    for statement in exchange.statements:
        if statement.verb != "select" or statement.rows != 0:
            continue
        bound = [(column, value) for (_, column, operator), value in zip(sql.bindings(statement.text), statement.parameters, strict=False) if operator == "eq" and column]
        ours = [(column, value) for column, value in bound if text_of(value) in sent]
        others = [(column, value) for column, value in bound if text_of(value) not in sent]
        for name in statement.reads if ours and others else ():
            table = session.blueprint.table(name)
            if table is None or _SACRED.search(table.name) or any(table.column(column) is None for column, _ in bound):
                continue
            row = next((each for each in reversed(session.rows(name)) if all(_same(each.get(column), value) for column, value in ours)), None)
            if row is None or found >= _MOST or any(_untouchable(table, column) for column, _ in others):
                continue
            granted = plan
            for column, value in others:
                if not _same(row.get(column), value):
                    granted = granted.grant(Grant(table.name, _which(table, row), column, value), f"grant {table.name}.{column}")  # type: ignore[arg-type]
            if granted is not plan and session.own_only:
                session.withheld = True
            elif granted is not plan:
                found += 1
                yield granted


def _which(table: Table, row: dict[str, Json]) -> tuple[tuple[str, Json], ...]:
    keys = [column.name for column in table.columns if column.primary_key] or [column.name for column in table.columns if column.unique]
    return tuple((key, row.get(key)) for key in (keys or list(row)[:3]))


def _passing(kind: str, value: Json, branch: Guarding, name: str) -> list[Json]:
    """Values of a column that might pass the branch."""
    literals: list[Json] = [each.value for each in ast.walk(branch.test) if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    if kind == "boolean" or normal(name).startswith(("is_", "has_")) or isinstance(value, bool):
        return [0 if value else 1]
    if kind in {"datetime", "date"} or (isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d", value)):
        far, past = ("2099-01-01 00:00:00", "2001-01-01 00:00:00") if kind != "date" else ("2099-01-01", "2001-01-01")
        if isinstance(value, str) and "T" in value:
            far, past = far.replace(" ", "T"), past.replace(" ", "T")
        return [far, past, None]
    if isinstance(value, int | float) or kind in {"integer", "number"}:
        return [_FAR, 0, 1] if value in {None, 0} or (isinstance(value, int | float) and value < _FAR) else [0]
    if literals:
        return [each for each in literals if each != value][:3]
    return [None] if value is not None else []


def rows_read(session: Session, exchange: Exchange) -> list[tuple[dict[str, Json], str]]:
    """Rows that the handler read, newest first, whole (a SELECT of some columns names its row by what it shows)."""
    found: list[tuple[dict[str, Json], str]] = []
    for statement in reversed(exchange.statements):
        if statement.verb != "select" or not statement.sample:
            continue
        for table in statement.reads:
            for sample in statement.sample[:1]:
                row = _whole(session, table, sample, statement.text, statement.parameters)
                if row is not None:
                    found.append((row, table))
    return found


def _whole(session: Session, table: str, sample: dict[str, Json], text: str, bound: tuple[Json, ...]) -> dict[str, Json] | None:
    known = session.blueprint.table(table)
    if known is None:
        return None
    names = {column.name.lower(): column.name for column in known.columns}
    shown = {}
    for key, value in sample.items():
        short = key.lower().removeprefix(f"{table}_")
        if short in names:
            shown[names[short]] = value
        elif key.lower() in names:
            shown[names[key.lower()]] = value
    wanted = {names[column]: value for (_, column, operator), value in zip(sql.bindings(text), bound, strict=False) if operator == "eq" and column in names}
    keys = {column.name for column in known.columns if column.primary_key} & set(shown)
    sought = {name: shown[name] for name in keys} if keys else {**wanted, **shown}
    for row in reversed(session.rows(table)):
        if all(_same(row.get(name), value) for name, value in sought.items()):
            return row  # type: ignore[return-value]
    return None


def _same(one: object, other: object) -> bool:
    if isinstance(one, bool | int | float) and isinstance(other, bool | int | float):
        return float(one) == float(other)
    return str(one)[:200] == str(other)[:200]
