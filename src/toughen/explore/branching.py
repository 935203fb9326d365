"""Owns what the source says about a refusal: the branch that ended the handler, what it compared, and what would pass it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from toughen import sql
from toughen.explore import learn
from toughen.explore.granting import bound_grants, passing_grants, rows_read
from toughen.explore.literals import values_of
from toughen.explore.outcomes import Depth, depth, message
from toughen.explore.raised import raised_plans
from toughen.explore.refusing import Guarding, comparisons, refusals, tail
from toughen.explore.session import Entry
from toughen.explore.values import Candidate, grants_power, normal
from toughen.model.journey import Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.explore.session import Key, Plan, RouteState, Session
    from toughen.model.blueprint import Json
    from toughen.model.trace import Exchange

_MOST_LITERALS = 4
_FEWEST_FIELDS = 2


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
    yield from bound_grants(session, plan, traced)
    for branch in branches:
        yield from passing_grants(session, plan, traced, branch, message(exchange) + " " + branch.said, identity)


def _note_roles(session: Session, state: RouteState, branch: Guarding) -> None:
    known = {str(role).lower(): str(role) for role in session.blueprint.roles}
    for node in ast.walk(branch.test):
        word = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else node.attr if isinstance(node, ast.Attribute) else None
        if word and word.lower() in known:
            state.roles.add(known[word.lower()])


def _keys_named(state: RouteState, plan: Plan, name: str) -> list[Key]:
    """Places of the request that carry that name."""
    wanted = normal(name)
    found = [key for key, _ in plan.values if normal(str(key[1][-1])) == wanted]
    return found or [key for key in state.parameters if normal(str(key[1][-1])) == wanted]


def _mirrors(session: Session, state: RouteState, plan: Plan, exchange: Exchange, branch: Guarding) -> Iterator[Plan]:
    """A parameter compared with a column: take that column from the row that the other parameters found."""
    for left, operator, right in comparisons(branch):
        if not isinstance(operator, ast.Eq | ast.NotEq | ast.Lt | ast.LtE | ast.Gt | ast.GtE):
            continue
        equal = isinstance(operator, ast.Eq | ast.NotEq)
        for parameter, column in ((left, right), (right, left)):
            name = tail(column)
            keys = _keys_named(state, plan, tail(parameter))
            if not keys or isinstance(column, ast.Constant) or not name:
                continue
            for row, table in rows_read(session, exchange):
                held, value = next(((key, each) for key, each in row.items() if normal(key) == normal(name)), ("", None))
                if value is not None and equal:
                    names = next(((column, key) for key, one in plan.values for column, each in row.items() if key not in keys and column != held and one.origin is not None and one.value == each), None)
                    yield plan.put(dict.fromkeys(keys, Candidate(value, "mirror", stored=(table, held), beside=names)), "mirror")
                elif held and equal:
                    yield from _filled(session, plan, (table, row, held), keys)
                elif isinstance(value, int | float) and not isinstance(value, bool):
                    for each in (value, value + 1, value - 1):
                        yield plan.put(dict.fromkeys(keys, Candidate(each, "branch")), "branch")


def _filled(session: Session, plan: Plan, empty: tuple[str, dict[str, Json], str], keys: list[Key]) -> Iterator[Plan]:
    """Where the row that was found holds nothing there (no code was sent to him): the request that fills it, once more for him."""
    table, row, held = empty
    maker = next((each for each in reversed(session.history) if any(table in one.writes and held.lower() in sql.written_columns(one.text) for one in each.exchange.statements if one.verb == "update")), None)
    if maker is None:
        return
    owned: dict[Key, Candidate] = {}
    for key, _ in maker.plan.values:
        own = next((value for name, value in row.items() if normal(name) == normal(str(key[1][-1])) and value is not None), None)
        if own is not None:
            owned[key] = Candidate(own, "rows")
    call, again = maker.call, maker.plan.put(owned, "once more")
    for (place, path), candidate in owned.items():
        call = call.with_argument(place, path, Literal(candidate.value))
    exchange = session.send(call)
    filled = next((each for each in session.rows(table) if all(each.get(name) == value for name, value in list(row.items())[:1])), {})
    if depth(exchange) is Depth.SUCCESS and filled.get(held) is not None:
        session.history.append(Entry(maker.route, call, exchange, again, kept=True))
        yield plan.put(dict.fromkeys(keys, Candidate(filled[held], "mirror", stored=(table, held))), "mirror")  # type: ignore[arg-type]


def _values(session: Session, state: RouteState, plan: Plan, branch: Guarding) -> Iterator[Plan]:
    """Parameters compared with literals: all of them at once, then each, and numbers on either side of it."""
    yield from _equal(session, state, plan, branch)
    for left, operator, right in comparisons(branch):
        for side, other in ((left, right), (right, left)):
            keys = _keys_named(state, plan, tail(side))
            if not keys or (grants_power(tail(side)) and not isinstance(operator, ast.In | ast.NotIn)):
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
    for left, operator, right in comparisons(branch):
        if isinstance(operator, ast.Eq | ast.NotEq):
            for side, other in ((left, right), (right, left)):
                for key in _keys_named(state, plan, tail(side))[:1]:
                    for value in values_of(session, other, 1):
                        together.setdefault(key, Candidate(value, "branch"))
    if len(together) > 1 and not any(grants_power(str(key[1][-1])) for key in together):
        yield plan.put(together, "branch")


def _patterns(session: Session, state: RouteState, plan: Plan, branch: Guarding) -> Iterator[Plan]:
    """Parameters that a regular expression looks at: a text that it takes."""
    for node in ast.walk(branch.test):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in {"match", "fullmatch", "search"}:
            pattern = next((each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)), None)
            keys = [key for each in node.args for key in _keys_named(state, plan, tail(each))]
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
