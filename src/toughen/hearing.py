"""Owns what the people who run a prototype hear of an error: which of the lines that it writes are structured, say how bad it is, and name the request."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from toughen.model.blueprint import Place
from toughen.model.journey import Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.journey import Call
    from toughen.model.trace import Exchange, Logged, Told, Trace

REQUEST_ID = "7f3a9c2e-51d0-4b68-9c1e-2f60a4d83b17"
_TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
_WARNING, _ERROR = 30, 40
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_PAIR = re.compile(r"""([A-Za-z_][\w.-]*)=("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s"'\]]+)""")
_LEVEL = re.compile(r"^(?:log[._-]?)?(?:level|levelname|severity|lvl|priority)$", re.IGNORECASE)
_BAD = re.compile(r"\b(?:warn(?:ing)?|error|critical|fatal|exception|emergency|alert)\b", re.IGNORECASE)
_NAMED = re.compile(r"(?:request|correlation|trace|transaction|req)[._-]?(?:id|no)$|^(?:rid|traceparent)$", re.IGNORECASE)
_REASON = re.compile(r"[A-Z][A-Za-z '-]+: /\S*")
_SHORTEST, _PAIRS = 8, 3
_LONG = 80
_WORD = re.compile(r"[A-Za-z][A-Za-z_ -]{2,19}")
_REFUSES, _FAILED = 400, 500


def asking(call: Call) -> Call:
    """The call with an id of the lab's own, as proxies send one."""
    named = call.with_argument(Place.HEADER, ("X-Request-ID",), Literal(REQUEST_ID)).with_argument(Place.HEADER, ("X-Correlation-ID",), Literal(REQUEST_ID))
    return named.with_argument(Place.HEADER, ("traceparent",), Literal(f"00-{_TRACE_ID}-00f067aa0ba902b7-01"))


def structured(line: str) -> dict[str, str] | None:
    """What a line says, by name: of a JSON object or of pairs; None where it is prose."""
    text = _COLOURS.sub("", line).strip()
    if text.startswith("{"):
        with suppress(ValueError, RecursionError):
            parsed = json.loads(text)
            if isinstance(parsed, dict):
                return dict(_leaves(parsed))
    pairs = {key: value.strip("\"'") for key, value in _PAIR.findall(text)}
    if len(pairs) < _PAIRS:
        return None
    if not any(_LEVEL.search(key) for key in pairs) and (found := _BAD.search(_PAIR.sub("", text))):
        pairs["level"] = found.group()
    return pairs


def _leaves(value: Mapping[str, object], depth: int = 0) -> Iterator[tuple[str, str]]:
    for key, each in value.items():
        if isinstance(each, dict) and depth < 3:  # noqa: PLR2004 - deep enough for what loggers nest
            yield from ((f"{key}.{name}", text) for name, text in _leaves(each, depth + 1))
        elif each is not None:
            yield key, str(each)


def grave(facts: Mapping[str, str]) -> bool:
    """Whether a structured line says that it is about an error."""
    for key, value in facts.items():
        if any(_LEVEL.search(part) for part in key.split(".")) and (_BAD.search(value) or (value.isdigit() and int(value) >= _WARNING)):
            return True
    return False


def named(facts: Mapping[str, str], exchange: Exchange) -> bool:
    """Whether a structured line names the request: by the id that was sent or is answered, or under a name that says so."""
    held = " ".join(facts.values())
    if REQUEST_ID in held or REQUEST_ID.replace("-", "") in held or _TRACE_ID in held:
        return True
    if any(_NAMED.search(key) and value for key, value in facts.items()):
        return True
    response = exchange.response
    headers = [value for name, value in response.headers if re.search(r"request|correlation|trace", name, re.IGNORECASE)] if response is not None else []
    return any(len(each) >= _SHORTEST and each in held for each in headers)


def telling(exchange: Exchange) -> tuple[str, str]:
    """(the line of an error that can be searched for and joined with its request, "" where there is none; what is missing of it)."""
    told = exchange.told
    lines = [(line, facts) for line in told.lines if (facts := structured(line)) is not None] if told is not None else []
    errors = [(line, facts) for line, facts in lines if grave(facts)]
    whole = next((line for line, facts in errors if named(facts, exchange)), "")
    if whole or told is None:
        return whole, ""
    if errors:
        return "", "a structured line, and none that names the request"
    if any("Traceback (most recent call last)" in line for line in told.lines):
        return "", "a traceback in many lines of prose"
    if told.lines:
        return "", "prose"
    return "", "nothing but the traceback that its server writes" if told.raised else "nothing at all"


def elsewhere(exchange: Exchange, control: Exchange, lost: tuple[str, ...] = ()) -> str:
    """Where an error may have been told, and is not seen: at a logging handler that writes neither here nor into a file, or outside; "" where nowhere.

    What the loggers in `lost` are given is known to reach nobody.
    """
    if hosts := {each.host for each in exchange.outgoing} - {each.host for each in control.outgoing}:
        return f"{min(hosts)} was called, which may be told of errors"
    told = exchange.told
    written = _letters(" ".join(told.lines)) if told is not None else ""
    for each in told.logged if told is not None else ():
        if each.level >= _ERROR and each.logger not in lost and _letters(each.message[:_LONG]) not in written:
            return f"a record of logger {each.logger} went where it is not seen"
    return ""


def _letters(text: str) -> str:
    return re.sub(r"\\[nrt]|[^A-Za-z0-9]", "", text)


def sample(told: Told | None) -> str:
    """The first of the lines that were written, for a reader."""
    return "\n".join(line[:200] for line in told.lines[:6]) if told is not None else ""


def loud(told: Told) -> bool:
    """Whether logging was given a warning or worse."""
    return any(each.level >= _WARNING and not _of_the_answer(each) for each in told.logged)


def status_line(told: Told) -> str:
    """What the framework notes of an answer of its own accord, without a word of why; "" where it notes nothing."""
    return next((each.message for each in told.logged if _of_the_answer(each)), "")


def _of_the_answer(record: Logged) -> bool:
    """Whether a record of Django's says no more than a line of access does: the reason of the status, and the path."""
    return record.logger in {"django.request", "django.server"} and _REASON.fullmatch(record.message) is not None


def news(told: Told, usual: Told) -> bool:
    """Whether a line was written that an honest request does not write; what libraries note below a warning is none."""
    known = {_shape(each) for each in usual.lines}
    quiet = [each.message[:_LONG].splitlines()[0] for each in told.logged if ((not each.own and each.level < _WARNING) or _of_the_answer(each)) and each.message.strip()]
    return any(_shape(line) not in known and not any(text in line for text in quiet) for line in told.lines)


def _shape(line: str) -> str:
    """A line without what differs from run to run."""
    return re.sub(r"[0-9a-f]{8,}|\d+", "0", line)


def missed(control: Trace, failure: Trace, host: str) -> str:
    """What a client, or the world, did not get, in words; "" where that cannot be said."""
    honest, failed = control.last, failure.last
    if (failed.status or _FAILED) >= _REFUSES:
        return f"{failed.method} {failed.target.partition('?')[0]} answers {failed.status}"
    if host:
        sent = next((each for each in honest.outgoing if each.host == host), None)
        reads = sent is None or sent.request.split(" ", 1)[0] in {"GET", "HEAD", "OPTIONS", "CONNECT", ""}
        return "" if reads else f"the request is answered with {failed.status} all the same"
    kept = {(each.table, each.kind) for each in control.final_changes} - {(each.table, each.kind) for each in failure.final_changes}
    if kept:
        table, kind = min(kept)
        return f"no row of {table} is {kind}, the request is answered with {failed.status} all the same"
    if honest.response is not None and failed.response is not None and honest.response.body != failed.response.body:
        return f"the request is answered with {failed.status} all the same, and without what it was to show"
    return ""


def beside(control: Trace, failure: Trace) -> bool:
    """Whether something else than lines keeps the error: a call to somebody, a row, a file."""
    if {each.host for each in failure.last.outgoing} - {each.host for each in control.last.outgoing}:
        return True
    if {(each.table, each.kind) for each in failure.final_changes} - {(each.table, each.kind) for each in control.final_changes}:
        return True
    if set(failure.last.written_files) - set(control.last.written_files):
        return True
    # A row that says `pending` or `failed` where an honest one says `paid` keeps it as well.
    return bool(_words(failure) - _words(control))


def _words(trace: Trace) -> set[tuple[str, str, str]]:
    return {(each.table, column, value) for each in trace.final_changes for column, value in each.after.items() if isinstance(value, str) and _WORD.fullmatch(value)}
