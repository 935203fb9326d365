"""Owns what a dependency does to a route: which calls its honest request makes to the world outside, what happens where one goes wrong, and where the source makes them."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toughen.codemod.answers import caught_names
from toughen.codemod.clients import client_of
from toughen.codemod.module import dotted
from toughen.handling import sought
from toughen.model.trial import Experiment, Fault, Trial
from toughen.twists import answer, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from toughen.codemod.clients import ClientCall
    from toughen.handling import Handler
    from toughen.model.blueprint import Blueprint, Json, Route
    from toughen.model.finding import Suspicion
    from toughen.model.journey import Journey
    from toughen.model.source import Location
    from toughen.model.trace import Exchange, Outgoing
    from toughen.rule import Target

MOST = 4
"""Connections of one request that are tried."""
SAID = {"refused": "refuses the connection", "error": "answers 500", "hang": "does not answer in time"}
"""What happens outside, in words, by the kind of fault."""
_FAILED = 500
_REGISTERS = {"exception_handler", "add_exception_handler", "errorhandler", "register_error_handler", "app_errorhandler"}
_ON_PURPOSE = ("HTTPException", "InternalServerError", "BadGateway", "ServiceUnavailable", "GatewayTimeout")
"""Exceptions by which a handler answers 5xx itself."""


@dataclass(frozen=True, slots=True)
class Dependency:
    """A call to the world outside that the honest request makes."""

    host: str
    number: int
    """Which of the connections to that host it is."""
    outgoing: Outgoing

    @property
    def location(self) -> Location | None:
        """Where the source makes it."""
        return self.outgoing.location


def dependencies(exchange: Exchange) -> tuple[Dependency, ...]:
    """The calls that a request makes outside, one for each host and place in the source."""
    found: dict[tuple[str, str], Dependency] = {}
    counted: dict[str, int] = {}
    for each in exchange.outgoing:
        number = counted.get(each.host, 0)
        counted[each.host] = number + 1
        found.setdefault((each.host, f"{each.location.file}:{each.location.line}" if each.location else ""), Dependency(each.host, number, each))
    return tuple(found.values())[:MOST]


def experiments(target: Target, route: Route, journey: Journey, kinds: tuple[str, ...], times: int = 0) -> Iterator[Experiment]:
    """The honest request while one of its calls goes wrong, one trial for each kind."""
    honest = target.honest(route.id)
    for each in dependencies(honest.last) if honest is not None else ():
        trials = {"control": Trial(journey.calls, journey.grants)}
        trials |= {kind: Trial(journey.calls, journey.grants, fault=Fault(kind, each.number, times, each.host)) for kind in kinds}
        yield Experiment(trials, f"{each.host} fails", (("host", each.host), ("number", str(each.number))))


def met(experiment: Experiment, exchange: Exchange) -> Outgoing | None:
    """The connection that went wrong, None where the request never opened it."""
    found = [each for each in exchange.outgoing if each.host == experiment.fact("host")]
    number = int(experiment.fact("number") or 0)
    return found[number] if number < len(found) else None


def missed(experiment: Experiment, exchange: Exchange) -> str:
    """Why nothing is seen of the connection that was to go wrong."""
    host = experiment.fact("host")
    return f"while {host} fails, the request comes to no end in time" if exchange.ended == "timeout" else f"the request did not come to call {host} again"


def unhandled(exchange: Exchange) -> bool:
    """Whether a request ended in an exception that nobody answered."""
    failure = exchange.failure
    return failure is not None and (exchange.status or _FAILED) >= _FAILED and failure.type.rpartition(".")[2] not in _ON_PURPOSE


def key(experiment: Experiment) -> str:
    """What tells a finding of this host from others of the route."""
    number = int(experiment.fact("number") or 0)
    return experiment.fact("host") + (f" {number + 1}" if number else "")


def caught(handler: Handler, call: ClientCall) -> bool:
    """Whether a handler of the function, of the application, or of a caller catches what a call raises."""
    wanted = {*(each.rpartition(".")[2] for each in call.client.errors.strip("()").split(", ")), "Exception", "BaseException"}
    for place in handler.reach:
        names = {name.rpartition(".")[2] for each in ast.walk(place.node) if isinstance(each, ast.ExceptHandler) for name in caught_names(each)}
        if wanted & names:
            return True
    registered = [each for module in handler.project for each in ast.walk(module.tree) if isinstance(each, ast.Call) and dotted(each.func).rpartition(".")[2] in _REGISTERS]
    return any(dotted(argument).rpartition(".")[2] in wanted for each in registered for argument in each.args)


def facts(exchange: Exchange, control: Exchange, outgoing: Outgoing, happened: str) -> dict[str, Json]:
    """What a reader of the evidence needs: the request, the host and what befell it, the answers."""
    return {
        "request": shown(control), "calls": outgoing.host, "what happens there": happened,
        "answer": answer(exchange) if exchange.response is not None else "none", "honest answer": answer(control),
    }


def suspected(blueprint: Blueprint, sources: Mapping[str, str], break_id: str, says: Callable[[Handler, ClientCall], str]) -> Iterator[Suspicion]:
    """The calls to the world outside that handlers make, and functions that they call, of which `says` has something to say."""

    def look(handler: Handler) -> Iterator[Suspicion]:
        for place in handler.reach:
            for node in ast.walk(place.node):
                call = client_of(place.module, node) if isinstance(node, ast.Call) else None
                told = says(handler, call) if call is not None else ""
                if told:
                    yield handler.suspicion(break_id, node.lineno, told, place)  # type: ignore[attr-defined]
                    return

    yield from sought(blueprint, sources, look)
