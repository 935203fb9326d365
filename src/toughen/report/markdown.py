"""Owns the Markdown report: one comment on a pull request, whole within the size that code hosts take."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from toughen.model.finding import Severity, Status
from toughen.model.gate import State
from toughen.model.patch import Gone, Kept, RolledBack, Unmended
from toughen.report import matrix, plain
from toughen.report.gates import said
from toughen.report.json import diff
from toughen.report.text import told

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from toughen.model.finding import Finding
    from toughen.model.patch import MendOutcome
    from toughen.model.verdict import Verdict

MARK = "<!-- toughen -->"
"""The first line, by which a workflow finds the comment that it wrote before."""
MOST = 60_000
"""Bytes of UTF-8: GitHub takes 65,536 characters."""
_TABLE, _REACH, _ONE, _SPARE = 20_000, 6_000, 12_000, 1_000
_MOST_LINES = 120
_STATES = {State.HELD: "✅", State.FELL: "❌", State.UNCHECKED: "⚠️", State.PASSED_OVER: "⏭️"}
_SIGNS = {Severity.CRITICAL: "🟥", Severity.HIGH: "🟧", Severity.MEDIUM: "🟨", Severity.LOW: "⬜"}


def render(verdict: Verdict, version: str) -> str:
    """The report as GitHub-flavoured Markdown with a final newline; what does not fit is counted, never cut in the middle."""
    waived = {finding for finding, _ in verdict.waived}
    proven = [each for each in verdict.findings if each.status is Status.PROVEN and each.id not in waived]
    suspected = [each for each in verdict.findings if each.status is Status.SUSPECTED]
    outcomes = dict(verdict.mends)
    titles = {each.id: each.title for each in verdict.breaks}
    head = [MARK, f"## toughen: {_decision(verdict)}", _summary(verdict, version, proven)]
    if verdict.gates:
        head.append(_gates(verdict))
    if proven:
        head.append(_table(proven, titles, outcomes))
    tail = [*_reach(verdict), *_suspected(suspected)]
    foot = "Each proven break was executed twice, from a clean snapshot of a throw-away copy, after an honest request had passed."
    room = MOST - _size([*head, *tail, foot]) - _SPARE
    details = []
    for each in proven:
        told_of = next((block for block in _details(each, titles, outcomes.get(each.id)) if _size([block]) <= min(room, _ONE)), None)
        if told_of is not None:
            details.append(told_of)
            room -= _size([told_of])
    if len(details) < len(proven):
        details.append(f"{len(proven) - len(details)} of {len(proven)} have no room here: `toughen check --format text` tells them all.")
    tail += _counted(verdict, room)
    return "\n\n".join([*head, *details, *tail, *([foot] if proven else [])]) + "\n"


def _decision(verdict: Verdict) -> str:
    if not verdict.booted:
        return "nothing was executed"
    if verdict.gates:
        return "❌ a gate fell" if any(each.open for each in verdict.gates) else "✅ the gates hold"
    return {"ready": "✅ ready", "harden": "🛠️ harden", "rewrite": "⛔ rewrite"}.get(verdict.decision, verdict.decision)


def _summary(verdict: Verdict, version: str, proven: Sequence[Finding]) -> str:
    blueprint = verdict.blueprint
    about = f"toughen {version} on {plain.code(blueprint.name, 80)} ({blueprint.framework}, {blueprint.database or 'no database'}, {len(blueprint.routes)} routes)"
    if not verdict.booted:
        return f"{about}\n\n{plain.fenced(_first(verdict.why.splitlines(), 40))}"
    counts = Counter(each.severity for each in proven)
    told_as = ", ".join(f"{_SIGNS[each]} {counts[each]} {each.value}" for each in reversed(Severity) if counts[each])
    ended = sum(isinstance(outcome, Kept | Gone) for _, outcome in verdict.mends)
    mended = f" {ended} of {len(verdict.mends)} are mended." if verdict.mends else ""
    return f"**{plain.prose(verdict.why, 400)}.**" + (f" {told_as}.{mended}" if told_as else "") + f"\n\n{about}"


def _gates(verdict: Verdict) -> str:
    """Every gate in a line, then what each fell for."""
    rows = ["| Gate | | |", "|---|---|---|"]
    rows += [f"| {_STATES[each.state]} `{each.gate}` | {plain.prose(each.title)} | {plain.prose(each.why, 240)} |" for each in verdict.gates]
    folded = []
    for each in verdict.gates:
        if each.faults:
            lines = [f"- {plain.code(f'{fault.location.file}:{fault.location.line}', 120) + ' ' if fault.location and fault.location.file else ''}{plain.prose(fault.message, 240)}" for fault in each.faults]
            folded.append(_folded(f"`{each.gate}` fell for {sum(fault.count for fault in each.faults)}", ["\n".join(_fitting(lines, _REACH // 2)), *([plain.prose(each.hint, 300)] if each.hint else [])]))
    return "\n\n".join([f"**{plain.prose(said(verdict), 300)}**", "\n".join(rows), *folded])


def _table(proven: Sequence[Finding], titles: dict[str, str], outcomes: dict[str, MendOutcome]) -> str:
    mends = bool(outcomes)
    rows = ["| | What | Where | Replay |" + (" Repair |" if mends else ""), "|---|---|---|---|" + ("---|" if mends else "")]
    for number, each in enumerate(proven):
        where = plain.code(f"{each.location.file}:{each.location.line}", 120) if each.location.file else "a library's own code"
        what = f"{plain.prose(titles.get(each.break_id, each.break_id))}<br>`{each.break_id}` on {plain.code(each.route, 120)}<br>{plain.prose(each.message, 240)}"
        row = f"| {_SIGNS[each.severity]} {each.severity.value} | {what} | {where} | `{plain.replay(each)}` |" + (f" {_word(outcomes.get(each.id))} |" if mends else "")
        if _size([*rows, row]) > _TABLE:
            rows.append(f"| | and {len(proven) - number} more | | |" + (" |" if mends else ""))
            break
        rows.append(row)
    return "\n".join(rows)


def _word(outcome: MendOutcome | None) -> str:
    match outcome:
        case Kept():
            return "mended"
        case Gone():
            return "mended by another"
        case RolledBack():
            return "taken back"
        case Unmended():
            return "by hand"
        case None:
            return ""


def _details(finding: Finding, titles: dict[str, str], outcome: MendOutcome | None) -> Iterator[str]:
    """The whole account, then shorter ones for a comment that fills up."""
    title = f"{_SIGNS[finding.severity]} {plain.prose(titles.get(finding.break_id, finding.break_id))}: {plain.code(finding.route, 120)}"
    facts = [each.removeprefix("   ") for each in told(finding.evidence.facts if finding.evidence else {})]
    where = f"At {plain.code(str(finding.location), 200)}." if finding.location.file else "In a library's own code."
    said = [f"**{plain.prose(finding.message, 600)}**", where]
    evidence = [plain.fenced(_first(facts, _MOST_LINES), "text")] if facts else []
    again = f"`{plain.replay(finding)}`"
    for parts in ([*said, *evidence, *_repair(outcome, whole=True), again], [*said, *evidence, *_repair(outcome, whole=False), again], [*said, *_repair(outcome, whole=False), again]):
        yield _folded(title, parts)


def _repair(outcome: MendOutcome | None, *, whole: bool) -> Iterator[str]:
    match outcome:
        case Kept(patch):
            yield f"Mended: {plain.prose(patch.summary)}." + (f" {plain.prose(patch.note, 400)}" if patch.note else "")
            changes = diff(patch).splitlines()
            if whole and changes:
                yield plain.fenced(_first(changes, _MOST_LINES), "diff")
        case Gone(by):
            yield f"Mended: the repair of {plain.code(by)} ends it as well."
        case RolledBack(_, step, reason, brief):
            yield f"A repair was tried and taken back, at the step {plain.prose(step)}: {plain.prose(reason, 400)}"
            yield from [plain.prose(brief, 2000)] * bool(brief)
        case Unmended(reason, brief):
            yield f"Not mended: {plain.prose(reason, 400)}"
            yield from [plain.prose(brief, 2000)] * bool(brief)
        case None:
            return


def _reach(verdict: Verdict) -> Iterator[str]:
    """What was tested and what was not: the part that a reader of good news needs."""
    if not verdict.booted:
        return
    yield f"Reached **{len(verdict.journeys)} of {len(verdict.blueprint.routes)} routes** as an honest client; {len(verdict.unreached)} not reached, {len(verdict.inconclusive)} questions left open."
    missed = [f"- {plain.code(each.route, 120)} was not reached, and not attacked: {plain.prose(each.reason, 300)}" for each in verdict.unreached]
    open_ = [f"- `{each.break_id}` on {plain.code(each.route, 120)}: {plain.prose(each.reason, 300)}" for each in verdict.inconclusive]
    notes = [f"- Note: {plain.prose(each, 300)}" for each in verdict.notes]
    lines = [*notes, *missed, *open_]
    if lines:
        yield _folded("What was not tested, and what to know", ["\n".join(_fitting(lines, _REACH))])


def _suspected(suspected: Sequence[Finding]) -> Iterator[str]:
    if suspected:
        lines = [f"- `{each.break_id}` at {plain.code(str(each.location), 160)}: {plain.prose(each.message, 240)}" for each in suspected]
        yield _folded(f"Suspected only ({len(suspected)}): not proven, fails no gate", ["\n".join(_fitting(lines, _REACH))])


def _counted(verdict: Verdict, room: int) -> Iterator[str]:
    if verdict.matrix is not None:
        block = _folded("Who may call what", [plain.fenced(_first(matrix.render(verdict.matrix).splitlines(), _MOST_LINES), "text")])
        yield block if _size([block]) <= min(room, _ONE) else plain.prose(matrix.counted(verdict.matrix), 200)


def _folded(title: str, parts: Iterable[str]) -> str:
    return "\n\n".join([f"<details><summary>{title}</summary>", *parts, "</details>"])


def _fitting(lines: Sequence[str], most: int) -> list[str]:
    """As many of these lines as there is room for, and how many more there are."""
    kept: list[str] = []
    for each in lines:
        if _size([*kept, each]) > most:
            return [*kept, f"- and {len(lines) - len(kept)} more"]
        kept.append(each)
    return kept


def _first(lines: Sequence[str], most: int) -> str:
    """The first of these lines, each of a width that a comment shows."""
    shown = [plain.shortened(each, 240) for each in lines[:most]]
    return "\n".join([*shown, *([f"… {len(lines) - most} more lines"] if len(lines) > most else [])])


def _size(parts: Iterable[str]) -> int:
    return sum(len(each.encode()) + 2 for each in parts)
