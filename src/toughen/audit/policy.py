"""Owns `toughen-policy.toml`: who may call what, in words that an owner can review; read, held against a matrix, and written."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from toughen.errors import ConfigurationError
from toughen.model.matrix import ANONYMOUS, INVALID, Access, Cell, Matrix, Whose, spoken
from toughen.spelling import meant, place, syntax

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FILE = "toughen-policy.toml"
ANYONE, USERS, OWNER = "anyone", "users", "owner"
"""Also without a credential; whoever is logged in; whoever the object belongs to."""
_HINT = 'each route has its lines: [routes."GET /notes"] with allow = [...] and, while something is undecided, ask = [...]'
_HEAD = """# Who may call what. Written by `toughen audit` from what the prototype does; yours to change.
#
# allow   who may: a role (on any object of its tenant), "anyone" (also without a credential), "users" (whoever is logged in),
#         "owner" (whoever the object belongs to), "editor on own", "editor on other tenant's".
# ask     works today, and nothing says whether it should. Yes: move it to `allow`. No: delete it, and it is a finding.
#
# Everybody else is refused. Once no `ask` is left, this file is the oracle: a new route without a line, or a request that
# is answered otherwise than it says, is a finding.
"""


@dataclass(frozen=True, slots=True)
class Rights:
    """One route's lines."""

    allow: tuple[str, ...]
    ask: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """The whole file."""

    routes: Mapping[str, Rights]
    text: str = field(default="", compare=False)
    """The file as it was read, for messages."""

    @property
    def reviewed(self) -> bool:
        """Whether nothing waits for a decision."""
        return not any(each.ask for each in self.routes.values())


def read(file: Path) -> Policy | None:
    """The policy of a project, None where there is none yet. Raises ConfigurationError that says line, column and what was meant."""
    if not file.is_file():
        return None
    text = file.read_text(encoding="utf-8", errors="replace")
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{file.name} cannot be read: {syntax(text, error)}", subject=file, hint=_HINT) from error
    faults = [f"{place(text, key)}: there is no {key!r} here{meant(key, ['routes'])}" for key in data if key != "routes"]
    routes = data.get("routes", {})
    found = {route: _rights(text, route, lines, faults) for route, lines in (routes.items() if isinstance(routes, dict) else ())}
    _raise(faults, file)
    return Policy(found, text)


def known(policy: Policy, roles: tuple[str, ...]) -> None:
    """Raise ConfigurationError where the policy names somebody whom the prototype does not know."""
    words = _words(roles)
    faults = [
        f"{place(policy.text, 'routes', route, key, value=each)}: nobody is called {each!r}{meant(each, words)}"
        for route, rights in policy.routes.items() for key, names in (("allow", rights.allow), ("ask", rights.ask)) for each in names if each not in words
    ]
    _raise(faults, policy)


def _raise(faults: list[str], subject: object) -> None:
    if faults:
        raise ConfigurationError(f"{FILE}: " + "; ".join(faults), subject=subject, hint=_HINT)


def _rights(text: str, route: str, lines: Any, faults: list[str]) -> Rights:  # noqa: ANN401 - whatever the file holds
    if not re.fullmatch(r"[A-Z]+ /\S*", route):
        faults.append(f"{place(text, 'routes', route)}: {route!r} is no route{_route(route)}")
    if not isinstance(lines, dict):
        faults.append(f"{place(text, 'routes', route)}: {route!r} has no allow")
        return Rights(())
    found: dict[str, tuple[str, ...]] = {"allow": (), "ask": ()}
    for key, value in lines.items():
        if key not in found:
            faults.append(f"{place(text, 'routes', route, key)}: there is no {key!r}{meant(key, found)}")
        elif not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            faults.append(f"{place(text, 'routes', route, key)}: {key} must be a list of texts")
        else:
            found[key] = tuple(value)
    return Rights(found["allow"], found["ask"])


def _words(roles: tuple[str, ...]) -> list[str]:
    """Everything that may stand in `allow`."""
    return [ANYONE, USERS, OWNER, spoken(USERS, Whose.FOREIGN), *(word for role in roles for word in (role, spoken(role, Whose.OWN), spoken(role, Whose.FOREIGN)))]


def _route(written: str) -> str:
    """What a line that is no route was probably meant to be."""
    method, _, path = written.strip().partition(" ")
    path = path.strip() or (method if method.startswith("/") else "")
    method = "GET" if method.startswith("/") else method.upper()
    better = f"{method} /{path.lstrip('/')}"
    return f"; did you mean {better!r}?" if path and re.fullmatch(r"[A-Z]+ /\S*", better) else " (GET /notes)"


# -- held against a matrix ---------------------------------------------------------------------------------------------


def permits(rights: Rights, cell: Cell, words: tuple[str, ...] | None = None) -> bool:
    """Whether a route's lines let a cell's request pass."""
    names = set(rights.allow if words is None else words)
    if ANYONE in names:
        return True
    if cell.who == ANONYMOUS or cell.who in INVALID:
        return False
    if cell.whose is Whose.FOREIGN:
        return bool({spoken(cell.who, Whose.FOREIGN), spoken(USERS, Whose.FOREIGN)} & names)
    if cell.whose is Whose.OWN and {OWNER, spoken(cell.who, Whose.OWN)} & names:
        return True
    return bool({cell.who, USERS} & names)


def held(matrix: Matrix, policy: Policy) -> Matrix:
    """The matrix as the policy decides it: what works and is not permitted is missing, what waits is undecided."""
    return replace(matrix, cells=tuple(_held(each, policy.routes.get(each.route)) for each in matrix.cells))


def _held(cell: Cell, rights: Rights | None) -> Cell:
    if rights is None or cell.access is Access.UNTESTED:
        return cell
    if not cell.works:
        return cell
    if permits(rights, cell):
        return replace(cell, access=Access.ALLOWED, reason=f"{FILE} allows it")
    if permits(rights, cell, rights.ask):
        return replace(cell, access=Access.UNDECIDED)
    return replace(cell, access=Access.MISSING, reason=f"it works, and {FILE} does not allow it")


def unlisted(matrix: Matrix, policy: Policy) -> tuple[str, ...]:
    """Routes that the policy has no line for."""
    return tuple(dict.fromkeys(each.route for each in matrix.cells if each.route not in policy.routes))


def denied(matrix: Matrix, policy: Policy) -> tuple[Cell, ...]:
    """Cells whose request is refused though the policy permits it; not those who cannot come so far."""
    return tuple(
        each for each in matrix.cells
        if each.access is Access.REFUSED and each.works is not None and (rights := policy.routes.get(each.route)) is not None
        and permits(rights, each) and not (each.whose is Whose.OWN and OWNER in rights.allow)
    )


# -- written -----------------------------------------------------------------------------------------------------------


def drawn(matrix: Matrix, known: Policy | None = None) -> Policy:
    """A policy with the known lines as they are and one for every other route, drawn from what its requests did."""
    found = dict(known.routes) if known else {}
    for route in dict.fromkeys(each.route for each in matrix.cells):
        cells = matrix.of(route)
        if route not in found and any(each.access is not Access.UNTESTED for each in cells):
            found[route] = Rights(_worded(cells, Access.ALLOWED), _asked(cells))
    return Policy(found)


def _worded(cells: tuple[Cell, ...], access: Access) -> tuple[str, ...]:
    """Who is allowed, in the fewest words."""
    may = [each for each in cells if each.access is access]
    if any(each.who == ANONYMOUS for each in may):
        return (ANYONE,)
    roles = list(dict.fromkeys(each.who for each in cells if each.who != ANONYMOUS and each.who not in INVALID))
    found: list[str] = []
    everywhere = {each.who for each in may if each.whose in {Whose.NONE, Whose.OTHER}}
    asked_for = {each.who for each in cells if each.whose in {Whose.NONE, Whose.OTHER} and each.who in roles}
    own = {each.who for each in may if each.whose is Whose.OWN}
    able = {each.who for each in cells if each.whose is Whose.OWN and each.works is not None}
    if asked_for and everywhere == asked_for and everywhere >= own:
        found.append(USERS)
    else:
        if own and own >= able:
            found.append(OWNER)
        else:
            found += [spoken(role, Whose.OWN) for role in roles if role in own and role not in everywhere]
        found += [role for role in roles if role in everywhere]
    foreign = {each.who for each in may if each.whose is Whose.FOREIGN}
    return (*found, *(spoken(role, Whose.FOREIGN) for role in roles if role in foreign))


def _asked(cells: tuple[Cell, ...]) -> tuple[str, ...]:
    waiting = (each for each in cells if each.access is Access.UNDECIDED)
    return tuple(dict.fromkeys(ANYONE if each.who == ANONYMOUS or each.who in INVALID else each.subject for each in waiting))


def written(policy: Policy, matrix: Matrix | None = None) -> str:
    """The file's text; what was seen of an undecided request stands beside it."""
    lines = [_HEAD]
    for route, rights in sorted(policy.routes.items(), key=lambda item: (item[0].partition(" ")[2], item[0])):
        lines.append(f"[routes.{_quoted(route)}]")
        lines.append(f"allow = [{', '.join(map(_quoted, rights.allow))}]")
        if rights.ask:
            lines.append(f"ask = [{', '.join(map(_quoted, rights.ask))}]")
            reasons = dict.fromkeys(each.reason for each in matrix.of(route) if each.access is Access.UNDECIDED) if matrix else {}
            lines += [f"# {' '.join(reason.split())[:180]}" for reason in list(reasons)[:3]]
        lines.append("")
    return "\n".join(lines)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
