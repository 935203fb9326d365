"""Owns minted users of the prototype: role, credential, and how they came to be."""

from __future__ import annotations

from dataclasses import dataclass, field

from toughen.model.blueprint import Json
from toughen.model.journey import Call

CONFIGURED = "settings"
"""How those came to be whom the settings introduce: what they hold is their owner's, and written nowhere."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What an identity adds to each request."""

    headers: tuple[tuple[str, str], ...] = ()
    cookies: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Identity:
    """A minted user of the prototype; its row is in the snapshot."""

    name: str
    """user1, user2, admin1, ...: names are what calls refer to."""
    role: str | None
    """Value of the role column, None where the prototype knows no roles."""
    credential: Credential
    how: str
    """signup, row, forged, settings: how it was made, for the report."""
    row: dict[str, Json] = field(default_factory=dict)
    """Its row in the table of users, empty where there is none."""
    table: str | None = None
    login: Call | None = None
    """The call that renews the credential; None where the token was made by the project's own function."""
    token: tuple[str | int, ...] = ()
    """Pointer to the token in log-in's answer; empty for cookies."""
    header: tuple[str, str] | None = None
    """(header name, prefix) that carries the token: `("Authorization", "Bearer ")`."""
    forge: tuple[str, tuple[Json, ...]] | None = None
    """(module:function, arguments) of the project's own token function that made the token."""
    cookie: tuple[str, str] | None = None
    """(cookie name, prefix) that carries the token as well, where pages ask for it there."""
    tenant: str | None = None
    """Whose house it belongs to, None where the prototype has no tenants."""
    spare: bool = False
    """True for one more of its role: nothing is asked in its name but where the others have taken what there is."""

    @property
    def kind(self) -> str:
        """What it stands for: `editor` of `editor2`."""
        return self.name.rstrip("0123456789") or self.name
