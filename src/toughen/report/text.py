"""Owns the text report: what a founder reads in a terminal, the worst first, each with what happened and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toughen.model.finding import Status
from toughen.model.patch import Gone, Kept, RolledBack, Unmended
from toughen.report import timeline
from toughen.report.json import slug

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Json
    from toughen.model.finding import Finding
    from toughen.model.source import Location
    from toughen.model.verdict import Verdict

_MOST = 12


def render(verdict: Verdict, version: str, titles: Mapping[str, str] | None = None, counted: str = "") -> str:
    """The report as plain text with a final newline; `titles` gives each break a plain name, `counted` says who may call what."""
    return "\n".join(_lines(verdict, version, titles or {}, counted)) + "\n"


def _lines(verdict: Verdict, version: str, titles: Mapping[str, str], counted: str) -> Iterator[str]:
    blueprint = verdict.blueprint
    entry = blueprint.entry.target if blueprint.entry else "no entry"
    yield f"toughen {version}: {blueprint.name} ({blueprint.framework}, {entry}, {blueprint.database or 'no database'}, {len(blueprint.routes)} routes)"
    yield ""
    proven = [each for each in verdict.findings if each.status is Status.PROVEN]
    suspected = [each for each in verdict.findings if each.status is Status.SUSPECTED]
    number = 1
    for finding, *others in _by_cause(proven):
        yield from _finding(number, finding, titles)
        yield from _others(number + 1, others, finding.message)
        yield ""
        number += 1 + len(others)
    if not verdict.booted:
        yield "Nothing was executed."
        yield from (f"  {line}" for line in verdict.why.splitlines())
        yield ""
    if suspected:
        yield f"Suspected only, from the source ({len(suspected)}); not proven, never fails a gate:"
        for each in suspected[:_MOST]:
            yield f"  {each.break_id} on {each.route}" if each.route else f"  {each.break_id}"
            yield f"      {each.location}: {each.message}"
        yield from _more(len(suspected))
        yield ""
    if verdict.mends:
        yield from _mends(verdict)
    if verdict.tests:
        yield f"Tests: {verdict.tests.summary}; {verdict.tests.note}."
        yield ""
    yield from _coverage(verdict)
    if counted:
        yield counted
    if verdict.booted:
        yield f"Verdict: {verdict.decision}. {verdict.why}."
    total = verdict.timings.get("total_s")
    if total is not None:
        first = verdict.timings.get("first_proof_s")
        yield f"Took {total:.1f} s" + (f", first proof after {first:.1f} s." if first is not None else ".")
    if proven and not verdict.mends:
        yield "Next: `toughen fix --dry-run` shows the repairs, `toughen replay .toughen/proofs/...` shows one break again."


def _finding(number: int, finding: Finding, titles: Mapping[str, str]) -> Iterator[str]:
    title = titles.get(finding.break_id, finding.break_id)
    yield f"{number}. {finding.severity.value.upper()}  {title}"
    yield f"   {finding.break_id} on {finding.route}"
    yield f"   {finding.message}"
    yield f"   at {finding.location}" if finding.location.file else "   in a library's own code"
    yield from told(finding.evidence.facts if finding.evidence else {})


def told(facts: Mapping[str, Json]) -> Iterator[str]:
    """What was sent, answered and changed, with the picture of it where there is one; indented."""
    picture = facts.get("timeline")
    for name in ("request", "requests", "answer", "answers", *(() if picture else ("schedule",)), "rows", "exception"):
        value = facts.get(name)
        if value:
            shown = value if isinstance(value, list) else [value]
            for index, each in enumerate(shown[:6]):
                yield f"   {name + ':' if index == 0 else '':<12}{str(each)[:160]}"
    if isinstance(picture, dict):
        yield ""
        yield from (f"   {each}" for each in timeline.lines(picture))


def _by_cause(findings: list[Finding]) -> Iterator[list[Finding]]:
    """Findings that end in the same exception, say the same of several routes, or are about the tests, together, each group where its first one stood."""
    groups: dict[tuple[str, object], list[Finding]] = {}
    for each in findings:
        exception = (each.evidence.facts if each.evidence else {}).get("exception")
        about = each.severity if each.break_id.startswith("suite/") else exception or each.message
        groups.setdefault((each.break_id, about), []).append(each)
    yield from groups.values()


def _others(number: int, findings: list[Finding], said: str) -> Iterator[str]:
    if findings:
        yield f"   The same in {len(findings)} more:"
    for at, each in enumerate(findings, number):
        about = f": {each.message.partition(' ends in ')[0]}" if each.message != said or " ends in " in said else ""
        yield f"   {at}. {each.route}{about}" + (f", at {each.location}" if each.location.file else "")


def _mends(verdict: Verdict) -> Iterator[str]:
    yield "Repairs:"
    places = {each.id: each.location for each in verdict.findings}
    for finding, outcome in verdict.mends:
        match outcome:
            case Kept(patch):
                yield f"  mended       {finding}: {patch.summary}"
                if patch.note:
                    yield f"               {patch.note}"
            case Gone(by):
                yield f"  mended too   {finding}: the repair of {by} ends it as well"
            case RolledBack(_, step, reason, brief):
                yield f"  rolled back  {finding}: at the step '{step}': {reason}"
                yield from _brief(finding, brief, places)
            case Unmended(reason, brief):
                yield f"  by hand      {finding}: {reason}"
                yield from _brief(finding, brief, places)
    yield ""


def _brief(finding: str, brief: str, places: Mapping[str, Location]) -> Iterator[str]:
    """What to do by hand, where, and what says that it is done."""
    if brief:
        yield f"               {brief}"
    if finding in places:
        yield f"               At {places[finding]}; it is done when `toughen replay .toughen/proofs/{slug(finding)}.json` no longer shows it, and the tests pass."


def _coverage(verdict: Verdict) -> Iterator[str]:
    if not verdict.booted:
        return
    yield f"Reached {len(verdict.journeys)} of {len(verdict.blueprint.routes)} routes as an honest client" + (
        f", as {', '.join(each.name for each in verdict.identities)}" if verdict.identities else ""
    ) + "."
    for each in verdict.unreached[:_MOST]:
        yield f"  not reached  {each.route}: {each.reason}"
    yield from _more(len(verdict.unreached))
    unclear: dict[str, list[str]] = {}
    for one in verdict.inconclusive:
        unclear.setdefault(f"{one.break_id}: {one.reason}", []).append(one.route)
    if unclear:
        yield f"Inconclusive ({len(verdict.inconclusive)}):"
        for reason, routes in list(unclear.items())[:_MOST]:
            yield f"  {reason} ({', '.join(routes[:3])}{', ...' if len(routes) > 3 else ''})"  # noqa: PLR2004
        yield from _more(len(unclear))
    for note in verdict.notes:
        yield f"Note: {note}"


def _more(number: int) -> Iterator[str]:
    if number > _MOST:
        yield f"  ... and {number - _MOST} more (see --format json)"
