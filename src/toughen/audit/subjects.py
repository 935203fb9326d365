"""Owns who asks in an audit: a user of each role, one of another tenant, and credentials that must mean nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from toughen import forging
from toughen.lab.credentials import FORGED
from toughen.model.identity import Credential, Identity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_DAY = 86_400
_TOKEN = re.compile(r"[\w-]+\.[\w-]+\.[\w-]*")
_LITERAL = re.compile(r"""(["'])([^"'\n]{1,200})\1""")


@dataclass(frozen=True, slots=True)
class Subjects:
    """The identities of an audit by what they stand for."""

    roles: dict[str, tuple[Identity, ...]]
    """By the role's name: users of it in the first tenant, the first of them first."""
    strangers: dict[str, Identity]
    """By the role's name: the user of it in another tenant."""
    invalid: dict[str, Identity | None]
    """By the kind of credential: an identity that carries it, None where it cannot be made."""
    notes: tuple[str, ...] = ()
    aged: tuple[str, float] | None = None
    """Whose credential of so many seconds ago is the expired one, where it cannot be signed: every boot makes its own."""

    def role_of(self, name: str | None) -> str | None:
        """The role that an identity was minted for."""
        found = (role for role, held in (*self.roles.items(), *((role, (one,)) for role, one in self.strangers.items())) for each in held if each.name == name)
        return next(found, None)


def subjects(identities: Iterable[Identity], texts: Iterable[str], variables: Mapping[str, str], past: Callable[[str, float], Credential | None]) -> Subjects:
    """Sort minted users by role and tenant, and make credentials that must mean nothing out of the first one's.

    `past` gives a credential as a log-in so many seconds ago would have left it.
    """
    minted = [each for each in identities if each.table is not None or each.login is not None or each.forge is not None or each.credential != Credential()]
    home = next((each.tenant for each in minted), None)
    roles: dict[str, list[Identity]] = {}
    strangers: dict[str, Identity] = {}
    for each in minted:
        if each.tenant == home or each.tenant is None:
            roles.setdefault(each.kind, []).append(each)
        else:
            strangers.setdefault(each.kind, each)
    first = next((each for each in minted if each.credential != Credential()), None)
    if first is None:
        return Subjects({role: tuple(held) for role, held in roles.items()}, strangers, {})
    invalid: dict[str, Identity | None] = {FORGED: None}
    notes: tuple[str, ...] = ()
    aged: tuple[str, float] | None = None
    token = next((found for found in (_token(value) for _, value in (*first.credential.headers, *first.credential.cookies)) if found), "")
    if token:
        invalid["foreign-signed"] = _carrying(first, "foreign-signed", token, forging.foreign(token))
        if forging.ends(token):
            back = forging.left(token) + _DAY
            signed = _carrying(first, "expired", token, forging.ended(token, _keys(texts, variables)))
            if signed is not None:
                invalid["expired"] = signed
            elif (held := past(first.name, back)) is not None and _over(held):
                # Its key is drawn at random at every start: the prototype itself makes one, on a day that has gone by.
                invalid["expired"] = replace(first, name="expired", credential=held, login=None, forge=None)
                aged = first.name, back
            else:
                notes = ("the key that signs credentials is not known, and no log-in by a clock that was put back gives one: there is no expired one to ask with",)
        else:
            notes = ("credentials do not end: there is no expired one to ask with",)
    return Subjects({role: tuple(held) for role, held in roles.items()}, strangers, invalid, notes, aged)


def _over(held: Credential) -> bool:
    """Whether a credential has come to its end."""
    token = next((found for found in (_token(value) for _, value in (*held.headers, *held.cookies)) if found), "")
    return bool(token) and forging.ends(token) and forging.left(token) < 0


def _token(value: str) -> str:
    match = _TOKEN.search(value)
    return match.group(0) if match and forging.foreign(match.group(0)) else ""


def _carrying(model: Identity, name: str, token: str, other: str | None) -> Identity | None:
    """The model with another token in the place of its own, and nothing else that could let it in; nothing renews it."""
    if other is None:
        return None
    held = model.credential
    headers, cookies = (tuple((key, value.replace(token, other)) for key, value in each if token in value) for each in (held.headers, held.cookies))
    changed = Credential(headers, cookies)
    return replace(model, name=name, credential=changed, login=None, forge=None)


def _keys(texts: Iterable[str], variables: Mapping[str, str]) -> Iterator[str]:
    yield from variables.values()
    for text in texts:
        yield from (match.group(2) for match in _LITERAL.finditer(text))
