"""Owns what tells the mended answer from the one before: a refusal, a status, words or fields that are gone, headers, values."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from toughen.model.blueprint import Json
    from toughen.model.trace import Exchange, Trace

_REFUSED, _FAILED = 400, 500
_HEADERS = (
    "access-control-allow-origin", "access-control-allow-credentials", "x-content-type-options", "x-frame-options", "content-security-policy", "strict-transport-security", "location",
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Turned away with a 4xx."""


@dataclass(frozen=True, slots=True)
class Answered:
    """Answered with this status."""

    status: int


@dataclass(frozen=True, slots=True)
class Absent:
    """The answer does not hold this text."""

    text: str
    marker: str = ""
    """Name of the Marker that it is, "" for a plain text."""


@dataclass(frozen=True, slots=True)
class Equal:
    """The answer holds this value at that place; `differs` says that it is not that value."""

    pointer: tuple[str | int, ...]
    value: Json
    differs: bool = False


@dataclass(frozen=True, slots=True)
class Headed:
    """A header is this, or (None) is not there; `holds` are words that it has."""

    name: str
    value: str | None
    holds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unstored:
    """A row, which that column tells from others, does not hold what was sent."""

    table: str
    column: str
    value: Json
    by: tuple[str, Json]


Check = Refusal | Answered | Absent | Equal | Headed | Unstored


def own(checks: Sequence[Check], control: Sequence[Check], key: str) -> tuple[Check, ...]:
    """Those that say something of this break: what the honest answer shows as well, another repair did; of rows, the one that the break is about."""
    beside = {_about(each) for each in control}
    left = [each for each in checks if isinstance(each, Refusal | Answered) or _about(each) not in beside]
    if all(isinstance(each, Answered) for each in left) and not any(isinstance(each, Answered) for each in checks[1:]) and len(checks) > 1:
        left = list(checks)
    rows = [each for each in left if isinstance(each, Unstored)]
    wanted = next((each for each in rows if each.column in re.split(r"\W+", key)), rows[0] if rows else None)
    return tuple(each for each in left if not isinstance(each, Unstored) or each == wanted)


def _about(check: Check) -> tuple[object, ...]:
    match check:
        case Absent(text, marker):
            return "absent", marker or text
        case Equal(pointer):
            return "equal", pointer
        case Headed(name):
            return "headed", name
        case Unstored(table, column):
            return "row", table, column
    return (check,)


def told(before: Trace, after: Trace) -> tuple[Check, ...]:
    """What is to be asserted of the last answer of a trial, so that the one before fails; nothing where both are alike."""
    if not before.exchanges or not after.exchanges or before.last.status is None or after.last.status is None:
        return ()
    old, new = before.last, after.last
    assert old.status is not None
    assert new.status is not None
    if _REFUSED <= new.status < _FAILED and not _REFUSED <= old.status < _FAILED:
        return (Refusal(),)
    if new.status >= _FAILED:
        return ()
    if old.status >= _FAILED or old.status // 100 != new.status // 100:
        return (Answered(new.status),)
    inside = tuple(_inside(before, after))
    if inside:
        return (Answered(new.status), *inside)
    stored = tuple(_unstored(before, after))
    return (Answered(new.status), *stored) if stored else ()


def _unstored(before: Trace, after: Trace) -> Iterator[Check]:
    """What was sent stood in a row before, and stands there no longer."""
    sent = {str(each) if not isinstance(each, bool) else str(int(each)) for each in _sent(before.last).values() if not isinstance(each, dict | list) and each is not None}
    other = {str(each) if not isinstance(each, bool) else str(int(each)) for each in _sent(after.last).values() if not isinstance(each, dict | list) and each is not None}
    for change in before.final_changes:
        if change.kind == "deleted":
            continue
        for column in change.columns if change.kind == "updated" else tuple(change.after):
            value = change.after.get(column)
            if value is None or str(int(value) if isinstance(value, bool) else value) not in sent:
                continue
            for now in after.final_changes:
                held = now.after.get(column)
                by = next(((name, each) for name, each in change.after.items() if name != column and isinstance(each, str) and now.after.get(name) == each and (each in sent or change.kind == "updated")), None)
                if now.table == change.table and now.kind == change.kind and by is not None and held != value and str(int(held) if isinstance(held, bool) else held) not in other:
                    yield Unstored(change.table, column, value, by)
                    break


def _inside(before: Trace, after: Trace) -> Iterator[Check]:
    """What differs in answers of one class."""
    old, new = before.last, after.last
    for name, canary in before.markers.items():
        other = after.markers.get(name, "")
        if canary and other and canary in _body(old) and other not in _body(new):
            yield Absent(canary, name)
            return
    fields = sorted(_fields(old) - _fields(new))
    if fields:
        yield from (Absent(f'"{each}"') for each in fields[:4])
        return
    yield from _headers(old, new)
    sent = _sent(old)
    for pointer, value in leaves(_json(new)):
        name = next((str(key) for key in reversed(pointer) if isinstance(key, str)), "")
        was = dict(leaves(_json(old))).get(pointer, value)
        if was != value and name in sent and sent[name] == was:
            yield Equal(pointer, was, differs=True)


def _headers(old: Exchange, new: Exchange) -> Iterator[Check]:
    for name in _HEADERS:
        was, now = (each.response.header(name) if each.response else None for each in (old, new))
        if was != now and (now is None or not re.search(r"\d{6}|tgn", now)):
            yield Headed(name, now)
    given = {key: value for key, value in _cookies(new).items() if key in _cookies(old)}
    for key, value in given.items():
        added = [each for each in ("httponly", "secure", "samesite") if each in value and each not in _cookies(old)[key]]
        if added:
            yield Headed("set-cookie", None, (key, *added))


def _cookies(exchange: Exchange) -> dict[str, str]:
    headers = exchange.response.headers if exchange.response else ()
    return {value.partition("=")[0]: value.partition(";")[2].lower() for name, value in headers if name.lower() == "set-cookie"}


def _body(exchange: Exchange) -> str:
    return exchange.response.body if exchange.response else ""


def _json(exchange: Exchange) -> Json:
    return exchange.response.json if exchange.response else None


def _fields(exchange: Exchange) -> set[str]:
    return {key for pointer, _ in leaves(_json(exchange)) for key in pointer if isinstance(key, str)}


def _sent(exchange: Exchange) -> dict[str, Json]:
    try:
        body = json.loads(exchange.request_body)
    except ValueError:
        return dict(parse_qsl(exchange.request_body)) if "=" in exchange.request_body else {}
    return body if isinstance(body, dict) else {}


def leaves(value: Json, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Json]]:
    """(pointer, value) of everything below a JSON value that holds nothing itself; of lists the first elements."""
    if isinstance(value, dict) and value:
        for key, each in value.items():
            yield from leaves(each, (*path, key))
    elif isinstance(value, list) and value:
        for index, each in enumerate(value[:5]):
            yield from leaves(each, (*path, index))
    else:
        yield path, value
