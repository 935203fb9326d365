"""Owns what an app says was done by a service outside: in its answer, or in a row; and whether it says so when the service did nothing. And the repair."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from toughen.codemod import UnmendableError
from toughen.codemod.answers import attempts
from toughen.codemod.clients import line_of, spoken
from toughen.codemod.mechanics import after, replace
from toughen.codemod.module import Module, halt
from toughen.codemod.refusals import declined, is_route
from toughen.handling import calls_of, parsed
from toughen.model.patch import FileChange, Patch, Unmended
from toughen.model.trial import Experiment, Fault, Trial
from toughen.oracle import state, volatile
from toughen.outages import dependencies, met
from toughen.recovery import DOWN, recovered
from toughen.twists import succeeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Route
    from toughen.model.finding import Finding
    from toughen.model.journey import Journey
    from toughen.model.trace import Exchange, RowChange, Trace
    from toughen.rule import Target

KINDS = ("refused", "error")
_EFFECT = re.compile(r"^(MAIL|POST|PUT|PATCH|DELETE) ")
_DONE = re.compile(
    r"\b(e-?mailed|sent|delivered|paid|charged|refunded|subscribed|notified|forwarded|submitted|published|thank(s| you)( you)? for (your )?(message|contact\w*|feedback|reaching|writing|order|payment|purchase|subscrib\w+))\b",
    re.IGNORECASE,
)
"""What an answer says once a service outside has done its part."""
_PAYS = re.compile(r"pay|charg|stripe|billing|checkout|refund|transaction|braintree|adyen|mollie", re.IGNORECASE)
_PAID = re.compile(r"^(is_?)?(paid|charged|captured|settled|refunded)$", re.IGNORECASE)
_SENT = re.compile(r"^(is_?|e?mail_?)?(sent|emailed|mailed|delivered|notified)$", re.IGNORECASE)
_ASIDE = re.compile(r"\.log(\.\d+)?$|(^|/)(logs?|\.?cache|flask_session|sessions?|__pycache__)/")


def experiments(target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
    """The honest request while a service that is to do something fails."""
    honest = target.honest(route.id)
    if honest is None:
        return
    calls, grants = journey.calls, journey.grants
    for each in dependencies(honest.last):
        if not _EFFECT.match(each.outgoing.request) or each.outgoing.behind:
            continue
        trials = {"control": Trial(calls, grants), "again": Trial(calls, grants, isolated=True)}
        trials |= {kind: Trial(calls, grants, fault=Fault(kind, each.number, 0, each.host)) for kind in KINDS}
        yield Experiment(trials, f"{each.host} fails", (("host", each.host), ("number", str(each.number)), ("asked", f"{each.outgoing.host} {each.outgoing.request}"[:200])))


def claimed(experiment: Experiment, traces: Mapping[str, Trace], kind: str) -> str | None:
    """What the app says was done though the service failed, in words; None where it says nothing of the kind, or did something else instead."""
    control, trace = traces["control"], traces[kind]
    failed = met(experiment, trace.last)
    if failed is None or failed.behind or not succeeded(trace.last) or trace.last.status != control.last.status:
        return None
    if {each.host for each in trace.last.outgoing} - {each.host for each in control.last.outgoing}:
        return None
    masked = volatile(control, traces["again"])
    if state(trace.final_changes, masked) != state(control.final_changes, masked):
        return None
    for change in control.final_changes:
        told = _row_says(change, experiment.fact("asked"))
        if told:
            return told
    done = _answer_says(control.last)
    if control.final_changes or _files(control.last) or _files(trace.last) or not done or _body(control.last) != _body(traces["again"].last) or _body(trace.last) != _body(control.last):
        return None
    return f"the answer says {done!r}"


def _row_says(change: RowChange, asked: str) -> str:
    """Which column says that this service has done its part: paid where it is paid, sent where it is mailed."""
    word = _SENT if " MAIL " in asked else _PAID if _PAYS.search(asked) else None
    if word is None or change.kind == "deleted":
        return ""
    for name in change.columns if change.kind == "updated" else change.after:
        value = change.after.get(name)
        if (isinstance(value, str) and word.match(value)) or (word.match(name) and value in (True, 1) and not isinstance(value, float)):
            return f"the row in {change.table} says {name} = {value!r}"
    return ""


def _answer_says(exchange: Exchange) -> str:
    response = exchange.response
    if response is None:
        return ""
    text = re.sub(r"<(script|style)\b.*?</\1>|<[^>]+>", " ", response.body, flags=re.DOTALL | re.IGNORECASE)
    match = _DONE.search(f"{text} {re.sub(r'[/_-]', ' ', response.header('Location') or '')}")
    return match.group() if match else ""


def _body(exchange: Exchange) -> str:
    return f"{exchange.response.body} {exchange.response.header('Location')}" if exchange.response else ""


def _files(exchange: Exchange) -> list[str]:
    return [each for each in exchange.written_files if not _ASIDE.search(each)]


def told(finding: Finding, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
    """Answer 502 where the failure is passed over; where nothing looks at what the service answers, look."""
    evidence = finding.evidence
    file, _, line = (evidence.fact("call") if evidence else "").rpartition(":")
    host = evidence.fact("host") if evidence else "the service"
    brief = f"Say so where the call of {host} fails: answer 502, or keep what is to be done and say that it is pending."
    module = parsed(sources).get(file)
    reason = "the proof names no call in the project's own code"
    if module is not None and line.isdigit():
        at = line_of(module, int(line), evidence.location.function if evidence and evidence.location else None)
        for checked in (True, False):
            try:
                text = _answered(module, at, list(parsed(sources).values()), checked=checked)
            except (UnmendableError, RecursionError) as error:
                reason = str(error)
                continue
            yield Patch(finding.id, (FileChange(file, module.text, text),), f"Say so when {host} fails")
        for offer in recovered(finding, sources):
            if isinstance(offer, Patch):
                yield offer
    yield Unmended(reason, brief)


def _answered(module: Module, line: int, project: list[Module], *, checked: bool) -> str:
    """The file with a refusal at the end of the handler that passes the failure over."""
    statement = module.statement(line)
    function = module.enclosing(statement) or halt(f"no function holds line {line} of {module.file}")
    attempt = next(attempts(module, statement), None) or halt(f"nothing catches what the call at {module.file}:{line} raises")
    handlers = [each for each in attempt.handlers if not isinstance(each.body[-1], ast.Raise)]
    if not is_route(function) and sum(1 for each in project for other in each.functions for call in calls_of(other) if getattr(call.func, "id", getattr(call.func, "attr", "")) == function.name) > 1:
        halt(f"{function.name} is called in several places, and some of them may pass a failure over with reason")
    if checked:
        module = _checked(module, line)
        statement = module.statement(line)
        attempt = next(attempts(module, statement))
        function = module.enclosing(statement) or function
        handlers = [each for each in attempt.handlers if not isinstance(each.body[-1], ast.Raise)]
    if not handlers:
        halt(f"what the call at {module.file}:{line} raises is raised again")
    refusal = declined(module, function, 502, DOWN)
    draft = refusal.needs(module)
    for handler in handlers:
        last = handler.body[-1]
        draft += replace(module, last, refusal.text) if isinstance(last, (ast.Pass, ast.Return, ast.Continue)) else after(module, last, refusal.text)
    return draft.done()


def _checked(module: Module, line: int) -> Module:
    """The same with the status of the service's answer looked at."""
    statement = module.statement(line)
    call = next((each for each in spoken(module, line) if each.name.startswith(("requests.", "httpx."))), None)
    if call is None or "raise_for_status" in module.segment(module.enclosing(statement) or module.tree):
        halt("the client tells of errors itself")
    node = call.node
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value) if value is node or (isinstance(value, ast.Await) and value.value is node):
            return Module(module.file, after(module, statement, f"{name}.raise_for_status()").done())
        case ast.Expr(value=value) if value is node:
            return Module(module.file, replace(module, node, f"{module.segment(node)}.raise_for_status()").done())
        case ast.Expr(value=ast.Await(value=value) as waited) if value is node:
            return Module(module.file, replace(module, waited, f"({module.segment(waited)}).raise_for_status()").done())
    return halt("the service's answer has no name")

