"""Owns the reading of `[tool.toughen.identities]`: every fault is told with its key, and with what may have been meant."""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from toughen.model.configured import Configured, LogIn
from toughen.model.identity import CONFIGURED, Credential
from toughen.model.journey import Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from toughen.model.identity import Identity
    from toughen.model.journey import Argument

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
_TAKEN = {"anonymous", "anyone", "expired", "foreign-signed", "garbage", "invalid", "nobody", "owner", "users"}
"""Names that reports and the policy of an audit have for others."""
_KEYS = ("role", "tenant", "login", "headers", "cookies", "token")
_WAYS = ("login", "headers", "cookies", "token")
_METHODS = ("POST", "GET", "PUT", "PATCH")
_FROM = "env:"
_HEADING = "[tool.toughen.identities]"


def introductions(table: object, faults: list[str], variables: Mapping[str, str] = os.environ) -> tuple[Configured, ...]:
    """Whom the table introduces; what is wrong with it goes to `faults`."""
    if not isinstance(table, dict):
        faults.append(f"{_HEADING} must be a table of tables: {_HEADING[:-1]}.NAME]")
        return ()
    found = []
    for name, each in table.items():
        before = len(faults)
        if not _NAME.fullmatch(name) or name.lower() in _TAKEN:
            faults.append(f"{_HEADING} {name!r} cannot be a name: letters, digits, - and _, and none of {', '.join(sorted(_TAKEN))}")
        if not isinstance(each, dict):
            faults.append(f"identities.{name} = {each!r} must be a table")
        elif len(faults) == before and (one := _one(name, each, faults, variables)) is not None:
            found.append(one)
    return tuple(found)


def withheld(identity: Identity) -> Identity:
    """An identity as it may be written down: without what the settings say of it."""
    if identity.how != CONFIGURED:
        return identity
    login = identity.login
    bare = replace(login, arguments=tuple(replace(each, value=Literal("")) for each in login.arguments)) if login is not None else None
    return replace(identity, credential=Credential(), login=bare)


def refilled(identity: Identity, people: Iterable[Configured]) -> Identity:
    """The same with what the settings say of it now."""
    kind = identity.kind
    known = sorted((each for each in people if each.name in {identity.name, kind}), key=lambda each: each.name != identity.name)
    if identity.how != CONFIGURED or not known:
        return identity
    told = known[0]
    headers = told.headers
    if told.token and identity.header is not None:
        headers = (*headers, (identity.header[0], identity.header[1] + told.token))
    sent = dict(told.login.fields) if told.login is not None else {}

    def filled(argument: Argument) -> Argument:
        name = str(argument.path[-1])
        return replace(argument, value=Literal(sent[name])) if name in sent else argument

    login = replace(identity.login, arguments=tuple(map(filled, identity.login.arguments))) if identity.login is not None else None
    return replace(identity, credential=Credential(headers, told.cookies), login=login)


def _one(name: str, table: dict[str, Any], faults: list[str], variables: Mapping[str, str]) -> Configured | None:
    here, before = f"identities.{name}", len(faults)
    _unknown(here, table, _KEYS, faults)
    if not any(way in table for way in _WAYS):
        faults.append(f"{here} says not how it is let in: give it one of {', '.join(_WAYS)}")
    texts = {key: _text(f"{here}.{key}", table[key], faults, variables) for key in ("role", "tenant", "token") if key in table}
    pairs = {key: _pairs(f"{here}.{key}", table[key], faults, variables) for key in ("headers", "cookies") if key in table}
    login = _login(f"{here}.login", table["login"], faults, variables) if "login" in table else None
    if len(faults) > before:
        return None
    return Configured(name, texts.get("role"), texts.get("tenant"), login, pairs.get("headers", ()), pairs.get("cookies", ()), texts.get("token", ""))


def _login(here: str, table: object, faults: list[str], variables: Mapping[str, str]) -> LogIn | None:
    if not isinstance(table, dict):
        faults.append(f'{here} must be a table: {{ path = "/login", username = "...", password = "env:NAME" }}')
        return None
    path, method = table.get("path"), str(table.get("method", "POST")).upper()
    if not isinstance(path, str) or not path.startswith("/"):
        near = difflib.get_close_matches("path", [key for key in table if key != "path"], n=1)
        faults.append(f"{here}.path must be the path of a route that begins with /" + (f" (did you mean `path` by {near[0]!r}?)" if near and path is None else ""))
    if method not in _METHODS:
        faults.append(f"{here}.method must be one of {', '.join(_METHODS)}")
    sent = {key: value for key, value in table.items() if key not in {"path", "method"}}
    if not sent:
        faults.append(f"{here} sends nothing: name its fields beside `path`, as the route calls them")
    fields = [(key, value if isinstance(value, bool | int) else _text(f"{here}.{key}", value, faults, variables)) for key, value in sent.items()]
    return LogIn(str(path), method, tuple(fields))


def _pairs(here: str, table: object, faults: list[str], variables: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    if not isinstance(table, dict) or not table:
        faults.append(f'{here} must be a table of texts: {{ Name = "value" }}')
        return ()
    return tuple((str(key), _text(f"{here}.{key}", value, faults, variables)) for key, value in table.items())


def _text(here: str, value: object, faults: list[str], variables: Mapping[str, str]) -> str:
    """A text, or what the environment variable holds that it names (`Bearer env:NAME` has one behind a word)."""
    if not isinstance(value, str) or not value.strip():
        faults.append(f"{here} must be a text that is not empty" + (f", not {value!r}" if not isinstance(value, str) else ""))
        return ""
    before, found, name = value.rpartition(_FROM)
    if not found or (before and not before.endswith(" ")):
        return value
    if not variables.get(name):
        faults.append(f"{here}: the environment variable {name!r} is not set")
        return ""
    return before + variables[name]


def _unknown(here: str, table: Iterable[str], known: Iterable[str], faults: list[str]) -> None:
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, list(known), n=1)
            faults.append(f"{here} has no key {key!r}" + (f": did you mean {near[0]!r}?" if near else f" (there are: {', '.join(known)})"))
