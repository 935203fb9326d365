"""Owns the credentials of minted identities while trials run: they expire, and are renewed the way they were made."""

from __future__ import annotations

import base64
import json
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from toughen.errors import AgentLostError
from toughen.lab.child import Record
from toughen.lab.requests import Resolver, UnresolvedError, assemble, cookies, pick
from toughen.model.identity import Credential, Identity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from toughen.lab.boot import Lab
    from toughen.lab.child import Child
    from toughen.model.blueprint import Json
    from toughen.model.trace import Exchange, Response

FORGED = "garbage"
"""Name of the identity whose credential has the right form and means nothing."""
_MARGIN = 15
_LONGEST = 420
"""Seconds after which a credential without a known expiry is renewed."""


@dataclass(slots=True)
class Jar:
    """Cookies that answers set while a trial runs, and tokens that log-ins gave, by identity: what a client would send next."""

    held: dict[str | None, dict[str, str]] = field(default_factory=dict)
    given: dict[str, Credential] = field(default_factory=dict)

    def credential(self, name: str | None, base: Credential | None) -> Credential | None:
        """A credential with the token and the cookies that came since."""
        fresh, base = self.held.get(name), self.given.get(name or "", base)
        if not fresh:
            return base
        base = base or Credential()
        kept = tuple((key, value) for key, value in base.cookies if key not in fresh)
        return Credential(base.headers, (*kept, *((key, value) for key, value in fresh.items() if value)))

    def take(self, name: str | None, response: Response | None) -> None:
        """Keep what an answer sets; an emptied cookie is forgotten by both sides."""
        if response is not None and (given := cookies(response.headers)):
            self.held.setdefault(name, {}).update(given)

    def renew(self, identity: Identity, exchange: Exchange) -> None:
        """Keep the token that an identity's own log-in answered with."""
        if exchange.response is None or exchange.response.status >= 400 or identity.header is None or not identity.token:  # noqa: PLR2004
            return
        with suppress(UnresolvedError):
            self.given[identity.name] = carrying(identity, str(pick([exchange], 0, identity.token)), identity.credential.cookies)


@dataclass(slots=True)
class Wallet:
    """Identities with the credentials that are valid now."""

    identities: dict[str, Identity] = field(default_factory=dict)
    spares: dict[str, Identity] = field(default_factory=dict)
    """Further users of a role, of whom nobody asks as long as there is one above."""
    _until: dict[str, float] = field(default_factory=dict)

    def add(self, identity: Identity) -> None:
        """Take an identity that was just minted."""
        (self.spares if identity.spare else self.identities)[identity.name] = identity
        self._until[identity.name] = _expiry(identity.credential)

    def known(self, name: str | None) -> Identity | None:
        """The identity of that name."""
        return self.identities.get(name or "") or self.spares.get(name or "")

    def everybody(self) -> tuple[Identity, ...]:
        """All that have rows in the snapshot."""
        return (*self.identities.values(), *self.spares.values())

    def get(self, name: str | None) -> Credential | None:
        """The credential of an identity; None for anonymous."""
        if name is None:
            return None
        if name == FORGED:
            return self.forged()
        return (self.identities.get(name) or self.spares[name]).credential

    def stale(self, names: Iterable[str | None]) -> list[Identity]:
        """Identities among these whose credential is about to expire."""
        now = time.time()
        known = [identity for name in dict.fromkeys(names) if (identity := self.known(name)) is not None]
        return [each for each in known if self._until.get(each.name, 0) - _MARGIN < now and (each.login is not None or each.forge is not None)]

    def forged(self) -> Credential:
        """A credential of the right form whose secret part is garbage."""
        model = next((each.credential for each in self.identities.values() if each.credential != Credential()), Credential())
        return Credential(
            tuple((name, garbled(value)) for name, value in model.headers),
            tuple((name, garbled(value)) for name, value in model.cookies),
        )

    def renew(self, lab: Lab, identity: Identity) -> bool:
        """Log an identity in again from the snapshot, and keep the rows that this wrote in a new snapshot."""
        lab.restore()
        child = lab.child()
        try:
            fresh = renewed(child, identity, lab.world.rows)
        finally:
            child.close()
        if fresh is None:
            lab.restore()
            return False
        lab.world.take()
        self.add(replace(identity, credential=fresh))
        return True


def renewed(child: Child, identity: Identity, rows: Callable[[str], list[dict[str, Json]]]) -> Credential | None:
    """A fresh credential for an identity, made as its first one was; None where that no longer works."""
    if identity.forge is not None and identity.header is not None:
        function, arguments = identity.forge
        try:
            token = child.call(function, list(arguments))
        except (LookupError, AgentLostError):
            return None
        return carrying(identity, str(token), identity.credential.cookies)
    if identity.login is None:
        return None
    resolver = Resolver(rows)
    exchange = child.serve(assemble(identity.login, resolver, (), None), Record(sql=1))
    if exchange.response is None or exchange.response.status >= 400:  # noqa: PLR2004
        return None
    held = dict(identity.credential.cookies)
    given = tuple({**held, **cookies(exchange.response.headers)}.items()) if held else ()
    if identity.header is None or not identity.token:
        return Credential(identity.credential.headers, given or identity.credential.cookies)
    try:
        token = pick([exchange], 0, identity.token)
    except UnresolvedError:
        return None
    return carrying(identity, str(token), given or identity.credential.cookies)


def carrying(identity: Identity, token: str, held: tuple[tuple[str, str], ...] = ()) -> Credential:
    """The credential that carries this token as the identity does, beside the cookies that it holds."""
    header, cookie = identity.header, identity.cookie
    kept = tuple(each for each in held if cookie is None or each[0] != cookie[0])
    return Credential(
        ((header[0], header[1] + token),) if header else identity.credential.headers, (*kept, (cookie[0], cookie[1] + token)) if cookie else kept
    )


def garbled(value: str) -> str:
    """A value of the same form that names nobody: of a JSON web token (RFC 7515 7.1) all but its header, of another signed value all, else the second half.

    A made-up signature alone would not do: where none is looked at, the token still says whose it is.
    """
    prefix, _, secret = value.rpartition(" ")
    parts = secret.split(".")
    is_signed, half = len(parts) == 3, max(1, len(secret) // 2)  # noqa: PLR2004 - a JWT, or a cookie as itsdangerous signs it
    header = len(parts[0]) + 1 if _claims(parts[0]).get("alg") else 0
    kept = header if is_signed else half
    garbage = secret[:kept] + "".join(each if each == "." else "Q" if each != "Q" else "Z" for each in secret[kept:])
    return f"{prefix} {garbage}" if prefix else garbage


def _expiry(credential: Credential) -> float:
    """When a credential ends (seconds since the epoch): a JWT says so itself (RFC 7519 4.1.4)."""
    ends = [time.time() + _LONGEST]
    for _, value in (*credential.headers, *credential.cookies):
        parts = value.rpartition(" ")[2].split(".")
        if len(parts) == 3:  # noqa: PLR2004
            claims = _claims(parts[1])
            if isinstance(claims.get("exp"), int | float):
                ends.append(float(claims["exp"]))
    return min(ends)


def _claims(part: str) -> dict[str, Any]:
    try:
        found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
