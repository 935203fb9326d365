"""Owns work that a request leaves for after its answer: how its loss is tried, where the source hands it on, and how it is done before the answer instead."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toughen.codemod.draft import word
from toughen.codemod.mechanics import replace, use
from toughen.codemod.module import dotted, halt, scope_of
from toughen.halves import seen, telling
from toughen.handling import Place, called, calls_of, handlers, sought
from toughen.model.journey import Call
from toughen.model.patch import FileChange, Patch, Unmended
from toughen.model.trial import ANSWERED, Experiment, Kill, Trial
from toughen.oracle import clock, dated, state, volatile
from toughen.timeline import row_facts
from toughen.touches import Rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.codemod.draft import Draft
    from toughen.codemod.module import Module
    from toughen.handling import Handler
    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Finding, Suspicion
    from toughen.model.journey import Journey
    from toughen.model.trace import Exchange, RowChange, Trace
    from toughen.rule import Target

NOWHERE = Call("GET /nothing-is-here")
"""A harmless request: that it is answered says that the new process went through its start-up."""
_SCHEDULERS = re.compile(r"^\s*(?:import|from)\s+(apscheduler|schedule|celery|rq|arq|dramatiq|huey|procrastinate|dbos|fastapi_utils)\b", re.MULTILINE)
_LOOPS = re.compile(r"while\s+[^\n]*:\n(?:[^\n]*\n){0,40}?[^\n]*\bsleep\(")
_SLOW = {"requests", "httpx", "aiohttp", "urllib", "urllib3", "smtplib", "subprocess", "socket", "stripe", "boto3", "openai", "anthropic", "ftplib", "paramiko"}
_DEEPEST = 3


def experiments(target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
    """The process ends as soon as the client has its answer, and a new one starts and is given time."""
    honest = target.honest(route.id)
    if honest is None or not (late(honest.last) or hands_on(target.blueprint, target.texts(), route)):
        return
    calls, grants = journey.calls, journey.grants
    control = Trial(calls, grants, patient=True)
    if not late(target.run(control).last):
        return
    trials = {
        "control": control,
        "again": Trial(calls, grants, isolated=True, patient=True),
        "died": Trial((*calls, NOWHERE), grants, kills=(Kill(len(calls) - 1, ANSWERED),), patient=True),
    }
    yield Experiment(trials, "its process ends as soon as the client has the answer", (("seen", ",".join(sorted(seen(target)))), ("finisher", finisher(target.texts()))))


def late(exchange: Exchange) -> tuple[int, ...]:
    """Numbers of the writes that came when the client had its answer already."""
    if exchange.answered_after < 0:
        return ()
    return tuple(number for number, each in enumerate(exchange.statements) if number >= exchange.answered_after and each.writes and each.rows != 0)


def lost(traces: Mapping[str, Trace], known: set[str]) -> tuple[RowChange, ...]:
    """What the whole request left in tables that it writes after its answer and that somebody reads, and the one whose process ended did not, nor a new one."""
    control = traces["control"]
    tables = {table for number in late(control.last) for table in control.last.statements[number].writes} & known
    masked = volatile(control, traces["again"])
    there = state(traces["died"].changes, masked)
    found = []
    for each in control.changes:
        one = state([each], masked)
        if there & one:
            there -= one
        elif each.table.lower() in tables and telling(each):
            found.append(each)
    return tuple(found)


def told(missing: RowChange, died: Trace) -> str:
    """What is missing in words: the row, or how far it got."""
    if missing.kind == "inserted":
        rows = [each for each in died.changes if each.table == missing.table and each.kind == "inserted"]
        less = next((each for each in rows if list(each.after.values())[:1] == list(missing.after.values())[:1]), rows[0] if len(rows) == 1 else None)
        behind = [name for name, value in missing.after.items() if less is not None and less.after.get(name) != value and not (clock(value) or dated(value) or name == next(iter(missing.after)))]
        if less is not None and behind:
            return f"{missing.table}.{behind[0]} is {less.after.get(behind[0])!r} for ever instead of {missing.after.get(behind[0])!r}"[:200]
    return f"{row_facts((missing,))[0]} is missing"


def finisher(texts: Mapping[str, str]) -> str:
    """What may come back to it later by itself: a scheduler, a queue of another process, a loop that sleeps; "" where the source has none."""
    for file, text in sorted(texts.items()):
        if match := _SCHEDULERS.search(text):
            return f"{match.group(1)} ({file})"
        if _LOOPS.search(text):
            return f"a loop that sleeps ({file})"
    return ""


# -- in the source -----------------------------------------------------------------------------------------------------


def jobs(place: Place) -> Iterator[tuple[ast.Call, ast.expr]]:
    """Calls that leave work for later, with the function that will do it."""
    for call in calls_of(place.node):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else dotted(call.func)
        target = next((each.value for each in call.keywords if each.arg in {"target", "func"}), None)
        first = call.args[0] if call.args else None
        if name in {"add_task", "submit", "add_job"} and (first or target):
            yield call, first or target  # type: ignore[misc]
        elif name == "Thread" and target is not None:
            yield call, target
        elif name in {"create_task", "ensure_future"} and isinstance(first, ast.Call):
            yield call, first.func


def hands_on(blueprint: Blueprint, sources: Mapping[str, str], route: Route) -> bool:
    """Whether the route's handler, as far as its source is read, leaves work for later or puts it into a queue."""
    handler = next((each for each in handlers(blueprint, sources) if each.route.id == route.id), None)
    return handler is not None and any(
        any(True for _ in jobs(place)) or any(isinstance(call.func, ast.Attribute) and call.func.attr in {"put", "put_nowait"} for call in calls_of(place.node)) for place in handler.reach
    )


def closure(place: Place, doer: ast.expr, project: tuple[Module, ...]) -> list[Place]:
    """The function that does the work, and the project's functions that it calls."""
    first = called(place, ast.Call(func=doer, args=[], keywords=[]), project)
    found = [first] if first is not None else []
    level = list(found)
    for _ in range(_DEEPEST):
        level = [inner for each in level for call in calls_of(each.node) if (inner := called(each, call, project)) is not None and all(inner.node is not one.node for one in found)]
        found += level
    return found


def suspected(break_id: str, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
    """Handlers that answer first and write rows then; the first of each route."""
    known = finisher(sources)

    def look(handler: Handler) -> Iterator[Suspicion]:
        for place in handler.reach:
            for call, doer in jobs(place):
                touches = [touch for each in closure(place, doer, handler.project) for touch in Rows(handler, each).touches if touch.verb != "select"]
                if touches and not known:
                    yield handler.suspicion(break_id, call.lineno, f"{touches[0].table} is written after the answer: where the process ends before, nobody does it", place)
                    return

    return sought(blueprint, sources, look)


# -- the mend ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Site:
    """Where a handler leaves work for later."""

    home: Place
    call: ast.Call
    """What hands it on."""
    doer: ast.expr
    """The function that will do it, as it is named there."""
    doers: list[Place]
    """That function, and those that it calls."""


def handed_on(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Site | None:
    """Where the work is handed on that wrote what the proof names; None where that is not seen."""
    place = finding.evidence.location if finding.evidence else None
    handler = next((each for each in handlers(blueprint, sources) if each.route.id == finding.route), None)
    if handler is None or place is None:
        return None
    wanted = (place.function or "").rpartition(".")[2]
    for home in handler.reach:
        for call, doer in jobs(home):
            doers = closure(home, doer, handler.project)
            if any(each.node.name == wanted and each.module.file == place.file for each in doers):
                return Site(home, call, doer, doers)
    return None


def first(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str], brief: str) -> Iterator[Patch | Unmended]:
    """The work is done before the answer, where it is only rows."""
    site = handed_on(finding, blueprint, sources)
    if site is None:
        yield Unmended("where the work is handed on is not seen in the source", brief)
        return
    drafted = _before(site.home.module, site.call, site.doer, site.doers)
    if isinstance(drafted, Unmended):
        yield Unmended(drafted.reason, brief)
        return
    text = site.home.module.text
    yield Patch(finding.id, (FileChange(site.home.module.file, text, drafted.done()),), f"Do {dotted(site.doer)} before the answer", "; ".join(drafted.notes))


@word
def _before(module: Module, call: ast.Call, doer: ast.expr, doers: list[Place]) -> Draft:
    """`background_tasks.add_task(f, a)` and `Thread(target=f, args=(a,)).start()` become `f(a)`; refuses work that takes long, and what is committed only later."""
    statement = module.statement_of(call)
    function = module.enclosing(call) or halt("it is handed on outside of a function")
    name = call.func.attr if isinstance(call.func, ast.Attribute) else dotted(call.func)
    if name not in {"add_task", "Thread"} or not isinstance(statement, ast.Expr):
        halt(f"work that is handed on by {name} cannot be done in its place")
    if name == "Thread" and not re.fullmatch(r"(\w+\.)?Thread\(.*\)\.start\(\)", module.segment(statement), re.DOTALL):
        halt("the thread is kept and used further")
    for each in doers:
        for inner in calls_of(each.node):
            origin = each.module.resolve(inner.func)
            if origin.partition(".")[0] in _SLOW or origin.rpartition(".")[2] == "sleep":
                halt(f"{each.node.name} takes long ({origin}): the client cannot wait for it")
    if any(isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute) and each.func.attr == "commit" and each.lineno > call.lineno for each in scope_of(function)):
        halt("the rows that it needs are committed only after it is handed on")
    given = arguments(module, call, name)
    waits, is_async = isinstance(function, ast.AsyncFunctionDef), isinstance(doers[0].node, ast.AsyncFunctionDef)
    if is_async and not waits:
        halt(f"{doers[0].node.name} is asynchronous, and its handler is not")
    target = module.segment(doer)
    if waits and not is_async:
        draft = replace(module, statement, f"await run_in_threadpool({', '.join([target, *given])})") + use(module, "from starlette.concurrency import run_in_threadpool")
    else:
        draft = replace(module, statement, f"{'await ' if is_async else ''}{target}({', '.join(given)})")
    return draft.note("The client waits for it now, and hears of it when it fails.")


def arguments(module: Module, call: ast.Call, name: str) -> list[str]:
    """What `add_task(f, a)` or `Thread(target=f, args=(a,))` gives to the function, as it is written. Raises UnmendableError."""
    if name == "add_task":
        return [*(module.segment(each) for each in call.args[1:]), *(f"{each.arg}={module.segment(each.value)}" for each in call.keywords if each.arg and each.arg != "func")]
    given = {each.arg: each.value for each in call.keywords}
    positional, named = given.get("args"), given.get("kwargs")
    if named is not None or not (positional is None or isinstance(positional, ast.Tuple | ast.List)):
        halt("its arguments are not written out")
    return [module.segment(each) for each in positional.elts] if isinstance(positional, ast.Tuple | ast.List) else []
