"""Owns the search for one route's success: a first honest request, then what each refusal teaches, within a budget."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from toughen.explore import handshake, learn, offers, outside
from toughen.explore.branching import branch_plans
from toughen.explore.inside import from_inside
from toughen.explore.outcomes import Depth, depth, message, wants_identity
from toughen.explore.people import password_column, password_parameter
from toughen.explore.raised import raised_plans
from toughen.explore.session import Entry, Plan, RouteState, Session
from toughen.explore.uploading import file_plans
from toughen.explore.values import Candidate, Origin, normal, required
from toughen.lab.requests import UnresolvedError, cookies, pick
from toughen.model.blueprint import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.explore.session import Key
    from toughen.model.blueprint import Json, Route
    from toughen.model.journey import Call
    from toughen.model.trace import Exchange

BUDGET = 28
"""Requests that one identity may spend on one route in one round."""
_UNSUPPORTED = 415
_VARIED = 2
"""How often an attempt varies one place at a time: around its first request, and around its last."""
_PATIENCE = 3
"""How often the same answer is read again for what it teaches."""
_ANEW = frozenset({"made again", "unused"})
"""Why a plan is sent that was sent before: what it names is there now."""
_DOING = frozenset({"add", "create", "new", "insert", "save"})
_MUTATING = {"POST", "PUT", "PATCH", "DELETE"}
_NAMES = frozenset({"username", "user_name", "email", "login", "user"})
_CREDENTIAL_COLUMNS = ("password", "passwd", "hash", "email", "username", "role", "admin", "active", "token")


def new_state(route: Route) -> RouteState:
    """What is known about a route before the first request."""
    parameters = {(each.place, each.path): each for each in route.parameters}
    body = route.body
    if body is None:
        places = {each.place for each in route.parameters}
        body = "multipart" if Place.FILE in places else "json" if Place.JSON in places else "form" if Place.FORM in places else None
    return RouteState(route, parameters, body)


def attempt(session: Session, state: RouteState, identity: str | None, *, keep: bool = False, budget: int = BUDGET, start: Plan | None = None) -> bool:
    """Try to reach the route's success as one identity; True when it was reached.

    A success that deletes or that changes who may log in is undone in the database, so that it does not spoil what comes
    after; with `keep` nothing is undone. The first request is that of `start`, else one with what is required.
    """
    if state.route.id in session.hung:
        return False
    session.current = identity
    session.forget()
    queue: deque[Plan] = deque([start or first_plan(session, state)])
    seen: set[str] = set()
    answers: Counter[tuple[int | None, str]] = Counter()
    spent = varied = 0
    shallow: Plan | None = None
    """What was answered well and yet seemed not to be all."""
    while queue and spent < budget:
        plan = queue.popleft()
        if f"{state.body} {plan.signature}" in seen and plan.why not in _ANEW:
            continue
        seen.add(f"{state.body} {plan.signature}")
        checkpoint = session.lab.world.checkpoint() if state.route.method in _MUTATING or plan.grants else {}
        granted = sum(session.lab.world.write(grant) for grant in plan.grants) == len(plan.grants)
        exchange = _heard(session, plan, plan.call(state.route, identity, state.body), checkpoint)
        spent += 1
        deep = depth(exchange, identified=session.known(identity, exchange))
        if deep is Depth.SUCCESS and granted:
            better = _deepen(session, state, plan, exchange, identity) if spent < budget else None
            if better is not None:
                session.lab.world.rollback(checkpoint)
                shallow = plan
                queue.clear()
                queue.append(better)
                continue
            _reach(session, state, plan, exchange, identity, checkpoint, keep=keep)
            return True
        if checkpoint:
            session.lab.world.rollback(checkpoint)
        _remember(state, plan, exchange, identity)
        again = _sent_otherwise(session, state, plan, exchange, identity)
        if again is not None:
            queue.appendleft(again)
            continue
        if deep is Depth.REFUSED and spent == 1 and (own := _in_own_name(session, plan, identity)) is not None:
            # It may ask who he is, and compare it with what was sent.
            queue.appendleft(own)
            continue
        if deep is Depth.REFUSED and wants_identity(exchange):
            if (spent == 1 or plan.why == "own name") and (identity is not None or _gives_password(plan)):
                # A log-in that knows nobody yet, or somebody whom it knows and who may not: perhaps the source says why.
                queue.clear()
                queue.extend(each for each in branch_plans(session, state, plan, exchange, identity) if each.grants or each.why in {"branch", "literal", "own", "mirror"})
            if queue:
                continue
            break
        if deep is Depth.DEAD:
            break
        answers[exchange.status, message(exchange)] += 1
        for better in reversed(_learned(session, state, plan, exchange, identity, answers[exchange.status, message(exchange)])):
            queue.appendleft(better)
        queue = deque(each for each in queue if f"{state.body} {each.signature}" not in seen or each.why in _ANEW)
        if varied < _VARIED and (spent == 1 or not queue):
            varied += 1
            queue.extend(_coordinates(session, state, plan))
    return shallow is not None and _reached_after_all(session, state, shallow, identity, keep=keep)


def _heard(session: Session, plan: Plan, call: Call, checkpoint: dict[str, Any]) -> Exchange:
    """Send a call; again, as long as the world outside answers with more of what the prototype asks of it."""
    exchange = session.send(call)
    for _ in range(outside.ROUNDS):
        if not exchange.outgoing or not session.outside.learn(exchange, succeeded=depth(exchange) is Depth.SUCCESS):
            break
        if checkpoint:
            session.lab.world.rollback(checkpoint)
            for grant in plan.grants:
                session.lab.world.write(grant)
        exchange = session.send(call)
    return exchange


def _in_own_name(session: Session, plan: Plan, identity: str | None) -> Plan | None:
    """The request with what names somebody taken from the row of whoever asks; None where it names nobody else."""
    row = session.wallet.identities[identity].row if identity in session.wallet.identities else {}
    own = {normal(name): value for name, value in row.items() if isinstance(value, str) and value and normal(name) in _NAMES}
    changes = {key: Candidate(own[normal(str(key[1][-1]))], "identity") for key, candidate in plan.values if own.get(normal(str(key[1][-1])), candidate.value) != candidate.value}
    return plan.put(changes, "own name") if changes else None


def _reached_after_all(session: Session, state: RouteState, plan: Plan, identity: str | None, *, keep: bool) -> bool:
    """Where nothing deeper was found: what was answered well before is the success."""
    checkpoint = session.lab.world.checkpoint() if state.route.method in _MUTATING or plan.grants else {}
    granted = sum(session.lab.world.write(grant) for grant in plan.grants) == len(plan.grants)
    exchange = session.send(plan.call(state.route, identity, state.body))
    if granted and depth(exchange, identified=session.known(identity, exchange)) is Depth.SUCCESS:
        _reach(session, state, plan, exchange, identity, checkpoint, keep=keep)
        return True
    session.lab.world.rollback(checkpoint)
    return False


def _sent_otherwise(session: Session, state: RouteState, plan: Plan, exchange: Exchange, identity: str | None) -> Plan | None:
    """The same request in the form that the answer asks for: as JSON, with a new token, on the state that it saw."""
    nothing = exchange.failure is not None and "NoneType" in exchange.failure.message and state.route.method in _MUTATING
    if state.body is None and (exchange.status == _UNSUPPORTED or nothing):
        # It wants JSON and was sent nothing: an empty object tells which keys it asks for.
        state.body = "json"
        return plan
    return handshake.forgery(session, state, plan, exchange) or handshake.precondition(session, state, plan, exchange) or from_inside(session, state, plan, exchange, identity)


def _gives_password(plan: Plan) -> bool:
    return any(password_parameter(str(key[1][-1])) for key, _ in plan.values)


def first_plan(session: Session, state: RouteState, *, every: bool = False) -> Plan:
    """Required values first (all but power fields with `every`)."""
    plan = Plan()
    for parameter in required(list(state.parameters.values()), every=every):
        key = (parameter.place, parameter.path)
        plan = plan.put({key: offers.first(session, state, parameter)}, "every" if every else "first")
    return plan


def _learned(session: Session, state: RouteState, plan: Plan, exchange: Exchange, identity: str | None, heard: int) -> list[Plan]:
    """What a failure suggests, as long as it says something new; the same words may still ask for one key more."""
    if heard == 1 or (heard <= _PATIENCE and not plan.grants):
        return list(_next(session, state, plan, exchange, identity))
    asked = learn.demanded(state, plan, exchange, session)
    return [] if asked is None else [asked]


def _next(session: Session, state: RouteState, plan: Plan, exchange: Exchange, identity: str | None) -> Iterator[Plan]:
    """Plans that this failure suggests, the surest first."""
    yield from learn.named_fields(state, plan, exchange, session)
    for better in (learn.demanded(state, plan, exchange, session), learn.invalid_fields(state, plan, exchange, session)):
        if better is not None:
            yield better
            return
    owner = _own_id(session, identity)
    yield from learn.wanted_rows(session, state, plan, exchange, owner)
    again = _made_again(session, state, plan, exchange)
    if again is not None:
        yield again
    fresh = learn.fresh_values(session, state, plan, exchange)
    if fresh is not None:
        yield fresh
    yield from file_plans(session, plan, exchange)
    yield from raised_plans(session, state, plan, exchange)
    yield from branch_plans(session, state, plan, exchange, identity)
    unused = _unused_row(session, state, plan, exchange)
    if unused is not None:
        yield unused


def _unused_row(session: Session, state: RouteState, plan: Plan, exchange: Exchange) -> Plan | None:
    """Where the row is not the right one (others refer to it, it has run its course) or there is none: one more, made by the route that makes them."""
    deep = depth(exchange)
    if deep not in {Depth.INVALID, Depth.CONFLICT, Depth.MISSING} or plan.why == "unused":
        return None
    for key, table, column, statement in learn.bind(state, plan, exchange):
        if deep is Depth.MISSING and (statement.rows or session.rows(table)):
            continue
        makers = [
            entry for entry in session.history
            if entry.route != state.route.id and any(each.verb == "insert" and table in each.writes for each in entry.exchange.statements)
        ]
        if not makers or not (statement.rows or deep is Depth.MISSING):
            continue
        maker = makers[-1]
        before = {repr(row) for row in session.rows(table)}
        answer = session.send(maker.call)
        new = [row for row in session.rows(table) if repr(row) not in before]
        value = next((each for name, each in (new[-1] if new else {}).items() if name.lower() == column.lower()), None)
        if depth(answer) is Depth.SUCCESS and value is not None:
            session.history.append(Entry(maker.route, maker.call, answer, maker.plan, kept=True))
            return plan.put({key: Candidate(value, "sqltrace", stored=(table, column))}, "unused")  # type: ignore[arg-type]
    return None


def _made_again(session: Session, state: RouteState, plan: Plan, exchange: Exchange) -> Plan | None:
    """Where what our value names is gone (deleted, used up, or forgotten with the process's memory): make it once more."""
    if depth(exchange) not in {Depth.MISSING, Depth.INVALID} or plan.why == "made again":
        return None
    gone = depth(exchange) is Depth.MISSING
    changes: dict[Key, Candidate] = {}
    for key, candidate in plan.values:
        if candidate.origin is None:
            continue
        maker = session.history[candidate.origin.entry]
        # A page that writes a row hands out what serves once: a captcha, a ticket.
        hands_out = maker.route.startswith("GET ") and any(each.verb == "insert" for each in maker.exchange.statements)
        if maker.route == state.route.id or not (hands_out or (gone and not maker.route.startswith("GET "))):
            continue
        answer = session.send(maker.call)
        if depth(answer) is not Depth.SUCCESS:
            continue
        session.history.append(Entry(maker.route, maker.call, answer, maker.plan, kept=True))
        try:
            value = pick([answer], 0, candidate.origin.pointer)
        except UnresolvedError:
            continue
        changes[key] = Candidate(value, "pool", Origin(len(session.history) - 1, candidate.origin.pointer))
    if changes or not gone:
        return plan.put(changes, "made again") if changes else None
    return _made_at_all(session, state, plan)


def _made_at_all(session: Session, state: RouteState, plan: Plan) -> Plan | None:
    """Where there is none of what a route shows, and nothing of it lies in a table: one more, under the key that its maker gave it."""
    kind = _shown(state.route.path)
    maker = next((entry for entry in reversed(session.history) if entry.route.startswith("POST ") and entry.route != state.route.id and _shown(entry.route) == kind), None)
    if maker is None or any(statement.writes for statement in maker.exchange.statements):
        return None
    answer = session.send(maker.call)
    if depth(answer) is not Depth.SUCCESS:
        return None
    session.history.append(Entry(maker.route, maker.call, answer, maker.plan, kept=True))
    sent = {normal(str(key[1][-1])): candidate for key, candidate in maker.plan.values if key[1]}
    keys = {key: normal(str(key[1][-1])) for key, _ in plan.values if key[0] in {Place.PATH, Place.QUERY}}
    return plan.put({key: replace(sent[name], source="pool") for key, name in keys.items() if name in sent}, "made again")


def _shown(path: str) -> str:
    """The last word of a path that is no parameter: what it shows."""
    return next((part for part in reversed(path.strip("/").split("/")) if part and "{" not in part and part not in _DOING), "")


def _coordinates(session: Session, state: RouteState, plan: Plan) -> Iterator[Plan]:
    """All optional values at once, then one place at a time."""
    more = {key: candidate for key, candidate in first_plan(session, state, every=True).values if plan.get(key) is None}
    if more:
        yield plan.put(more, "every")
    for key, candidate in plan.values:
        parameter = state.parameters.get(key)
        if parameter is None:
            continue
        for other in offers.offers(session, state, parameter):
            if other.source == candidate.source == "name":
                continue
            if other.value != candidate.value or type(other.value) is not type(candidate.value):
                yield plan.put({key: other}, f"coordinate {key[1]}")


def _own_id(session: Session, identity: str | None) -> Json:
    own = session.wallet.identities.get(identity) if identity else None
    if own is None:
        return None
    return next((value for name, value in own.row.items() if name.lower() in {"id", "user_id", "uid"}), None)


def _deepen(session: Session, state: RouteState, plan: Plan, exchange: Exchange, identity: str | None) -> Plan | None:
    """A 2xx during which the row that our value names was not found is not the success: name one that exists."""
    if plan.why in {"deepened", "every"}:
        return None
    empty = [statement for _, _, _, statement in learn.bind(state, plan, exchange) if statement.rows == 0]
    wrote = any(statement.writes for statement in exchange.statements)
    if empty and not wrote:
        for better in learn.wanted_rows(session, state, plan, exchange, _own_id(session, identity)):
            return replace(better, why="deepened")
    if state.route.method in _MUTATING and not any(key[0] in {Place.JSON, Place.FORM} for key, _ in plan.values):
        asked = learn.demanded(state, plan, exchange, session)
        every = first_plan(session, state, every=True) if asked is None else None
        if every is not None and any(key[0] in {Place.JSON, Place.FORM} for key, _ in every.values):
            asked = plan.put(dict(every.values), "every")
        if asked is not None:
            # It took nothing for an answer, and yet it asked for something.
            return replace(asked, why="deepened")
    if state.route.method in _MUTATING and not wrote and not state.shallow and session.lab.world.databases:
        state.shallow = True
        every = first_plan(session, state, every=True)
        if len(every.values) > len(plan.values):
            return plan.put(dict(every.values), "every")
    return None


def _reach(
    session: Session, state: RouteState, plan: Plan, exchange: Exchange, identity: str | None, checkpoint: dict, *, keep: bool  # type: ignore[type-arg]
) -> None:
    wrote = [statement for statement in exchange.statements if statement.writes]
    state.shallow = state.route.method in _MUTATING and not wrote and session.lab.world.databases != []
    undone = not keep and _spoils(session, exchange)
    if undone and checkpoint:
        session.lab.world.rollback(checkpoint)
    entry = Entry(state.route.id, plan.call(state.route, identity, state.body), exchange, plan, kept=not undone)
    session.history.append(entry)
    state.reached = entry
    if exchange.response is not None and exchange.response.is_json and not undone:
        session.pool.learn(exchange.response.json, len(session.history) - 1, state.resource)
    _learn_sent(session, plan)
    emptied = exchange.response is not None and "" in cookies(exchange.response.headers).values()
    session.spoiled |= identity is not None and (emptied or state.shallow)


def _learn_sent(session: Session, plan: Plan) -> None:
    """What was sent and accepted is a value too (a name that now exists)."""
    for (place, path), candidate in plan.values:
        if place in {Place.JSON, Place.FORM} and isinstance(candidate.value, str | int) and isinstance(path[-1], str):
            session.pool.values.setdefault(normal(path[-1]), deque(maxlen=12)).append(candidate)


def _spoils(session: Session, exchange: Exchange) -> bool:
    """Whether later requests would meet a world without something: rows deleted, or users who cannot log in any more."""
    from toughen.sql import written_columns

    people = {table.name.lower() for table in session.blueprint.tables if password_column(table) is not None}
    for statement in exchange.statements:
        if statement.verb == "delete" and statement.rows != 0:
            return True
        if statement.verb == "ddl" and statement.text.lstrip()[:4].upper() == "DROP":
            return False
        if statement.verb == "update" and people & set(statement.writes):
            touched = written_columns(statement.text)
            if any(word in column for column in touched for word in _CREDENTIAL_COLUMNS):
                return True
    return False


def users_table(session: Session) -> str | None:
    """The table that holds a password column, lower case."""
    for table in session.blueprint.tables:
        if password_column(table) is not None:
            return table.name.lower()
    return None


def _remember(state: RouteState, plan: Plan, exchange: Exchange, identity: str | None) -> None:
    state.tried[identity] = exchange
    deep = depth(exchange)
    # A value that nobody asked for may crash a route that answers valid ones.
    guessed = plan.why.startswith("coordinate") and deep is Depth.CRASHED
    if state.deepest is None or (_rank(exchange) >= _rank(state.deepest) and not guessed):
        state.deepest, state.deepest_by = exchange, identity


def _rank(exchange: Exchange) -> tuple[Depth, bool]:
    """How deep it came; who is known but may not came deeper than who is not known."""
    deep = depth(exchange)
    return deep, deep is Depth.REFUSED and not wants_identity(exchange)
