"""Owns the repairs of wrong input: which words tighten a boundary, in which order, for a crash, a senseless number, a field of power."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from toughen.boundary import Boundary, boundary
from toughen.codemod import Bounds, Field, UnmendableError, allow, closed, discard, taken, withhold
from toughen.model.patch import Unmended
from toughen.twists import POWER, SECRET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from toughen.model.blueprint import Blueprint
    from toughen.model.finding import Evidence, Finding
    from toughen.model.patch import Patch

_UNIQUE = re.compile(r"IntegrityError|UniqueViolation", re.IGNORECASE)
_LENGTH = 255


def crash(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
    """Bounds on what is typed, casts answered, tests or a model for what is untyped; a taken key answered as such."""
    evidence = finding.evidence
    if evidence is None:
        return
    own: list[dict[str, Any]] = json.loads(evidence.fact("fields") or "[]")
    every: list[dict[str, Any]] = json.loads(evidence.fact("route") or "[]")
    names = ", ".join(dict.fromkeys(each["field"] for each in own))
    route = finding.route or ""
    brief = f"Check {names} where {route} reads it, and answer 400 or 422 with the name of the field: {evidence.message}"
    if any("again" in each["kinds"] for each in own):
        yield _tried(finding, blueprint, sources, lambda edge: [_taken(edge, evidence)], f"Answer a key that is taken in {route}", "Answer 409 where the row is there already, or make the request harmless to repeat.")
        return
    raw = blueprint.framework not in {"flask", "connexion"}
    for modelled in (True, False) if raw else (False,):
        steps = partial(_checked, own=own, every=every, modelled=modelled)
        yield _tried(finding, blueprint, sources, steps, f"Refuse wrong values of {names} in {route}", brief)
    if not raw and evidence.fact("exception").endswith("OverflowError"):
        note = "It answers every number that is too large, on all routes: what reads it lies outside of this handler."
        yield _tried(finding, blueprint, sources, lambda edge: [edge.overflow()], "Answer 400 to numbers that are too large", brief, note)


def _tried(
    finding: Finding, blueprint: Blueprint, sources: Mapping[str, str], steps: Callable[[Boundary], list[str]], summary: str, brief: str, *notes: str
) -> Patch | Unmended:
    """One variant: its steps on a fresh boundary; the first refusal is the reason where nothing changed."""
    edge = boundary(finding.route, blueprint, sources)
    if isinstance(edge, Unmended):
        return edge
    try:
        refused = [reason for reason in steps(edge) if reason]
    except (UnmendableError, RecursionError) as error:
        refused = [str(error)]
    made = edge.sheet.patch(finding.id, summary[:100], *notes)
    return Unmended((refused or [made.reason])[0], brief) if isinstance(made, Unmended) else made


def _taken(edge: Boundary, evidence: Evidence) -> str:
    """Answer a violated unique key at the statement that raised it."""
    if not _UNIQUE.search(evidence.fact("exception")) or evidence.location is None:
        return f"a repeated request ends in {evidence.fact('exception') or 'a 500'}, which is no taken key"
    file = evidence.location.file
    module = edge.sheet.module(file)
    at = edge.line_of(file, evidence.fact("source"), evidence.location.line)
    repeats = json.loads(evidence.fact("fields"))[0]["field"]
    if repeats == "body":
        return edge.sheet.put(taken(module, at))
    return edge.sheet.put(taken(module, at, text=f"{repeats} is taken", mention=repeats))


def _checked(edge: Boundary, *, own: list[dict[str, Any]], every: list[dict[str, Any]], modelled: bool) -> list[str]:
    """Every crashing field where it enters; the whole untyped body at once."""
    refused: list[str] = []
    untyped = [each for each in own if each["place"] == "json" and edge.home(tuple(each["path"])) is None]
    for each in own:
        if each not in untyped:
            refused += _typed(edge, each) if each["place"] == "json" else _parameter(edge, each)
    if untyped and edge.route.body_model is None:
        refused += _body(edge, [each for each in every if each["place"] == "json"], modelled=modelled)
    elif untyped:
        refused.append(f"{edge.route.body_model} crashes as a whole")
    return refused


def _typed(edge: Boundary, entry: dict[str, Any]) -> list[str]:
    """A field of a pydantic model."""
    path, kinds = tuple(entry["path"]), set(entry["kinds"])
    refused = []
    bounds = _bounds(edge, entry, typed=True)
    if bounds != Bounds():
        reason = edge.tighten(path, bounds)
        refused.append(reason and edge.attribute(path, bounds))
    if "null" in kinds:
        refused.append(edge.refuse_null(path))
    if "nan" in kinds:
        refused.append(edge.finite())
    return refused or [f"{entry['field']} is typed, and no bound refuses {', '.join(sorted(kinds))}"]


def _parameter(edge: Boundary, entry: dict[str, Any]) -> list[str]:
    """A value in the path, the query or a form."""
    name, kinds = entry["field"], set(entry["kinds"])
    if not edge.flask:
        bounds = _bounds(edge, {**entry, "type": "string" if kinds & {"long", "nul", "empty"} else "integer"}, typed=True)
        if bounds == Bounds():
            return [edge.cast(name)]
        reason = edge.parameter(name, bounds)
        return [reason and edge.attribute(tuple(entry["path"]), bounds)]
    refused = []
    if kinds & {"text", "empty", "missing"}:
        refused.append(edge.cast(name))
    if "huge" in kinds:
        refused.append(edge.segment(name) if entry["place"] == "path" else edge.limit(name, edge.whole()))
    if kinds & {"negative", "zero"}:
        refused.append(edge.limit(name, Bounds(gt=0) if "zero" in kinds else Bounds(ge=0)))
    if kinds & {"long", "nul"}:
        refused.append(edge.limit(name, _bounds(edge, {**entry, "type": "string"}, typed=False)))
    return refused or [f"no bound of {name} refuses {', '.join(sorted(kinds))}"]


def _body(edge: Boundary, entries: list[dict[str, Any]], *, modelled: bool) -> list[str]:
    """An untyped JSON body: casts answered, then the fields that crash checked in the handler or by a model."""
    fields = [
        Field(each["field"], each["type"], required="missing" in each["kinds"], bounds=_bounds(edge, each, typed=modelled), null="null" not in each["kinds"], numbers=_takes_numbers(each))
        for each in entries if len(each["path"]) == 1
    ]
    if modelled:
        return ["a model would refuse numbers that did no harm"] if any(each.numbers for each in fields) else [edge.typed_body(fields)]
    for each in entries:
        if len(each["path"]) == 1 and set(each["kinds"]) & {"string", "number", "true", "null", "list", "object", "missing"}:
            edge.cast(each["field"])
        if len(each["path"]) == 1 and {"huge", "nan", "zero"} & set(each["kinds"]) and edge.read(each["field"], casts=True) is not None:
            edge.limit(each["field"], replace(edge.whole(), ge=None, gt=0) if "zero" in each["kinds"] else edge.whole())
    reasons = [edge.check(fields)]
    if edge.flask and any(each["field"] == "body" and "text" in each["kinds"] for each in entries):
        edge.reraise()
    return reasons


def _takes_numbers(entry: dict[str, Any]) -> bool:
    """Whether a number in the place of a string did no harm: what did none is not refused."""
    return entry["type"] == "string" and not {"number", "true"} & set(entry["kinds"])


def _bounds(edge: Boundary, entry: dict[str, Any], *, typed: bool) -> Bounds:
    """What refuses the kinds of wrong values that crash, and no more; a zero that crashes goes with all that lies below it."""
    kinds = set(entry["kinds"])
    if entry["type"] == "string":
        return Bounds(
            min_length=1 if "empty" in kinds else None,
            max_length=(entry.get("fits") or _LENGTH) if "long" in kinds else None,
            nul=False if "nul" in kinds else None,
        )
    if entry["type"] not in {"integer", "number"}:
        return Bounds()
    whole = edge.whole() if "huge" in kinds else Bounds()
    low = None if "zero" in kinds else 0 if "negative" in kinds else whole.ge
    return Bounds(ge=low, gt=0 if "zero" in kinds else None, le=whole.le, allow_inf_nan=False if typed and entry["type"] == "number" and kinds & {"nan", "huge"} else None)


def number(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
    """A lower bound where the number enters: above 0 where it is subtracted or paid, else from 0 on."""
    evidence = finding.evidence
    if evidence is None:
        return
    name, place, route = evidence.fact("field"), evidence.fact("place"), finding.route or ""
    path = tuple(json.loads(evidence.fact("keys") or "[]"))
    brief = f"{name} needs a lower bound where {route} reads it: {evidence.message}"
    for bounds in (Bounds(gt=0), Bounds(ge=0)) if evidence.fact("strict") else (Bounds(ge=0),):

        def steps(edge: Boundary, bounds: Bounds = bounds) -> list[str]:
            if place != "json":
                return [edge.limit(name, bounds) if edge.flask else edge.parameter(name, bounds)]
            if edge.home(path) is not None:
                reason = edge.tighten(path, bounds)
                return [reason and edge.attribute(path, bounds)]
            if edge.read(name, casts=True) is not None:
                return [edge.limit(name, bounds)]
            return [edge.check([Field(name, evidence.fact("type") or "number", bounds=bounds)])] if len(path) == 1 else ["the number lies deep in an untyped body"]

        yield _tried(finding, blueprint, sources, steps, f"Refuse a {name} {'of 0 or less' if bounds.gt == 0 else 'below 0'} in {route}", brief)


def assignment(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
    """The field is withheld from a typed body; an untyped one keeps the keys that honest clients send."""
    evidence = finding.evidence
    if evidence is None:
        return
    column, route = evidence.fact("column"), finding.route or ""
    known = [each.path[0] for each in (blueprint.route(route).parameters if blueprint.route(route) else ()) if each.place.value in {"json", "form"} and each.path]  # type: ignore[union-attr]
    sent = [each for each in evidence.fact("fields").split(",") if each]
    fields = [str(each) for each in dict.fromkeys([*sent, *known]) if each != column and (each in sent or not POWER.search(str(each)))]
    table = blueprint.table(evidence.fact("table"))
    if not fields and table is not None:
        fields = [each.name for each in table.columns if not (each.primary_key or each.references or POWER.search(each.name) or SECRET.search(each.name))]
    listed = f"Clients may set {', '.join(fields)}: the keys that honest requests send, or harmless columns. Add what else a client may set."
    brief = f"{column} must not come from the request of {route}: name the fields that a client may set."

    def shut(edge: Boundary) -> list[str]:
        found = edge.home(("",))
        return [edge.sheet.put(closed(edge.sheet.module(found[0]), found[1]))] if found else ["the body has no model"]

    def hold(edge: Boundary) -> list[str]:
        return [edge.sheet.put(withhold(edge.module, edge.function, column, line=edge.route.handler.line))]

    def let(edge: Boundary) -> list[str]:
        return [edge.sheet.put(allow(edge.module, edge.function, fields, line=edge.route.handler.line))]

    def strip(edge: Boundary) -> list[str]:
        return [edge.sheet.put(discard(edge.module, edge.function, column, line=edge.route.handler.line))]

    typed = (blueprint.route(route) or None) is not None and blueprint.route(route).body_model is not None  # type: ignore[union-attr]
    ways = [(shut, ""), (hold, ""), (let, listed)] if typed else [(let, listed), (hold, ""), (strip, "")]
    for way, note in ways:
        yield _tried(finding, blueprint, sources, way, f"Keep {column} out of reach of {route}", brief, *([note] if note else []))
