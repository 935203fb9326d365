"""Owns what the source alone says of who may do what: routes without the guard of their siblings, rows chosen by key with no owner asked."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toughen.codemod.module import UnmendableError, dotted, names_in, scope_of
from toughen.codemod.orm import loads
from toughen.codemod.statements import executions
from toughen.doors import carries_right, door_by_name, is_idle
from toughen.handling import Handler, called, calls_of, handlers
from toughen.model.blueprint import Place as Where
from toughen.ownership import PRIVILEGED
from toughen.sharing import PRIVATE_TABLE
from toughen.touches import Rows, rows, statement_text
from toughen.twists import SECRET, users

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.codemod.module import FunctionNode
    from toughen.handling import Place
    from toughen.model.blueprint import Blueprint
    from toughen.model.finding import Suspicion
    from toughen.touches import Touch

_OWNERS = ("user_id", "owner_id", "author_id", "customer_id", "created_by", "creator_id", "member_id")
_CALLER = re.compile(r"current_user|get_jwt|\bg\.\w|jwt\.decode|request\.(user|headers|cookies|authorization)|identity|claims|(auth|verify|decode)\w*\(|token", re.IGNORECASE)
"""Where the caller comes from, in a handler that names no dependency for it."""
_COMMON = 2


@dataclass(frozen=True)
class Seen:
    """One route with what it touches."""

    handler: Handler
    rows: tuple[Rows, ...]
    """By function, the handler first."""

    @property
    def touches(self) -> list[Touch]:
        """All of them."""
        return [each for one in self.rows for each in one.touches]

    @property
    def reading(self) -> bool:
        """Whether the route is asked to show something."""
        return self.handler.route.method in {"GET", "HEAD"}

    @property
    def guarded(self) -> bool:
        """Whether anything asks who is calling."""
        return bool(self.handler.route.guards)

    @property
    def powerful(self) -> bool:
        """Whether only somebody in a role of power passes."""
        return any(PRIVILEGED.search(each) for guard in self.handler.route.guards for each in (guard.name, *guard.roles))


def _seen(blueprint: Blueprint, sources: Mapping[str, str]) -> list[Seen]:
    """Every route whose handler can be read; one that nests beyond reason is passed over."""
    found = []
    for handler in handlers(blueprint, sources):
        try:
            found.append(Seen(handler, tuple(rows(handler))))
        except (RecursionError, UnmendableError):
            continue
    return found


# -- no guard ----------------------------------------------------------------------------------------------------------


def unguarded(break_id: str, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
    """Routes that nobody asks, writing what siblings write only for somebody logged in, or showing what is secret."""
    seen = _seen(blueprint, sources)
    guarded = [each for each in seen if each.guarded]
    table = users(blueprint)
    people = table.name.lower() if table else ""
    for each in seen if guarded else ():
        route = each.handler.route
        if each.guarded or door_by_name(route.id) or any(carries_right(parameter.name) for parameter in route.parameters):
            continue
        write = next(((touch, sibling) for touch in each.touches if (sibling := _sibling(touch, guarded, people)) is not None), None)
        if write is not None:
            touch, sibling = write
            verb = {"insert": "adds", "update": "changes", "delete": "deletes"}[touch.verb]
            told = f", as {sibling.handler.route.id} does" if any(other.table == touch.table for other in sibling.touches) else ""
            yield each.handler.suspicion(break_id, touch.line, f"it {verb} rows of {touch.table} and asks nobody who is calling{told}", touch.place)
            continue
        shown = next(_secrets(each, people), None) if each.reading and people else None
        if shown is not None:
            line, column, place = shown
            yield each.handler.suspicion(break_id, line, f"it shows {column} of {people} and asks nobody who is calling", place)


def _sibling(touch: Touch, guarded: list[Seen], people: str) -> Seen | None:
    """The guarded route that touches the same table in a way that makes this touch somebody's: any writer for a DELETE, its own kind else."""
    if touch.verb == "select" or (touch.verb == "insert" and touch.table == people):
        return None
    if touch.verb == "update" and touch.columns and all(is_idle(each) for each in touch.columns):
        return None
    for each in guarded:
        for other in each.touches:
            if other.table != touch.table or other.verb == "select":
                continue
            moved = [column for column in other.columns if not is_idle(column)]
            if touch.verb == "delete" or (touch.verb == other.verb and (touch.verb == "insert" or moved)) or (touch.verb == "update" and other.verb == "delete"):
                return each
    return guarded[0] if touch.table == people and touch.verb in {"update", "delete"} else None


def _secrets(seen: Seen, people: str) -> Iterator[tuple[int, str, Place]]:
    """(line, column, where) of secret columns of users in what a route builds for its answer."""
    table = seen.handler.blueprint.table(people)
    secret = {each.name for each in table.columns if SECRET.search(each.name)} if table else set()
    if not any(each.table == people and each.verb == "select" for each in seen.touches):
        return
    for place in seen.handler.reach:
        for node in scope_of(place.node):
            match node:
                case ast.Dict(values=values):
                    for value in values:
                        if isinstance(value, ast.Attribute) and value.attr in secret:
                            yield value.lineno, value.attr, place
                case ast.Return(value=ast.expr() as value):
                    yield from _whole(seen, place, value, secret)
    for touch in seen.touches:
        if touch.table == people and touch.verb == "select" and touch.columns:
            chosen = touch.columns[0].upper().partition(" FROM ")[0]
            named = next((each for each in sorted(secret) if re.search(rf"\b{re.escape(each.upper())}\b", chosen)), "")
            if (named or "*" in chosen.replace("COUNT(*)", "")) and _is_shown(touch):
                yield touch.line, named or min(secret, default="every column"), touch.place


def _whole(seen: Seen, place: Place, value: ast.expr, secret: set[str]) -> Iterator[tuple[int, str, Place]]:
    """A row of users as FastAPI makes JSON of it, with nothing that chooses columns."""
    node = place.node
    if node is not seen.handler.home.node or seen.handler.blueprint.framework != "fastapi" or node.returns is not None or not secret:
        return
    if any(word.arg == "response_model" for each in node.decorator_list if isinstance(each, ast.Call) for word in each.keywords):
        return
    found = seen.rows[0]
    model = next((name for name, table in found.models.items() if secret <= {each.name for each in table.columns} and table is users(seen.handler.blueprint)), "")
    held = found.held.get(value.id) if isinstance(value, ast.Name) else None
    if model and ((held is not None and held is found.models[model]) or any(each.outer is value and each.model.endswith(model) for each in loads(place.module, value))):
        yield value.lineno, min(secret), place


def _is_shown(touch: Touch) -> bool:
    """Whether the row goes out whole: `dict(row)`, `fetchall()` or the like in what is returned."""
    for node in scope_of(touch.place.node):
        if isinstance(node, ast.Return) and node.value is not None:
            text = ast.unparse(node.value)
            if re.search(r"dict\(|fetch|rows?\b|users?\b|result", text) and "token" not in text:
                return True
    return False


# -- no owner ----------------------------------------------------------------------------------------------------------


def foreign(break_id: str, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
    """Routes that know who is calling and choose a row that has an owner by its key alone."""
    seen = _seen(blueprint, sources)
    table = users(blueprint)
    people = table.name.lower() if table else ""
    private = _private(seen, blueprint, people)
    for each in seen:
        if not each.guarded or each.powerful or asks(each, people):
            continue
        for touch in each.touches:
            owner = owner_of(blueprint, touch.table, people) or parent_owner(blueprint, touch.table, people)
            if touch.table == people and not each.reading and _names_a_user(each, people):
                owner = "id"
            if not owner or not _by_key(blueprint, touch):
                continue
            if touch.verb in {"update", "delete"} and not (touch.columns and all(is_idle(column) for column in touch.columns)):
                verb = "changes" if touch.verb == "update" else "deletes"
            elif touch.verb == "select" and each.reading and touch.table in private:
                verb = "shows"
            else:
                continue
            text = f"it {verb} a row of {touch.table} that is chosen by {', '.join(touch.by)} alone: nothing compares {owner} with who is calling"
            yield each.handler.suspicion(break_id, touch.line, text, touch.place)
            break


def owner_of(blueprint: Blueprint, table: str, people: str) -> str:
    """The column that names the user whom a row belongs to, "" where there is none."""
    known = blueprint.table(table)
    if known is None or table == people:
        return ""
    referring = next((each.name.lower() for each in known.columns if each.references and each.references[0].lower() == people), "")
    return referring or next((each for each in _OWNERS if known.column(each)), "")


def parent_owner(blueprint: Blueprint, table: str, people: str) -> str:
    """The owner's column one table away, `accounts.user_id` of a transaction; "" where there is none."""
    known = blueprint.table(table)
    for column in known.columns if known is not None and table != people else ():
        owner = owner_of(blueprint, column.references[0], people) if column.references else ""
        if owner and column.references:
            return f"{column.references[0]}.{owner}"
    return ""


def _names_a_user(seen: Seen, people: str) -> bool:
    """Whether the route loads the user whom its path names, rather than the caller."""
    home = seen.handler.home
    named = {each.name for each in seen.handler.route.parameters if each.place is Where.PATH}
    known = _callers(home, seen.handler)
    for touch in seen.rows[0].touches:
        names = names_in(home.module.statement(touch.line)) if touch.table == people and touch.verb == "select" else set()
        if names & named and not names & known:
            return True
    return False


def _by_key(blueprint: Blueprint, touch: Touch) -> bool:
    """Whether rows are chosen by the primary key, and by nothing else that could name an owner."""
    known = blueprint.table(touch.table)
    key = next((each.name.lower() for each in known.columns if each.primary_key), "id") if known else "id"
    return touch.by == (key,)


def _private(seen: list[Seen], blueprint: Blueprint, people: str) -> set[str]:
    """Tables that some listing limits to the caller while none shows all of them, and those that no prototype shares."""
    limited: set[str] = set()
    shown: set[str] = set()
    for each in seen:
        for touch in each.touches if each.reading and not each.powerful else ():
            owner = owner_of(blueprint, touch.table, people)
            if touch.verb == "select" and owner:
                (limited if owner in touch.by else shown if not touch.by else set()).add(touch.table)
    kinds = {each.name.lower() for each in blueprint.tables if PRIVATE_TABLE.search(each.name)}
    return (limited | kinds) - shown


def asks(seen: Seen, people: str) -> bool:
    """Whether anything on the way compares a row with who is calling, or chooses rows by the caller."""
    handler = seen.handler
    known = _callers(handler.home, handler)
    return _asked(handler.home, known, seen, people, 0) or any(
        _asked(place, _callers(place, handler), seen, people, _COMMON) for place in handler.reach[1:]
    )


def _asked(place: Place, known: set[str], seen: Seen, people: str, depth: int) -> bool:
    models = seen.rows[0].models

    def names_caller(node: ast.AST) -> bool:
        return bool(names_in(node) & known) or any(isinstance(each, ast.Call | ast.Attribute | ast.Subscript) and _is_caller(place, each) for each in ast.walk(node))

    def of_people(text: str) -> bool:
        return any(re.search(rf"\b{re.escape(model)}\b", text) for model, table in models.items() if table.name.lower() == people)

    for node in scope_of(place.node):
        match node:
            case ast.Compare(left=left, ops=[op, *_], comparators=comparators) if not isinstance(op, ast.Is | ast.IsNot) and names_caller(node):
                if not _is_presence(place, [left, *comparators]) and not any(of_people(dotted(each)) for each in (left, *comparators) if isinstance(each, ast.Attribute)):
                    return True
            case ast.Call(func=ast.Attribute(attr="filter_by"), keywords=keywords) if any(names_caller(each.value) for each in keywords) and not of_people(place.module.segment(node)):
                return True
            case ast.stmt():
                for found in executions(place.module, node, seen.handler.project):
                    text = statement_text(place, found.text)
                    if found.parameters is not None and names_caller(found.parameters) and not re.match(r"\s*INSERT", text, re.IGNORECASE) and not re.search(rf"\b(FROM|UPDATE)\s+{people or '_'}\b", text, re.IGNORECASE):
                        return True
    if depth >= _COMMON:
        return False
    for call in calls_of(place.node):
        inner = called(place, call, seen.handler.project)
        if inner is None or inner.node is place.node:
            continue
        names = [each.arg for each in (*inner.node.args.posonlyargs, *inner.node.args.args) if each.arg != "self"]
        given = {name for name, value in zip(names, call.args, strict=False) if names_caller(value)} | {each.arg for each in call.keywords if each.arg and names_caller(each.value)}
        if given and _asked(inner, given, seen, people, depth + 1):
            return True
    return False


def _is_presence(place: Place, sides: list[ast.expr]) -> bool:
    """`"user_id" not in session`, `user == None`: it asks for somebody, not for whom."""
    return any(isinstance(each, ast.Name) and each.id == "session" for each in sides[1:]) or any(isinstance(each, ast.Constant) and each.value is None for each in sides) or place is None


def _is_caller(place: Place, node: ast.expr) -> bool:
    """`session["user_id"]`, `current_user.id`, `get_jwt_identity()`."""
    text = dotted(node.func if isinstance(node, ast.Call) else node.value if isinstance(node, ast.Subscript | ast.Attribute) else node)
    head = text.partition(".")[0]
    if head == "session":
        return place.module.imports.get("session", "").startswith(("flask", "quart"))
    return bool(re.search(r"current_user|get_jwt|identity", text)) or (head == "g" and isinstance(node, ast.Attribute)) or text == "request.user"


def _callers(place: Place, handler: Handler) -> set[str]:
    """Names that hold the caller in a function: what its guard yields, and what is made of the session or a token."""
    node = place.node
    known = _given(place, handler)
    for item in scope_of(node):
        if isinstance(item, ast.Assign):
            names = {each.id for target in item.targets for each in ast.walk(target) if isinstance(each, ast.Name)}
            says = any(isinstance(each, ast.Call | ast.Attribute | ast.Subscript) and _is_caller(place, each) for each in ast.walk(item.value))
            if says or _CALLER.search(ast.unparse(item.value)) or (names_in(item.value) & known and not isinstance(item.value, ast.Call)):
                known |= names
    return known


def _given(place: Place, handler: Handler) -> set[str]:
    """Arguments that a guard fills: a dependency, also by an alias of the project, or a decorator that hands its first one over."""
    node: FunctionNode = place.node
    guards = [each.name for each in handler.route.guards]
    arguments = node.args
    plain = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [*([None] * (len(plain) - len(arguments.defaults))), *arguments.defaults]
    found = set()
    for argument, default in (*zip(plain, defaults, strict=True), *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)):
        texts = [ast.unparse(each) for each in (argument.annotation, default) if each is not None]
        alias = dotted(argument.annotation) if argument.annotation is not None else ""
        texts += [ast.unparse(item.value) for module in handler.project for item in module.tree.body if isinstance(item, ast.Assign) and alias and any(dotted(each) == alias for each in item.targets)]
        if any(guard and guard in text for guard in guards for text in texts if "Depends" in text or "Security" in text):
            found.add(argument.arg)
    path = handler.route.path
    decorated = any(each.kind == "decorator" for each in handler.route.guards)
    if place is handler.home and decorated and plain and f"{{{plain[0].arg}" not in path and defaults[0] is None:
        found.add(plain[0].arg)
    return found


