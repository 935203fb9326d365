"""Owns the conclusion: proofs become Findings, findings and coverage become a Verdict."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from inspect import cleandoc
from typing import TYPE_CHECKING

from toughen import store
from toughen.model.breaks import Break
from toughen.model.finding import Finding, Severity, Status
from toughen.model.past import Past
from toughen.model.patch import Gone, Kept, Patch
from toughen.model.source import Location
from toughen.model.verdict import Verdict
from toughen.report import json as json_report

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from toughen.config import Config
    from toughen.explore.explore import Explored
    from toughen.lab.boot import Lab
    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import NotConcluded, Proof
    from toughen.rule import Rule


def finding_of(rule: Rule | None, route_id: str, proof: Proof, route: Route | None = None) -> Finding:
    """A proven break at the place that its evidence names, else at the route's handler."""
    location = proof.evidence.location or (route.handler if route else Location("", 0))
    return Finding(
        proof.break_id, route_id, location, Status.PROVEN, proof.evidence.severity or (rule.severity if rule else Severity.HIGH), proof.evidence.message,
        proof.evidence, proof, rule.cwe if rule else (),
    )


def suspected(rules: Iterable[Rule], blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Finding]:
    """What these rules suspect from the source alone."""
    for rule in rules:
        for each in rule.suspect(blueprint, sources):
            yield Finding(rule.id, each.route, each.location, Status.SUSPECTED, rule.severity, each.message, cwe=rule.cwe)


def described(rules: Iterable[Rule]) -> tuple[Break, ...]:
    """What these rules look for, for reports that read the model only."""
    return tuple(Break(each.id, each.title, each.severity, each.cwe, each.owasp, each.asvs, cleandoc(type(each).__doc__ or "")) for each in rules)


def offered(rule: Rule | None, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> str:
    """What `fix` has to offer first: `automatic`, a `brief`, or `none`; nothing is tried here."""
    offer = next(iter(rule.mend(finding, blueprint, sources)), None) if rule is not None else None
    return "none" if offer is None else "automatic" if isinstance(offer, Patch) else "brief"


def verdict_of(
    blueprint: Blueprint,
    explored: Explored,
    findings: Sequence[Finding],
    suspected: Sequence[Finding],
    unclear: Sequence[NotConcluded],
    timings: dict[str, float],
    notes: tuple[str, ...],
) -> Verdict:
    """The decision and its reason, in words."""
    proven = {(each.break_id, each.route) for each in findings}
    places = {(each.break_id, each.location.file, each.location.line) for each in findings}
    open_suspicions = [
        each for each in suspected
        if (each.break_id, each.route) not in proven and (each.route is not None or (each.break_id, each.location.file, each.location.line) not in places)
    ]
    routes = len(blueprint.routes)
    reached = len(explored.journeys)
    if findings:
        worst = sum(1 for each in findings if each.severity is Severity.CRITICAL)
        decision = "harden"
        why = f"{_count(len(findings), 'break')} proven" + (f", {worst} of them critical" if worst else "") + "; the skeleton holds: each has one place to mend"
    elif reached * 10 < routes * 5:
        decision, why = "harden", f"nothing is proven, but only {reached} of {routes} routes were reached: see why below"
    else:
        decision, why = "ready", f"no break was proven on {reached} of {routes} routes"
    return Verdict(
        blueprint, decision, why, (*sorted(findings, key=_gravity), *open_suspicions), tuple(unclear), explored.journeys,
        explored.unreached, explored.target.identities, timings, (*notes, *_handed_over(explored), *explored.notes),
    )


def past_of(verdict: Verdict, toughen: str, verb: str, at: str, only: tuple[str, ...] = ()) -> Past:
    """What is remembered of a run."""
    proven = [each for each in verdict.findings if each.status is Status.PROVEN]
    ended = {finding for finding, outcome in verdict.mends if isinstance(outcome, Kept | Gone)} if "--dry-run" not in verb else set()
    counts: dict[str, Counter[str]] = {}
    for each in proven:
        counts.setdefault(each.break_id.partition("/")[0], Counter())[each.severity.value] += 1
    left = sorted(each.id for each in proven if each.id not in ended)
    return Past(
        at, toughen, verb, verdict.decision, only, {place: dict(count) for place, count in sorted(counts.items())}, len(proven) - len(left), len(verdict.blueprint.routes),
        len(verdict.journeys), round(verdict.timings.get("total_s", 0.0), 2), verdict.booted, hashlib.sha256("\n".join(left).encode("utf-8", "replace")).hexdigest()[:16],
    )


def remembered(root: Path, verdict: Verdict, toughen: str, verb: str, only: tuple[str, ...]) -> Verdict:
    """Keep the report of what was executed; the Verdict with the history of runs. Raises OSError."""
    if "static survey only" in verdict.notes:
        return verdict
    past = past_of(verdict, toughen, verb, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), only)
    verdict = replace(verdict, history=(past,))
    store.remember(root, json_report.render(verdict, toughen), past)
    return replace(verdict, history=store.history(root) or verdict.history)


def _handed_over(explored: Explored) -> tuple[str, ...]:
    """What a reader must know of tasks that requests hand to workers of the prototype's own."""
    brokers = sorted({each.host for trace in explored.target.memory.honest.values() for exchange in trace.exchanges for each in exchange.outgoing if each.request.startswith("TASK ")})
    if not brokers:
        return ()
    return (f"tasks that are handed to a broker ({', '.join(brokers)}) count as handed over: no worker is at work here, and one that a request waits for is done at once",)


def _gravity(finding: Finding) -> tuple[int, str]:
    return (-list(Severity).index(finding.severity), finding.id)


def _count(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")


def notes_of(lab: Lab, config: Config, stand_in: tuple[str, ...], lacks: str = "") -> tuple[str, ...]:
    """What a reader must know of how it was attacked: the sandbox, made-up variables, why every request had a process of its own. `lacks` says why a server could not be had."""
    server = (f"SQLite stands in for the database server that {', '.join(stand_in)} names: races are not attacked" + (f" ({lacks})" if lacks else ""),) if stand_in else ()
    made_up = ", ".join(sorted(set(lab.variables) - {name for name, _ in config.environment} - set(stand_in)))
    variables = (f"made up values for environment variables that nothing supplies: {made_up}",) if made_up else ()
    whole = (f"a process for each request from the start: {lab.fallback_reason}",) if lab.whole else ()
    return (f"sandbox: {lab.level()}", *lab.elsewhere(), *lab.environment.notes, *server, *variables, *whole)
