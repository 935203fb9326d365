"""Owns the identities that a project's owner names in the settings, because nothing in the prototype leads to them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class LogIn:
    """A request that hands out a credential."""

    path: str
    """Template of its route: `/login`."""
    method: str = "POST"
    fields: tuple[tuple[str, str | int | bool], ...] = field(default=(), repr=False)
    """What it is sent, by name."""

    @property
    def route(self) -> str:
        """`POST /login`."""
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Configured:
    """Somebody whom the settings introduce: by one way, or several at once."""

    name: str
    role: str | None = None
    tenant: str | None = None
    login: LogIn | None = None
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    cookies: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    token: str = field(default="", repr=False)
    """Where it travels is found out."""
