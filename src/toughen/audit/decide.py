"""Owns the judgement of a matrix: whether a request had the honest one's effect, and whether anything says that it should."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from toughen.effects import effect
from toughen.model.matrix import ANONYMOUS, INVALID, Access, Cell, Whose, spoken
from toughen.oracle import succeeded
from toughen.ownership import PRIVILEGED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from toughen.audit.subjects import Subjects
    from toughen.audit.sweep import Asked
    from toughen.effects import Effect, Sight
    from toughen.model.blueprint import Blueprint, Route

OBJECT, NOBODY, FUNCTION = "security/object-authorization", "security/no-authentication", "security/function-authorization"
TOKEN, FOREIGN = "security/weak-token", "foreign-signed"
"""The breaks that a cell without an authorization is a case of; who carries a credential that somebody else signed."""
_TOO_MANY = 429
_PUBLIC = "anybody may, without a credential"


@dataclass(slots=True)
class Judge:
    """Decides cells, given what the rules have proven and refuted."""

    blueprint: Blueprint
    subjects: Subjects
    proven: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """(route, break) -> what was proven; of a function, (route, break and role)."""
    refuted: frozenset[tuple[str, str]] = frozenset()
    """(route, break) that an attack with its controls did not show."""
    noise: frozenset[str] = frozenset()
    """Tables that requests write by the way: sessions, logs, when somebody was seen."""

    def route(self, asked: Iterable[Asked]) -> list[Cell]:
        """The cells of one route; the honest request comes first among what was asked."""
        listed = list(asked)
        first = listed[0]
        if first.sight is None or not succeeded(first.sight.exchange):
            why = first.why or "the honest request did not succeed again: " + _answer(first.sight)
            return [Cell(each.route, each.who, each.whose, Access.UNTESTED, why) for each in listed]
        honest = self.effect(listed)
        works = {id(each): _works(honest, first, each) for each in listed}
        public = any(works[id(each)] for each in listed if each.who == ANONYMOUS)
        shared = any(works[id(each)] for each in listed if each.whose is Whose.OTHER and each.who == first.who)
        return [self._cell(each, first, honest, works=works[id(each)], public=public, shared=shared) for each in listed]

    def effect(self, listed: list[Asked]) -> Effect:
        """What the honest request of a route did."""
        assert listed[0].sight is not None
        nobody = next((each.sight for each in listed if each.who in INVALID and each.sight), None) or next((each.sight for each in listed if each.who == ANONYMOUS and each.sight), None)
        return effect(listed[0].sight, nobody, self.noise)

    def _cell(self, asked: Asked, first: Asked, honest: Effect, *, works: bool, public: bool, shared: bool) -> Cell:
        if asked.sight is None and asked.barred:
            return Cell(asked.route, asked.who, asked.whose, Access.REFUSED, f"it cannot make one: {asked.why}")
        if asked.sight is None:
            return Cell(asked.route, asked.who, asked.whose, Access.UNTESTED, asked.why)
        if not works and asked.sight.exchange.status == _TOO_MANY:
            return Cell(asked.route, asked.who, asked.whose, Access.UNTESTED, "the prototype's limit on requests stood in the way (429)")
        if not works:
            access, reason = Access.REFUSED, _answer(asked.sight)
        elif told := self._missing(asked, public=public):
            access, reason = Access.MISSING, told
        elif asked is first:
            access, reason = Access.ALLOWED, "the honest request"
        elif public:
            access, reason = Access.ALLOWED, _PUBLIC
        elif asked.who == ANONYMOUS or asked.who in INVALID:
            access, reason = Access.UNDECIDED, "it works without a credential that means anything"
        else:
            access, reason = self._by_role(asked, first, honest, shared=shared)
        return Cell(asked.route, asked.who, asked.whose, access, reason, works)

    def _by_role(self, asked: Asked, first: Asked, honest: Effect, *, shared: bool) -> tuple[Access, str]:
        """What works for somebody who is logged in."""
        route = self.blueprint.route(asked.route)
        named = _named(route)
        known = named & {self._plain(role) for role in self.subjects.roles}
        is_named = self._plain(asked.who) in named
        if asked.whose in {Whose.OWN, Whose.NONE}:
            if known and not is_named:
                return Access.UNDECIDED, f"its guards name {', '.join(sorted(known))}, and not {asked.who}"
            if asked.whose is Whose.NONE and honest.tables and PRIVILEGED.search(first.who) and not PRIVILEGED.search(asked.who) and not is_named:
                return Access.UNDECIDED, f"it changes {', '.join(honest.tables)}: nothing says that a {asked.who} may"
            return Access.ALLOWED, "its own object" if asked.whose is Whose.OWN else "whoever is logged in"
        if asked.whose is Whose.OTHER:
            if is_named:
                return Access.ALLOWED, "a guard of the route names its role"
            if PRIVILEGED.search(asked.who):
                return Access.ALLOWED, f"a {asked.who} works on what belongs to others"
            if shared and (asked.route, OBJECT) in self.refuted:
                return Access.ALLOWED, "users share it: others may list it, or anybody may read it"
        return Access.UNDECIDED, f"nothing says whether {spoken(asked.who, asked.whose)} may: no guard names it, no sibling refuses it, no listing leaves it out"

    def _missing(self, asked: Asked, *, public: bool) -> str | None:
        """What was proven of this kind of request."""
        if asked.who == FOREIGN and not public and (told := next((each for (_, rule), each in self.proven.items() if rule == TOKEN), None)):
            return told
        if asked.who == ANONYMOUS or asked.who in INVALID:
            return self.proven.get((asked.route, NOBODY))
        if asked.whose in {Whose.OTHER, Whose.FOREIGN} and not PRIVILEGED.search(asked.who):
            return self.proven.get((asked.route, OBJECT))
        return self.proven.get((asked.route, f"{FUNCTION} {asked.who}"))

    def _plain(self, who: str) -> str:
        """The role as the source writes it, of the name that its users are called by."""
        held = self.subjects.roles.get(who, ())
        role = held[0].role if held else None
        if role is None or re.fullmatch(r"\d+|True|False", role):
            return held[0].kind.lower() if held else who
        return role.rpartition(".")[2].lower()


def _works(honest: Effect, first: Asked, asked: Asked) -> bool:
    """Whether a request had the honest one's effect: on the same object, unless it was sent for one of its own."""
    if asked.sight is None:
        return False
    return honest.same(asked.sight, object_=first.whose is Whose.OWN and asked.whose is not Whose.OWN)


def _named(route: Route | None) -> frozenset[str]:
    """All roles that any guard of a route names."""
    return frozenset(role.rpartition(".")[2].lower() for guard in route.guards for role in guard.roles) if route else frozenset()


def _answer(sight: Sight | None) -> str:
    if sight is None:
        return "not sent"
    response = sight.exchange.response
    return f"{response.status} {' '.join(response.body.split())[:80]}".strip() if response else sight.exchange.ended
