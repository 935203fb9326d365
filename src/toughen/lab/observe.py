"""Owns the reading of the agent's words: frames of JSON from a hostile process become Exchanges, or are refused."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import TYPE_CHECKING, Any

from toughen import sql
from toughen.model.source import Location
from toughen.model.trace import Demand, Exchange, Failure, Logged, Outgoing, Response, Sighting, Statement, Told

if TYPE_CHECKING:
    from pathlib import Path

_SHOWN = 4_000

_JSON_TYPES = {"int": "integer", "float": "number", "bool": "boolean", "str": "string", "list": "array", "dict": "object"}


def exchange(frame: dict[str, Any], request: dict[str, Any], *, ended: str = "answered") -> Exchange:
    """One EXCHANGE frame as an Exchange; missing or malformed fields become their defaults."""
    body = base64.b64decode(str(request.get("body_b64") or ""))
    status = frame.get("status")
    return Exchange(
        method=str(request["method"]),
        target=str(request["target"]),
        request_body=body.decode("utf-8", "replace")[:_SHOWN],
        response=_response(frame) if isinstance(status, int) else None,
        ended=ended,
        answered_after=_number(frame, "answered_after") if "answered_after" in frame else -1,
        statements=tuple(statement(each) for each in _items(frame, "statements")),
        failure=_failure(frame.get("failure")),
        handled=tuple(each for each in map(_failure, _items(frame, "handled")) if each),
        demands=tuple(_demand(each) for each in _items(frame, "demands") if not _outside(each)),
        asked=tuple(_demand(each) for each in _items(frame, "demands") if _outside(each)),
        sightings=tuple(
            Sighting(_text(each, "event"), _text(each, "text"), place(each.get("place"))) for each in _items(frame, "sightings")
        ),
        lines=tuple(
            (str(item[0]), tuple(line for line in item[1] if isinstance(line, int)))
            for item in _items(frame, "lines", list) if len(item) == 2 and isinstance(item[1], list)  # noqa: PLR2004
        ),
        last_line=place(frame.get("last_line")),
        outgoing=tuple(map(_outgoing, _items(frame, "outgoing"))),
        early=tuple(map(_outgoing, _items(frame, "early"))),
        rejected=tuple((str(name), str(said)) for name, said in frame["rejected"].items()) if isinstance(frame.get("rejected"), dict) else (),
        folders=tuple(str(each) for each in frame.get("folders") or () if isinstance(each, str)),
        written_files=tuple(str(each) for each in frame.get("written_files") or () if isinstance(each, str)),
        milliseconds=float(frame.get("milliseconds") or 0.0),
        told=_told(frame.get("told")),
        grown=frame["grown"] if isinstance(frame.get("grown"), int) else None,
        slept=float(frame.get("slept") or 0.0),
        waited=float(frame.get("waited") or frame.get("stuck") or 0.0),
    )


def _outgoing(frame: dict[str, Any]) -> Outgoing:
    return Outgoing(
        _text(frame, "host"), _number(frame, "port"), _text(frame, "request") + _mail(frame), place(frame.get("place")), _number(frame, "after"),
        _text(frame, "sent") or _text(frame, "mail"), _text(frame, "key"), bool(frame.get("behind")),
    )


def statement(frame: dict[str, Any]) -> Statement:
    """One STATEMENT as the driver saw it, with the tables that it reads and writes."""
    text = _text(frame, "text")
    reading = sql.read(text)
    rows = frame.get("rows")
    return Statement(
        text=text,
        parameters=tuple(frame.get("parameters") or ()),
        verb=reading.verb,
        reads=reading.reads,
        writes=reading.writes,
        rows=rows if isinstance(rows, int) else None,
        sample=tuple(each for each in frame.get("sample") or () if isinstance(each, dict)),
        location=place(frame.get("place")),
        error=str(frame["error"]) if frame.get("error") else None,
    )


def place(value: object) -> Location | None:
    """A PLACE (`[file, line, function]`), None where it is not one."""
    match value:
        case [str() as file, int() as line, *rest]:
            return Location(file, line, rest[0] if rest and isinstance(rest[0], str) else None)
    return None


def _response(frame: dict[str, Any]) -> Response:
    body = base64.b64decode(str(frame.get("body_b64") or ""))
    size = frame.get("size")
    headers = tuple((str(item[0]), str(item[1])) for item in _items(frame, "headers", list) if len(item) == 2)  # noqa: PLR2004
    text = body.decode("utf-8", "replace")
    whole = not isinstance(size, int) or size == len(body)
    parsed, is_json = None, False
    if whole and text[:1] in tuple('{["0123456789-tfn'):
        with contextlib.suppress(ValueError, RecursionError):
            parsed, is_json = json.loads(text), True
    return Response(frame["status"], headers, text, size if isinstance(size, int) else len(body), parsed, is_json)


def _told(value: object) -> Told | None:
    if not isinstance(value, dict):
        return None
    files = [str(item[1]) for item in _items(value, "files", list) if len(item) == 2]  # noqa: PLR2004
    lines = tuple(line for text in (_text(value, "written"), *files) for line in text.splitlines() if line.strip())
    records = tuple(Logged(_number(each, "level"), _text(each, "logger"), _text(each, "message"), bool(each.get("own"))) for each in _items(value, "records"))
    return Told(lines, records, bool(value.get("raised")))


def _failure(value: object) -> Failure | None:
    if not isinstance(value, dict):
        return None
    return Failure(_text(value, "type"), _text(value, "message")[:_SHOWN], place(value.get("place")), _text(value, "traceback")[-_SHOWN:])


def _demand(each: dict[str, Any]) -> Demand:
    key = each.get("key")
    keys = tuple(part for part in key if isinstance(part, str | int)) if isinstance(key, list) else (str(key),)
    kind = _text(each, "type")
    named = _JSON_TYPES.get(kind, kind if kind in _JSON_TYPES.values() else "any")
    return Demand(_text(each, "place"), keys, bool(each.get("present")), bool(each.get("required")), each.get("default"), named)


def _outside(each: dict[str, Any]) -> bool:
    return _text(each, "place").startswith("outside")


def _mail(each: dict[str, Any]) -> str:
    return "\n" + str(each["mail"]) if each.get("mail") else ""


def _items(frame: dict[str, Any], name: str, kind: type = dict) -> list[Any]:
    value = frame.get(name)
    return [each for each in value if isinstance(each, kind)] if isinstance(value, list) else []


def _text(frame: dict[str, Any], name: str) -> str:
    value = frame.get(name)
    return value if isinstance(value, str) else "" if value is None else str(value)


def _number(frame: dict[str, Any], name: str) -> int:
    value = frame.get(name)
    return value if isinstance(value, int) else 0


def own_frames(traceback: str, project: Path) -> str:
    """What a reader of a failed boot needs: the project's own frames and the last line, without the throw-away paths."""
    lines = traceback.splitlines()
    own = [index for index, line in enumerate(lines) if f'File "{project}/' in line]
    shown = [lines[at] for index in own[-3:] for at in (index, index + 1) if at < len(lines)]
    last = next((line for line in reversed(lines) if line and not line.startswith(" ")), "")
    return "\n".join([*shown, last]).replace(f"{project}/", "")[:1200]
