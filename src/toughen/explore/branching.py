"""Owns what the source says about a refusal: the branch that ended the handler, what it compared, and what would pass it."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from toughen import sql
from toughen.explore import learn
from toughen.explore.literals import values_of
from toughen.explore.outcomes import message
from toughen.explore.people import role_column
from toughen.explore.raised import raised_plans
from toughen.explore.refusing import Guarding, refusals
from toughen.explore.values import Candidate, grants_power, normal, words
from toughen.model.journey import Grant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.explore.session import Key, Plan, RouteState, Session
    from toughen.model.blueprint import Json, Table
    from toughen.model.trace import Exchange

_FAR = 1_000_000
_MOST_LITERALS = 4
_FEWEST_FIELDS = 2
_SACRED = re.compile(r"token|session|migration|alembic", re.IGNORECASE)
"""Tables that no grant touches: writing an expiry there logged everybody out."""


def branch_plans(session: Session, state: RouteState, plan: Plan, exchange: Exchange, identity: str | None) -> Iterator[Plan]:
    """Read the branch that refused and yield plans that would pass it: other values, a row's own value, or a grant."""
    checkpoint = session.lab.world.checkpoint()
    for grant in plan.grants:
        session.lab.world.write(grant)
    traced = session.send(plan.call(state.route, identity, state.body), lines=True)
    session.lab.world.rollback(checkpoint)
    place = traced.last_line
    if place is None or place.file not in session.sources:
        return
    better = learn.demanded(state, plan, traced, session)
    if better is not None:
        yield better
    yield from raised_plans(session, state, plan, traced)
    branches = refusals(session.sources, traced)
    for branch in branches[:1]:
        _note_roles(session, state, branch)
    for branch in branches:
        yield from _mirrors(session, state, plan, traced, branch)
        yield from _values(session, state, plan, branch)
    yield from _records(session, state, plan)
    for branch in branches:
        yield from _grants(session, plan, traced, branch, message(exchange) + " " + branch.said)


def _note_roles(session: Session, state: RouteState, branch: Guarding) -> None:
    known = {str(role).lower(): str(role) for role in session.blueprint.roles}
    for node in ast.walk(branch.test):
        word = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else node.attr if isinstance(node, ast.Attribute) else None
        if word and word.lower() in known:
            state.roles.add(known[word.lower()])


def _comparisons(branch: Guarding) -> Iterator[tuple[ast.expr, ast.cmpop, ast.expr]]:
    for node in ast.walk(branch.test):
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            yield node.left, node.ops[0], node.comparators[0]


def _tail(node: ast.expr) -> str:
    """The last name of `user.balance`, `card["is_frozen"]`, `data.get("pin")`, `amount`."""
    match node:
        case ast.Attribute(attr=attr):
            return attr
        case ast.Subscript(slice=ast.Constant(value=str() as key)):
            return key
        case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value=str() as key), *_]):
            return key
        case ast.Call(args=[inner, *_]):
            return _tail(inner)
        case ast.Name(id=name):
            return name
        case ast.BinOp(left=left):
            return _tail(left)
    return ""


def _keys_named(state: RouteState, plan: Plan, name: str) -> list[Key]:
    """Places of the request that carry that name."""
    wanted = normal(name)
    found = [key for key, _ in plan.values if normal(str(key[1][-1])) == wanted]
    return found or [key for key in state.parameters if normal(str(key[1][-1])) == wanted]


def _mirrors(session: Session, state: RouteState, plan: Plan, exchange: Exchange, branch: Guarding) -> Iterator[Plan]:
    """A parameter compared with a column: take that column from the row that the other parameters found."""
    for left, operator, right in _comparisons(branch):
        if not isinstance(operator, ast.Eq | ast.NotEq | ast.Lt | ast.LtE | ast.Gt | ast.GtE):
            continue
        equal = isinstance(operator, ast.Eq | ast.NotEq)
        for parameter, column in ((left, right), (right, left)):
            name = _tail(column)
            keys = _keys_named(state, plan, _tail(parameter))
            if not keys or isinstance(column, ast.Constant) or not name:
                continue
            for row, table in _rows_read(session, exchange):
                held, value = next(((key, each) for key, each in row.items() if normal(key) == normal(name)), ("", None))
                if value is not None and equal:
                    yield plan.put(dict.fromkeys(keys, Candidate(value, "mirror", stored=(table, held))), "mirror")
                elif isinstance(value, int | float) and not isinstance(value, bool):
                    for each in (value, value + 1, value - 1):
                        yield plan.put(dict.fromkeys(keys, Candidate(each, "branch")), "branch")


def _rows_read(session: Session, exchange: Exchange) -> list[tuple[dict[str, Json], str]]:
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


def _values(session: Session, state: RouteState, plan: Plan, branch: Guarding) -> Iterator[Plan]:
    """Parameters compared with literals: all of them at once, then each, and numbers on either side of it."""
    yield from _equal(session, state, plan, branch)
    for left, operator, right in _comparisons(branch):
        for side, other in ((left, right), (right, left)):
            keys = _keys_named(state, plan, _tail(side))
            if not keys or (grants_power(_tail(side)) and not isinstance(operator, ast.In | ast.NotIn)):
                continue
            for value in values_of(session, other, _MOST_LITERALS):
                tries: list[Json] = [value]
                if isinstance(value, int | float) and not isinstance(value, bool):
                    tries = [value + 1, value - 1, value] if value >= 0 else [value, value + 1]
                if isinstance(side, ast.Call) and getattr(side.func, "id", "") == "len" and isinstance(value, int):
                    tries = ["x" * (value + 1), "x" * max(1, value)]
                for each in tries:
                    yield plan.put(dict.fromkeys(keys, Candidate(each, "branch")), "branch")
    yield from _patterns(session, state, plan, branch)


def _equal(session: Session, state: RouteState, plan: Plan, branch: Guarding) -> Iterator[Plan]:
    """Several parameters that are compared for equality, each with what it is compared with, all at once."""
    together: dict[Key, Candidate] = {}
    for left, operator, right in _comparisons(branch):
        if isinstance(operator, ast.Eq | ast.NotEq):
            for side, other in ((left, right), (right, left)):
                for key in _keys_named(state, plan, _tail(side))[:1]:
                    for value in values_of(session, other, 1):
                        together.setdefault(key, Candidate(value, "branch"))
    if len(together) > 1 and not any(grants_power(str(key[1][-1])) for key in together):
        yield plan.put(together, "branch")


def _patterns(session: Session, state: RouteState, plan: Plan, branch: Guarding) -> Iterator[Plan]:
    """Parameters that a regular expression looks at: a text that it takes."""
    for node in ast.walk(branch.test):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in {"match", "fullmatch", "search"}:
            pattern = next((each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)), None)
            keys = [key for each in node.args for key in _keys_named(state, plan, _tail(each))]
            if pattern and keys:
                from dataclasses import replace

                for key in keys:
                    known = state.parameters.get(key)
                    if known is not None:
                        state.parameters[key] = replace(known, pattern=pattern)
                        yield plan.put({key: Candidate(session.maker.make(state.parameters[key]), "branch")}, "branch")


def _records(session: Session, state: RouteState, plan: Plan) -> Iterator[Plan]:
    """Records that the source itself holds (`USERS = {"admin": {...}}`): one whose fields have the names of two parameters or more."""
    found = 0
    for _, record in session.written:
        changes: dict[Key, Candidate] = {}
        for name, value in record.items():
            for key in _keys_named(state, plan, name)[:1]:
                changes[key] = Candidate(value, "literal")
        if len(changes) < _FEWEST_FIELDS or any(grants_power(str(key[1][-1])) for key in changes):
            continue
        yield plan.put(changes, "literal")
        found += 1
        if found == _MOST_LITERALS:
            return


def _grants(
    session: Session, plan: Plan, exchange: Exchange, branch: Guarding, said: str
) -> Iterator[Plan]:
    """Write the column that the branch reads so that the honest request passes."""
    read = [node for node in ast.walk(branch.test) if isinstance(node, ast.Attribute | ast.Subscript | ast.Name | ast.Call)]
    names = dict.fromkeys(_tail(node) for node in read)
    rows = _rows_read(session, exchange)
    positional = any(isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, int) for node in read)
    if positional:
        names.update(dict.fromkeys(f"is_{word}" for word in words(said)))
        names.update(dict.fromkeys(words(said)))
    seen: set[tuple[str, str]] = set()
    for row, table_name in rows:
        table = session.blueprint.table(table_name)
        if table is None or _SACRED.search(table.name):
            continue
        for name in names:
            column = next((each for each in table.columns if normal(each.name) == normal(name)), None)
            if column is None or column.primary_key or column.references or (table.name, column.name) in seen:
                continue
            if column.name == role_column(table) or "password" in column.name.lower() or column.name.lower() in {"email", "username"}:
                continue
            seen.add((table.name, column.name))
            where = _which(table, row)
            for value in _passing(column.type, row.get(column.name), branch, name):
                yield plan.grant(Grant(table.name, where, column.name, value), f"grant {table.name}.{column.name}")


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
