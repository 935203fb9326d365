"""Owns the cookies that a log-in sets: their attributes, and whether a browser sends them with another site's requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from toughen.model.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.model.identity import Identity
    from toughen.model.trace import Exchange
    from toughen.rule import Target


@dataclass(frozen=True, slots=True)
class Cookie:
    """One `Set-Cookie` (RFC 6265bis)."""

    name: str
    value: str
    attributes: tuple[tuple[str, str], ...] = ()
    """Names in lower case."""

    def get(self, name: str) -> str | None:
        """An attribute's value, "" where it has none, None where it is not there."""
        return next((value for key, value in self.attributes if key == name), None)

    @property
    def same_site(self) -> str:
        """lax, strict, none, or "" where the answer leaves it to the browser."""
        return (self.get("samesite") or "").lower()

    @property
    def shown(self) -> str:
        """The header without most of the value."""
        rest = "".join(f"; {key}" + (f"={value}" if value else "") for key, value in self.attributes)
        return f"{self.name}={self.value[:8]}...{rest}"


def set_by(exchange: Exchange) -> Iterator[Cookie]:
    """The cookies that an answer sets; those that it takes away are left out."""
    for name, value in exchange.response.headers if exchange.response else ():
        if name.lower() == "set-cookie":
            pair, *rest = value.split(";")
            key, _, held = pair.partition("=")
            attributes = tuple((each.partition("=")[0].strip().lower(), each.partition("=")[2].strip()) for each in rest)
            cookie = Cookie(key.strip(), held.strip(), attributes)
            if held.strip() and cookie.get("max-age") != "0":
                yield cookie


def of(target: Target, identity: Identity) -> list[Cookie]:
    """The cookies of an identity's credential as its log-in sets them."""
    names = {name for name, _ in identity.credential.cookies}
    found: dict[str, Cookie] = {}
    traces = [target.run(Trial((identity.login,)))] if identity.login is not None else [trace for each in target.journeys() if (trace := target.honest(each.route)) is not None]
    for trace in traces:
        for exchange in trace.exchanges:
            found.update((each.name, each) for each in set_by(exchange) if each.name in names)
    return list(found.values())


def crosses(target: Target, identity: Identity) -> bool:
    """Whether no cookie of the credential is kept to its own site: what an answer does not say, browsers decide differently."""
    held = of(target, identity)
    return bool(held) and not any(each.same_site in {"lax", "strict"} for each in held)
