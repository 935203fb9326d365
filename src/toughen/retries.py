"""Owns what a request does when a call to the world outside fails: whether it tries once more, how often, and whether it may. And the repair."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from toughen.codemod import UnmendableError
from toughen.codemod.clients import line_of, spoken
from toughen.codemod.dependencies import declared
from toughen.codemod.mechanics import use, wrap
from toughen.codemod.module import Module, halt, scope_of
from toughen.handling import parsed
from toughen.model.patch import FileChange, Patch, Unmended
from toughen.model.trial import Experiment, Fault, Trial
from toughen.outages import dependencies
from toughen.twists import succeeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Finding
    from toughen.model.journey import Journey
    from toughen.model.trace import Exchange, Outgoing, Trace
    from toughen.rule import Target

MANY = 8
"""Connections to one place in one request beyond which nobody speaks of a retry any more."""
_TRIES, _INSTANT = 3, 60.0
"""Tries that are a retry by intention, and milliseconds that one takes to be refused."""
_SAFE = re.compile(r"^(GET|HEAD|OPTIONS) ")
_SENDS = re.compile(r"^POST ")
_DOES = re.compile(r"pay|charg|refund|transfer|payout|order|send|sms|mail|message|book|ship|invoice|checkout|notif|subscri|purchase", re.IGNORECASE)
"""Places where the same request twice has two effects."""
_ASKS = re.compile(r"completion|embedding|generat|/v1/messages$|search|query|token|oauth", re.IGNORECASE)
_PACKAGE = "stamina>=24.2"
_ON = {"requests.": "(requests.exceptions.ConnectionError, requests.exceptions.Timeout)", "httpx.": "httpx.TransportError"}


def experiments(target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
    """One call of the honest request fails once, in two ways; then it fails for good."""
    honest = target.honest(route.id)
    if honest is None:
        return
    calls, grants = journey.calls, journey.grants
    for each in dependencies(honest.last):
        trials = {"control": Trial(calls, grants)}
        for kind, times in (("reset", 1), ("error", 1), ("refused", 0)):
            trials[kind] = Trial(calls, grants, fault=Fault(kind, each.number, times, each.host))
        asked = each.outgoing
        kind = "asks" if _SAFE.match(asked.request) or asked.key else "does" if _is_effect(asked) else ""
        yield Experiment(trials, f"{each.host} fails once", (("host", each.host), ("number", str(each.number)), ("kind", kind)))


def _is_effect(outgoing: Outgoing) -> bool:
    path = "".join(outgoing.request.split(" ")[1:2]).partition("?")[0]
    return bool(_SENDS.match(outgoing.request)) and not _ASKS.search(path) and bool(_DOES.search(f"{outgoing.host} {path}"))


def calls(experiment: Experiment, exchange: Exchange) -> list[Outgoing]:
    """The connections of a request to the host in question."""
    return [each for each in exchange.outgoing if each.host == experiment.fact("host")]


def hurries(experiment: Experiment, traces: Mapping[str, Trace]) -> int:
    """How often a service that is down was called for the same thing with no pause in between; 0 where it was not, or less than three times.

    A pause that was not seen would take time: what took longer than so many calls need is nothing of this kind.
    """
    down, control = traces["refused"].last, traces["control"].last
    called = calls(experiment, down)
    number = int(experiment.fact("number") or 0)
    same = [each for each in called[number:] if (each.location, each.port) == (called[number].location, called[number].port)] if number < len(called) else []
    quick = down.milliseconds - control.milliseconds < _INSTANT * len(same)
    return len(same) if len(same) >= _TRIES and len(called) - len(calls(experiment, control)) >= _TRIES - 1 and not down.slept and quick else 0


def gives_up(experiment: Experiment, traces: Mapping[str, Trace]) -> bool:
    """Whether one failure of a call that may be made twice fails the whole request, and nothing was tried again."""
    if experiment.fact("kind") != "asks":
        return False
    control = len(calls(experiment, traces["control"].last))
    for kind in ("reset", "error"):
        exchange = traces[kind].last
        failed = exchange.response is not None and exchange.response.status >= 500 and not succeeded(exchange)  # noqa: PLR2004
        if not failed or len(calls(experiment, exchange)) > control:
            return False
    return True


def retried(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
    """The one call tried up to three times, with pauses, by stamina."""
    evidence = finding.evidence
    file, _, line = (evidence.fact("call") if evidence else "").rpartition(":")
    host = evidence.fact("host") if evidence else "the service"
    brief = f"Try the call of {host} up to three times, with a pause that grows; never without an end, and never what may not be done twice."
    module = parsed(sources).get(file)
    if evidence is None or evidence.fact("kind") != "once" or module is None or not line.isdigit():
        yield Unmended("when to try again, and when not, is for a person to say", brief)
        return
    try:
        text = _tried_again(module, line_of(module, int(line), evidence.location.function if evidence.location else None))
    except (UnmendableError, RecursionError) as error:
        yield Unmended(str(error), brief)
        return
    change = declared(blueprint.companions, _PACKAGE)
    changes = (FileChange(file, module.text, text), *((change,) if change else ()))
    yield Patch(finding.id, changes, f"Try {host} again when a call of it fails", packages=("stamina",) if change or "stamina" not in module.text else ())


def _tried_again(module: Module, line: int) -> str:
    call = next((each for each in spoken(module, line) if each.speaks), None) or halt(f"no call at {module.file}:{line} is of a client that is known")
    on = next((text for start, text in _ON.items() if call.name.startswith(start)), "") or halt(f"{call.name} raises one kind of exception for everything")
    statement = module.statement(line)
    if hasattr(statement, "body"):
        halt(f"the call at {module.file}:{line} stands at the head of a block")
    function = module.enclosing(statement) or halt(f"no function holds line {line} of {module.file}")
    if any(isinstance(each, ast.Name) and each.id == "attempt" for each in scope_of(function)) or "attempt" in module.globals:
        halt("`attempt` already means something there")
    if isinstance(statement, ast.Return):
        halt("the call is answered in passing")
    word = "async for" if any(isinstance(each, ast.Await) for each in ast.walk(statement)) else "for"
    inner = Module(module.file, wrap(module, [statement], "with attempt:").done())
    draft = wrap(inner, [inner.statement(line)], f"{word} attempt in stamina.retry_context(on={on}, attempts=3, timeout=15):")
    draft += use(inner, "import stamina")
    for needed in call.client.imports:
        draft += use(inner, needed)
    return draft.done()
