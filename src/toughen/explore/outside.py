"""Owns the learning of how the world outside answers: bodies of the shape that the prototype reads, until its request succeeds."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from toughen.lab.agent.fault_server import PLAUSIBLE, number_of
from toughen.lab.requests import build, flatten

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.lab.boot import Lab
    from toughen.model.blueprint import Json
    from toughen.model.trace import Exchange

Path = tuple[str | int, ...]

ROUNDS = 6
"""How often one request is sent again because an answer from outside holds more by now."""
_INSIDE = "$json"
_BAD = re.compile(r"err|fail|fault|exception|warning|problem|invalid|denied|^detail$", re.IGNORECASE)
"""Keys of an answer that tells of something wrong."""
_SMALL, _MOMENT = 2, 1_767_225_600
_MOMENTS = re.compile(r"(^|_)(at|time|timestamp|dt|created|updated|expires|sunrise|sunset)$", re.IGNORECASE)
_TEXTS = (
    (re.compile(r"url|uri|link|href|image|avatar|icon", re.IGNORECASE), "https://example.com/"),
    (re.compile(r"mail", re.IGNORECASE), "outside@example.com"),
    (re.compile(r"(^|_)(date|datetime|created|updated|time|at)$", re.IGNORECASE), "2026-01-01T00:00:00Z"),
    (re.compile(r"currency|^base$|^code$", re.IGNORECASE), "EUR"),
    (re.compile(r"^status$|state$", re.IGNORECASE), "succeeded"),
    (re.compile(r"^id$|_id$", re.IGNORECASE), "lab_1"),
)
_NUMERIC = re.compile(r"decimal\.ConversionSyntax|InvalidOperation|could not convert string to float|invalid literal for int")
"""What is said of a text that should be a number."""
_COMPLAINT = re.compile(r"^([\w.]+)\n  (.*?)\[type=(\w+)", re.MULTILINE)
_USAGE: dict[str, Json] = {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}
_PAID: dict[str, Json] = {"id": "lab_1", "status": "succeeded", "amount": 1000, "currency": "eur", "livemode": False, "metadata": {}, "created": _MOMENT}
KNOWN: tuple[tuple[str, dict[str, Json]], ...] = (
    ("/chat/completions", {
        "id": "lab_1", "object": "chat.completion", "created": _MOMENT, "model": "lab", "usage": _USAGE,
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "All is well."}}],
    }),
    ("/completions", {"id": "lab_1", "object": "text_completion", "created": _MOMENT, "model": "lab", "usage": _USAGE, "choices": [{"index": 0, "finish_reason": "stop", "text": "All is well."}]}),
    ("/responses", {
        "id": "lab_1", "object": "response", "created_at": _MOMENT, "model": "lab", "status": "completed", "parallel_tool_calls": False, "tool_choice": "auto", "tools": [],
        "output": [{"id": "lab_2", "type": "message", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "All is well.", "annotations": []}]}],
    }),
    ("/v1/messages", {
        "id": "lab_1", "type": "message", "role": "assistant", "model": "lab", "stop_reason": "end_turn", "content": [{"type": "text", "text": "All is well."}],
        "usage": {"input_tokens": 5, "output_tokens": 5},
    }),
    ("/embeddings", {"object": "list", "model": "lab", "usage": _USAGE, "data": [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2, 0.3]}]}),
    ("/images/generations", {"created": _MOMENT, "data": [{"url": "https://example.com/"}]}),
    (":generateContent", {"candidates": [{"content": {"role": "model", "parts": [{"text": "All is well."}]}, "finishReason": "STOP"}]}),
    ("/api/generate", {"model": "lab", "response": "All is well.", "done": True}),
    ("/payment_intents", {**_PAID, "object": "payment_intent", "client_secret": "lab_1_secret_2"}),
    ("/checkout/sessions", {**_PAID, "object": "checkout.session", "url": "https://example.com/", "payment_status": "paid", "status": "complete"}),
    ("/charges", {**_PAID, "object": "charge", "paid": True, "captured": True, "refunded": False}),
    ("/refunds", {**_PAID, "object": "refund"}),
    ("/customers", {"id": "lab_1", "object": "customer", "email": "outside@example.com", "created": _MOMENT, "metadata": {}}),
)
"""How services answer whose clients read more than is told, by the end of the path."""


@dataclass(slots=True)
class Outside:
    """What was learned of each host and path, and what is answered there."""

    lab: Lab
    _asked: dict[str, dict[Path, str]] = field(default_factory=dict)
    """What its values are, by host and path and the keys that lead to them: any, object, array, number, integer, json, or `=` and the value itself."""
    _bodies: dict[str, Json] = field(default_factory=dict)

    def learn(self, exchange: Exchange, *, succeeded: bool) -> bool:
        """Whether an answer was made that holds more of what was asked for, so that the request is worth sending again."""
        before = json.dumps(self._bodies)
        places = {number_of(*place.split(" ", 1)): place for place in (_place(one.host, one.request) for one in exchange.outgoing) if place}
        for place in places.values():
            if (known := _known(place)) is not None:
                self._bodies.setdefault(place, known)
        for each in exchange.asked:
            asked_of = places.get(int(each.key[0])) if each.key and isinstance(each.key[0], int) else None
            if asked_of is None or (len(each.key) == 1 and ":" not in each.place):
                continue
            path = each.key[1:]
            kind = each.place.partition(":")[2]
            known = _known(asked_of)
            if not kind and (each.present or (not each.required and (succeeded or known is not None or _BAD.search(str(path[-1]))))):
                continue
            self._note(asked_of, path, f"={json.dumps(each.default)}" if kind == "equal" else kind or "any")
        if exchange.failure is not None and len(places) == 1:
            for path, kind in _wanted(exchange.failure.message):
                self._note(next(iter(places.values())), path, kind)
        if not succeeded and _NUMERIC.search((exchange.failure.message if exchange.failure else "") + (exchange.response.body if exchange.response else "")):
            for place in places.values():
                for path, kind in self._asked.get(place, {}).items():
                    self._note(place, path, f"={json.dumps(str(_SMALL))}" if kind == "any" else kind)
        for place in self._asked:
            self._bodies[place] = composed(self._asked[place], _known(place))
        changed = json.dumps(self._bodies) != before
        if changed:
            self.lab.answer(self._bodies)
        return changed

    def _note(self, place: str, path: Path, kind: str) -> None:
        known = self._asked.setdefault(place, {})
        held = known.get(path, "any")
        if kind != "any" and not (held.startswith("=") and kind != "="):
            known[path] = kind
        else:
            known.setdefault(path, "any")


def _known(place: str) -> dict[str, Json] | None:
    return next((body for end, body in KNOWN if place.endswith(end)), None)


def composed(asked: dict[Path, str], known: dict[str, Json] | None = None) -> Json:
    """A body that holds what was asked for, in what is known of the service, or an object of what answers usually hold."""
    paths = {path for path, kind in asked.items() if path or kind in {"array", "object"}}
    leaves: list[tuple[Path, Json]] = []
    if known is not None:
        leaves += flatten(known)
        held = {path for path, _ in leaves}
        paths = {path for path in paths if not any(each[: len(path)] == path for each in held)}
    elif not any(path[:1] == (0,) for path in paths) and asked.get((), "") != "array":
        leaves += [((name,), value) for name, value in PLAUSIBLE.items()]
    for path in sorted(paths, key=lambda each: (len(each), repr(each))):
        if _INSIDE in path or any(other[: len(path)] == path and len(other) > len(path) and other[len(path)] != _INSIDE for other in paths):
            continue
        inside = {other[len(path) + 1 :]: kind for other, kind in asked.items() if other[: len(path) + 1] == (*path, _INSIDE)}
        leaves.append((path, json.dumps(composed(inside) if inside else PLAUSIBLE) if inside or asked[path] == "json" else _value(path, asked[path])))
    return build(leaves)


def _wanted(said: str) -> Iterator[tuple[Path, str]]:
    """What a model of pydantic's says that a body lacks, or should hold otherwise: (keys, kind)."""
    for match in _COMPLAINT.finditer(said):
        path = tuple(int(key) if key.isdigit() else key for key in match[1].split("."))
        kind = match[3].partition("_")[0]
        example = re.search(r"should be (?:'([^']*)'|(True|False|\d+))", match[2]) if kind in {"enum", "literal"} else None
        if example is not None:
            yield path, "=" + json.dumps(example[1] if example[1] is not None else example[2])
        else:
            yield path, {"float": "number", "decimal": "number", "int": "integer", "bool": "=true", "list": "array", "dict": "object", "model": "object"}.get(kind, "any")


def _value(path: Path, kind: str) -> Json:
    name = next((str(key) for key in reversed(path) if isinstance(key, str)), "")
    if kind.startswith("="):
        value: Json = json.loads(kind[1:])
        return value
    match kind:
        case "object":
            return {}
        case "array":
            return [_value((*path, 0), "any")]
        case "number" | "integer":
            number = _MOMENT if _MOMENTS.search(name) else _SMALL
            return float(number) if kind == "number" else number
    return next((text for pattern, text in _TEXTS if pattern.search(name)), "outside")


def _place(host: str, line: str) -> str:
    """The host and the path of a request that was sent outside."""
    parts = line.split(" ")
    return f"{host.lower()} {parts[1].partition('?')[0]}" if len(parts) > 2 and parts[1].startswith("/") else ""  # noqa: PLR2004 - method, path, version
