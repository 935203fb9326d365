"""Owns the gates as text: one line each, then what each fell for, where, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toughen.model.gate import State
from toughen.report.plain import printable as plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.model.gate import Gated
    from toughen.model.verdict import Verdict

_MOST: Final = 8
_MARKS: Final = {State.HELD: "held", State.FELL: "FELL", State.UNCHECKED: "NOT CHECKED", State.PASSED_OVER: "passed over"}


def render(verdict: Verdict, version: str) -> str:
    """The gates of a run as plain text with a final newline."""
    return "\n".join(_lines(verdict, version)) + "\n"


def _lines(verdict: Verdict, version: str) -> Iterator[str]:
    blueprint = verdict.blueprint
    yield f"toughen {version}: the gates of {blueprint.name}"
    yield ""
    for each in verdict.gates:
        yield f"  {_MARKS[each.state]:<12}{each.gate:<15}{each.title}"
        yield from (f"  {'':<12}{'':<15}{line}" for line in _about(each))
    yield ""
    for each in verdict.gates:
        if each.open:
            yield from _open(each)
            yield ""
    if not verdict.booted:
        yield "The prototype was not executed."
        yield from (f"  {line}" for line in verdict.why.splitlines())
        yield ""
    yield said(verdict)


def said(verdict: Verdict) -> str:
    """One sentence about all gates."""
    fell = [each.gate for each in verdict.gates if each.state is State.FELL]
    unchecked = [each.gate for each in verdict.gates if each.state is State.UNCHECKED]
    parts = ([f"fell: {', '.join(fell)}"] if fell else []) + ([f"not checked: {', '.join(unchecked)}"] if unchecked else [])
    if parts:
        return f"Gates that stop this change: {'; '.join(parts)}."
    held = sum(each.state is State.HELD for each in verdict.gates)
    return f"All gates hold ({held} held, {len(verdict.gates) - held} passed over)."


def _about(gated: Gated) -> Iterator[str]:
    if gated.why:
        yield plain(gated.why)
    told = []
    if gated.known:
        told.append(f"{sum(each.count for each in gated.known)} known from the baseline")
    if gated.gone:
        told.append(f"{gated.gone} of the baseline are gone: `toughen gate --write-baseline` lowers it")
    if told:
        yield "; ".join(told)
    for fault, waiver in gated.waived:
        yield plain(f"waived until {waiver.expires} by {waiver.owner}: {fault.key} ({waiver.reason})")


def _open(gated: Gated) -> Iterator[str]:
    if gated.state is State.UNCHECKED:
        yield plain(f"{gated.gate} could not be checked: {gated.why}")
    else:
        yield plain(f"{gated.gate} fell for {sum(each.count for each in gated.faults)}:")
    for each in gated.faults[:_MOST]:
        yield plain(f"  {f'{each.location}: ' if each.location and each.location.file else ''}{each.message}")
    if len(gated.faults) > _MOST:
        yield f"  and {len(gated.faults) - _MOST} more (--format json has them all)"
    if gated.hint:
        yield plain(f"  {gated.hint}")
