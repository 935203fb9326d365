"""Owns race/shared-memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen import memories, tearing
from toughen.model.finding import Evidence, Severity
from toughen.model.patch import Unmended
from toughen.model.source import Location
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.samples.memory import (
    CACHED,
    DEPOSITS,
    FILED,
    GIVEN,
    LIMITED,
    MADE_LATER,
    NOTES,
    PIECES,
    REGISTRY,
    SEATS,
    TODOS,
    TWICE_MADE,
)
from toughen.specimens import SESSION_NEEDS
from toughen.twists import answer, shown, succeeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Finding, Suspicion
    from toughen.model.journey import Journey
    from toughen.model.patch import Patch
    from toughen.model.trace import Exchange, Trace
    from toughen.model.trial import Experiment
    from toughen.rule import Judgement, Target

_SHORT = 80


class SharedMemory(Rule):
    """What the business owns lies in a variable: a restart forgets it, a second worker never knew it, and two requests at once tear it.

    Who pays: everybody, at the first deployment. With two workers it is there or not there by chance; with one, two threads both
    see the last piece, and of two tasks one change is lost.

    Shown: an honest request adds to a variable of a module, and another shows what was added. In one process it does; with
    a process for each request, as two workers are, it does not. Or two honest requests in one process, of which the first stands still at a
    line or where it gives way, leave what is read in no order of the two. What is also in a database or a file, caches, counters of
    attempts, and what is filled at import count for nothing.

    Example: `todos = []`, `todos.append(todo)` in one handler and `return todos` in another.
    Instead: a table. Where nothing else is there, SQLite takes one file and no server.

    References: CWE-362, CWE-567; https://12factor.net/processes.
    """

    id = "race/shared-memory"
    title = "What is stored lies in the memory of one process"
    severity = Severity.MEDIUM
    cwe = (362, 567)
    order = 63

    def suspect(self, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
        """Variables of modules that one route adds to and another reads."""
        yield from memories.suspected(self.id, blueprint, sources)

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """Each variable is tried on the first route that reads it."""
        yield from memories.experiments(target, route, journey)
        yield from tearing.experiments(target, route, journey)

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """There in one process, and not in another."""
        control = traces["control"]
        if experiment.fact("how") == "torn":
            return self._torn(experiment, traces)
        apart = traces["apart"]
        refused = next((each for each in control.exchanges if not succeeded(each)), None)
        if refused is not None:
            return Unclear(f"the honest requests do not succeed: {answer(refused)}")
        how, at = experiment.fact("how"), experiment.fact("at")
        if at and not succeeded(apart.exchanges[int(at)]):
            return Unclear("the request that adds does not succeed in a process of its own")
        here, there = _body(control.last), _body(apart.last)
        if how == "marked":
            canary = control.markers.get("kept", "")
            held = bool(canary) and canary in here and apart.markers.get("kept", "-") not in there
        elif how == "other":
            before = _body(traces["alone"].last)
            held = before == _body(traces["again"].last) == there and here != before
        else:
            held = not succeeded(apart.last) and (apart.last.status or 500) < 500  # noqa: PLR2004
        if not held:
            return Fails()
        if control.changes or any(each.written_files for each in control.exchanges):
            return Unclear("what is added is written to a database or a file, too")
        name, file, line = experiment.fact("store"), experiment.fact("file"), int(experiment.fact("line"))
        asked = [shown(each) for each in control.exchanges[-2:]]
        return Holds(
            Evidence(
                f"{name} keeps what is added in the memory of one process: another one, or the same after a restart, does not know it",
                {"requests": [*asked], "in one process": answer(control.last), "in another": answer(apart.last), "added by": experiment.fact("writers"), "read by": experiment.fact("readers")},
                Location(file, line),
                (("store", name), ("writers", experiment.fact("writers")), ("readers", experiment.fact("readers"))),
                key=name,
            )
        )

    def _torn(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """Two at once in one process leave what no order of the two leaves."""
        control, race = traces["control"], traces["race"]
        if not succeeded(control.exchanges[-3]) or not succeeded(control.last):
            return Unclear(f"the honest requests do not succeed: {answer(control.exchanges[-3])}")
        found = tearing.torn(traces)
        if found is None:
            return Fails()
        now, serially, answers = found
        name, line = experiment.fact("store"), int(experiment.fact("line"))
        where = race.schedule[0].removeprefix("A stands still at ")
        return Holds(
            Evidence(
                f"two requests at once in one process tear {name}: {_short(now)} is read afterwards, {_short(serially)} one after the other",
                {
                    "requests": [shown(each) for each in race.exchanges[-3:-1]], "answers": answers, "the first stands still at": where, "read afterwards": now, "one after the other": serially,
                    "workers": "one process is enough: its threads, or its tasks where they give way",
                },
                Location(experiment.fact("file"), line),
                (("store", name), ("how", "torn"), ("writers", experiment.fact("writers")), ("readers", experiment.fact("readers")), ("where", where)),
                severity=Severity.HIGH,
                key=f"{name}, torn",
            )
        )

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """A brief: which variable, which routes, which table."""
        evidence = finding.evidence
        if evidence is not None and evidence.fact("how") == "torn":
            yield Unmended(
                f"{evidence.fact('store')} lies in the memory of one process: a lock there would be right in one worker only",
                f"What must hold afterwards: what {evidence.fact('writers')} reads and changes is one step. Keep it in a table and change it by one UPDATE with its condition; until then one lock around the lines "
                f"from the read to the write (at {evidence.fact('where')}), with one worker.",
            )
            return
        name, writers, readers = (evidence.fact(each) for each in ("store", "writers", "readers")) if evidence else ("it", "", "")
        where = f" in the database that is there ({blueprint.database})" if blueprint.database not in {None, "memory"} else ": SQLite takes one file and no server"
        yield Unmended(
            f"{name} wants a table, and which columns it has is the owner's to say",
            f"What must hold afterwards: what {writers} adds is there for {readers} in every process, also after a restart. Make a table for {name}{where}; write it in the one and read it in the others; "
            "its numbers come from the database, not from len() or a counter.",
        )

    BROKEN: ClassVar[list[Broken]] = [
        Broken(TODOS, "GET /todos", ("fastapi",), unmended="wants a table"),
        Broken(NOTES, "GET /notes/{key}", unmended="wants a table"),
        Broken(SEATS, "GET /seats", unmended="wants a table"),
        Broken(GIVEN, "GET /recipes/{key}", ("fastapi",), unmended="wants a table"),
        Broken(MADE_LATER, "GET /cards", unmended="wants a table"),
        Broken(DEPOSITS, "POST /accounts/{account_id}/deposit", ("fastapi",), unmended="right in one worker only", unseen="that it lies in memory is told of the route that reads it"),
        Broken(PIECES, "POST /products/{product_id}/buy", unmended="right in one worker only", unseen="that it lies in memory is told of the route that reads it"),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound(CACHED, "what is in memory is in the database, too", SESSION_NEEDS),
        Sound(LIMITED, "attempts are counted, and nobody's business is lost with them"),
        Sound(REGISTRY, "what is filled at import is the same in every process", ("fastapi",)),
        Sound(TWICE_MADE, "nothing outlives its request, in one process as in two", ("fastapi",)),
        Sound(FILED, "what is added is in a file, from which it is read"),
    ]


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _SHORT else f"{flat[: _SHORT - 1]}…"


def _body(exchange: Exchange) -> str:
    return exchange.response.body if exchange.response else ""
