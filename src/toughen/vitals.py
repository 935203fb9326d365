"""Owns what a prototype says of its own health: which addresses might tell it, and whether their answers turn with its database."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from toughen.model.journey import Call
from toughen.twists import succeeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.trace import Exchange
    from toughen.rule import Target

NAMES = ("healthz", "health", "readyz", "ready", "livez", "live", "status", "ping", "up", "healthcheck", "health-check", "health_check", "health/ready", "health/live", "_health", "actuator/health")
"""What frameworks and orchestrators call such an address."""
NOWHERE = "GET /no-such-address-here"
_ROOT = "GET /"
_SURE = re.compile(r"^_?(?:health|ready|live)(?:z|iness|ness|y|[_-]?check)?$|^heart[_-]?beat$|^alive$", re.IGNORECASE)
_MAYBE = re.compile(r"^_?(?:status|ping|up|server[_-]?status|is[_-]?alive)$", re.IGNORECASE)
_READY = re.compile(r"ready|readi|health", re.IGNORECASE)
_WELL = re.compile(r"^(?:ok|okay|up|healthy|alive|running|online|live|ready|pass)\b", re.IGNORECASE)
_SHALLOW, _SHARED = 4, 2
_SUCCESS, _REFUSED, _FAILED = range(200, 300), (401, 403), 500


def tells(path: str) -> bool:
    """Whether a path's words are those of a health check."""
    parts = [each for each in path.strip("/").split("/") if each]
    if not parts or "{" in path:
        return False
    return any(_SURE.match(each) for each in parts) or (len(parts) < _SHALLOW and _MAYBE.match(parts[-1]) is not None)


def spoken_for(target: Target) -> str:
    """The route that shows what the whole application does with an error: the first that was reached and is no health check."""
    return next((each.id for each in _reached(target) if each.handler.file), "")


def data_route(target: Target) -> str:
    """The first route that asks a database and is no health check; "" where none does."""
    for route in _reached(target):
        honest = target.honest(route.id)
        if honest is not None and any(each.verb not in {"commit", "rollback", "begin"} for each in honest.last.statements):
            return route.id
    return ""


def _reached(target: Target) -> list[Route]:
    """Routes that were reached and are no health checks: those that answer themselves first, reading ones among them first."""
    ranked = []
    for route in target.blueprint.routes:
        journey = target.journey(route.id)
        if journey is not None and not tells(route.path):
            ranked.append(((journey.status not in _SUCCESS, route.method != "GET"), route))
    return [route for _, route in sorted(ranked, key=lambda each: each[0])]


def candidates(blueprint: Blueprint) -> tuple[Call, ...]:
    """Calls of every address that might tell: the declared ones, and the well-known ones at the root and below the API's prefixes; nowhere and the root come last.

    Of Django's, most end with a slash.
    """
    declared = [each.id for each in blueprint.routes if each.method == "GET" and tells(each.path)]
    names = (*NAMES, *(f"{each}/" for each in (*NAMES, "ht"))) if blueprint.framework == "django" else NAMES
    known = [f"GET {prefix}/{name}" for prefix in ("", *_prefixes(blueprint.routes)) for name in names]
    return tuple(Call(each) for each in dict.fromkeys([*declared, *known, _ROOT, NOWHERE]))


def _prefixes(routes: Sequence[Route]) -> Iterator[str]:
    """Beginnings that several routes share: `/api`, `/api/v1`."""
    for length in (1, 2):
        heads = [tuple(each.path.strip("/").split("/")[:length]) for each in routes if each.path.count("/") > length]
        for head in dict.fromkeys(heads):
            if heads.count(head) >= _SHARED and re.fullmatch(r"(?:api|v\d+|rest|service|app)", head[-1], re.IGNORECASE):
                yield "/" + "/".join(head)


def alive(exchanges: Sequence[Exchange]) -> list[int]:
    """Numbers of the calls that are answered with success by an address that is meant to tell, not by one that answers everybody alike; what means readiness comes first."""
    nowhere = exchanges[-1]
    found = [index for index, each in enumerate(exchanges[:-1]) if (each.status or 0) in _SUCCESS and _meant(each, nowhere)]
    return sorted(found, key=lambda index: _READY.search(exchanges[index].target) is None)


def _meant(exchange: Exchange, nowhere: Exchange) -> bool:
    response = exchange.response
    if response is None:
        return False
    if exchange.target.partition("?")[0] == "/":
        body = response.json if isinstance(response.json, dict) else {}
        return any(isinstance(each, str) and _WELL.match(each) for name, each in body.items() if name.lower() in {"status", "health", "state", "message", "msg"})
    if (nowhere.status or 0) not in _SUCCESS:
        return True
    return nowhere.response is not None and response.body != nowhere.response.body and "html" not in (response.header("content-type") or "")


def shut(exchanges: Sequence[Exchange]) -> str:
    """An address of a health check that wants a credential, or fails though nothing is wrong; "" where none does, or all that is unknown is answered so."""
    nowhere = exchanges[-1].status or 0
    for each in exchanges[:-1]:
        status = each.status or 0
        if status != nowhere and (status in _REFUSED or status >= _FAILED) and any(_SURE.match(part) for part in each.target.strip("/").split("/")):
            return f"{each.method} {each.target} answers {status}"
    return ""


def turned(exchange: Exchange) -> bool:
    """Whether an address tells by its status that something is wrong."""
    return (exchange.status or _FAILED) not in _SUCCESS


def goes_on(exchange: Exchange) -> bool:
    """Whether an honest request succeeds all the same."""
    return succeeded(exchange)
