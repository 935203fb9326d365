"""Owns the comparison of honest behaviour before and after a mend: status, shape of the body, changed rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from toughen.model.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toughen.lab.target import LabTarget
    from toughen.model.blueprint import Json
    from toughen.model.journey import Call, Journey
    from toughen.model.trial import Experiment

_DEEP = 4


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What an honest Journey does, without values that differ from run to run."""

    statuses: tuple[int | None, ...]
    shape: str
    rows: tuple[tuple[str, int], ...]
    body: Json = field(default=None, compare=False, repr=False)
    """The parsed body that `shape` was made of, None where it is not JSON."""


def behaviour(target: LabTarget, journey: Journey) -> Behaviour:
    """Run a Journey once and reduce it to what must stay."""
    honest = target.honest(journey.route)
    # What comes after the answer is waited for.
    late = honest is not None and honest.last.answered_after >= 0
    trace = target.anew(Trial(journey.calls, journey.grants, patient=late))
    response = trace.last.response
    rows = Counter(f"{each.kind} {each.table}.{','.join(each.columns)}" for each in trace.changes)
    body = shape(response.json) if response is not None and response.is_json else (response.header("content-type") or "") if response else ""
    parsed = response.json if response is not None and response.is_json else None
    return Behaviour(tuple(each.status for each in trace.exchanges), body, tuple(sorted(rows.items())), parsed)


def entered(calls: tuple[Call, ...], guarded: Mapping[str, str]) -> tuple[Call, ...]:
    """The calls with an identity where a mend has closed a route to strangers: `guarded` names one for each such route."""
    return tuple(call.by(guarded[call.route]) if call.identity is None and call.route in guarded else call for call in calls)


def led(experiment: Experiment, learned: Mapping[str, Journey]) -> Experiment:
    """The experiment whose steps in front of the last call are somebody's where their routes' own Journeys are by now: mends have closed those to strangers."""
    known = {route: each.calls[-1].identity for route, each in learned.items() if each.calls}
    guarded = {route: who for route, who in known.items() if who is not None}
    trials = {name: replace(trial, calls=(*entered(trial.calls[:-1], guarded), *trial.calls[-1:])) for name, trial in experiment.trials.items()}
    return replace(experiment, trials=trials)


def shape(value: Json, depth: int = 0) -> str:
    """Keys and kinds of a JSON value: `{id: number, items: [{...}]}`."""
    match value:
        case dict() if depth < _DEEP:
            return "{" + ", ".join(f"{key}: {shape(each, depth + 1)}" for key, each in sorted(value.items())) + "}"
        case list() if depth < _DEEP:
            return "[" + " | ".join(sorted({shape(each, depth + 1) for each in value})) + "]"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case None:
            return "null"
    return "..."


def _without(behaviour: Behaviour, rewrites: frozenset[str]) -> Behaviour:
    """The behaviour without what a mend changes by intention: these columns of updated rows, and rows of nothing else."""
    rows: Counter[str] = Counter()
    for row, count in behaviour.rows:
        kind, _, place = row.partition(" ")
        table, _, columns = place.partition(".")
        if f"{table}.*".lower() in rewrites:
            continue
        left = [each for each in columns.split(",") if f"{table}.{each}".lower() not in rewrites]
        if kind != "updated" or left:
            rows[f"{kind} {table}.{','.join(left)}" if kind == "updated" else row] += count
    return replace(behaviour, rows=tuple(sorted(rows.items())))


def _unshown(value: Json, fields: frozenset[str]) -> Json:
    """A body without these fields, wherever they stand."""
    match value:
        case dict():
            return {key: _unshown(each, fields) for key, each in value.items() if key not in fields}
        case list():
            return [_unshown(each, fields) for each in value]
    return value


def differences(before: Behaviour, after: Behaviour, rewrites: frozenset[str] = frozenset(), withheld: frozenset[str] = frozenset()) -> list[str]:
    """What differs, in words, apart from the columns that a mend changes by intention, and fields that it withholds."""
    if rewrites:
        before, after = _without(before, rewrites), _without(after, rewrites)
    if withheld and before.body is not None:
        before, after = (replace(each, shape=shape(_unshown(each.body, withheld)) if each.body is not None else each.shape) for each in (before, after))
    found = []
    if before.statuses != after.statuses:
        found.append(f"status {before.statuses[-1]} became {after.statuses[-1]}" if before.statuses[-1] != after.statuses[-1] else f"statuses {before.statuses} became {after.statuses}")
    if before.shape != after.shape:
        found.append(f"body {before.shape[:120]} became {after.shape[:120]}")
    if before.rows != after.rows:
        found.append(f"rows {dict(before.rows)} became {dict(after.rows)}")
    return found
