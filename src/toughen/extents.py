"""Owns how much of a table one request may ask for, and how long a list it may send: what is tried, and what the traces show of it."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from toughen.model.blueprint import Place
from toughen.model.finding import Evidence, Severity
from toughen.model.journey import Argument, Copies, Extract, Literal, Marker, Stored
from toughen.model.trial import Experiment, Sown, Trial
from toughen.pairs import shifted
from toughen.rule import Fails, Holds, Unclear
from toughen.sql import page_size
from toughen.twists import answer, changed, literal, named, ordinary, parameter_of, shown, succeeded, unsent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Json, Parameter, Route
    from toughen.model.journey import Journey
    from toughen.model.trace import Exchange, Statement, Trace
    from toughen.rule import Judgement, Target

SOWN = 1200
"""Rows that a table is given: more than any page should hold."""
SHARED = 8
"""Rows that are copied in turn, one of which at least must be the asker's."""
SMALL, HUGE = 3, 1_000_003
"""Sizes of a page that is asked for: an honest one, and one that no cap is as large as."""
BELOW = -7
"""A size that SQLite takes for none at all (sqlite.org/lang_select.html: a negative LIMIT is no upper bound)."""
ELEMENTS = 1000
"""Elements of a list that is sent: more than any form of a person's holds."""
_MOST, _ENOUGH = 4, 0.5
_LEAST = 8
"""Bytes that a row takes in a page at the least."""
_CHOSEN = re.compile(r"\b(WHERE|GROUP\s+BY|COUNT|SUM|MAX|MIN|AVG|EXISTS|DISTINCT|UNION)\b", re.IGNORECASE)
"""What reads some of the rows, or counts them."""
_KEPT = 5000
"""Statements of one request that the lab keeps."""


def pages(target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
    """Each number of a request that arrives in the LIMIT of a statement, small and huge, over a table with many rows."""
    honest = target.honest(route.id)
    if honest is None or changed(honest) or not any(each.verb == "select" for each in honest.last.statements):
        return
    numbers = list(_numbers(target, route, journey))[:_MOST]
    if not numbers:
        return
    found = _arrives(target, journey, numbers, [HUGE + place for place in range(len(numbers))])
    below: dict[int, Statement] = {}
    if target.blueprint.database == "sqlite" and not target.blueprint.stand_in:
        below = _arrives(target, journey, numbers, [BELOW - place for place in range(len(numbers))])
    for place in sorted({*found, *below}):
        each, statement = numbers[place], found.get(place) or below[place]
        whole = journey if statement.rows else filled(target, journey, statement.reads[0])
        tried = [("control", SMALL), *([("hostile", HUGE)] if place in found else []), *([("below", BELOW)] if place in below else [])]
        trials = {
            name: Trial((*whole.calls[:-1], whole.call.with_argument(each.place, each.path, _sent(each, value))), whole.grants, sown=(Sown(statement.reads[0], SOWN),))
            for name, value in tried
        }
        known = parameter_of(route, each)
        detail = (
            ("kind", "page"), ("field", named(each)), ("place", each.place.value), ("keys", json.dumps(each.path)), ("default", json.dumps(known.default if known else None)),
            ("table", statement.reads[0]), ("below", "yes" if place in below else ""),
        )
        yield Experiment(trials, f"{named(each)} = {HUGE if place in found else BELOW}", detail)


def _arrives(target: Target, journey: Journey, numbers: list[Argument], values: list[int]) -> dict[int, Statement]:
    """Which of the numbers arrive as they are in the LIMIT of a statement, and in which."""
    calls = tuple(journey.call.with_argument(each.place, each.path, _sent(each, value)) for each, value in zip(numbers, values, strict=True))
    exchanges = target.run(Trial((*journey.calls[:-1], *calls), journey.grants)).exchanges[len(journey.calls) - 1 :]
    found = {place: limited(exchange, values[place]) for place, exchange in enumerate(exchanges[: len(values)])}
    return {place: each for place, each in found.items() if each is not None and each.reads}


def _numbers(target: Target, route: Route, journey: Journey) -> Iterator[Argument]:
    """Whole numbers that the route reads from its query or body, sent by its honest request or left out."""
    honest = target.honest(route.id)
    asked = {(demand.place, demand.key): demand.type for demand in honest.last.demands} if honest else {}
    for each in (*journey.call.arguments, *unsent(target, route, journey)):
        if each.place not in {Place.QUERY, Place.JSON, Place.FORM} or not each.path:
            continue
        known: Parameter | None = parameter_of(route, each)
        value = literal(each)
        kinds = {known.type if known is not None else "any", asked.get((each.place.value, each.path), "any")}
        whole = isinstance(value, int) and not isinstance(value, bool)
        if "integer" in kinds or whole or (isinstance(value, str) and value.isdigit()) or (kinds == {"any"} and value is None):
            yield each


def filled(target: Target, journey: Journey, table: str) -> Journey:
    """The Journey behind one that writes a row of the table, where there is one: what is copied must be there."""
    for each in sorted(target.journeys(), key=lambda one: (one.identity != journey.identity, len(one.calls))):
        honest = target.honest(each.route)
        if honest is not None and any(change.kind == "inserted" and change.table.lower() == table for change in changed(honest)):
            return behind(journey, each)
    return journey


def behind(journey: Journey, first: Journey) -> Journey:
    """A Journey with the calls and grants of another one in front."""
    steps = len(first.calls)
    calls = tuple(shifted(call, steps) for call in journey.calls)
    return replace(journey, calls=(*first.calls, *calls), grants=(*first.grants, *(replace(each, after=each.after + steps) for each in journey.grants)))


def _sent(argument: Argument, value: int) -> Literal:
    return Literal(value if argument.place is Place.JSON else str(value))


def limited(exchange: Exchange, size: int) -> Statement | None:
    """The statement that reads at most so many rows."""
    for each in exchange.statements:
        said = page_size(each.text) if each.verb == "select" else None
        if said == str(size) or (isinstance(said, int) and said < len(each.parameters) and str(each.parameters[said]) == str(size)):
            return each
    return None


def paged(experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
    """The small page reads few rows, and the huge one all that there are."""
    control = traces["control"]
    if not succeeded(control.last):
        return Unclear(f"the honest request does not succeed: {answer(control.last)}")
    field, table = experiment.fact("field"), experiment.fact("table")
    if control.sown < SOWN:
        return Unclear(f"{table} takes no rows from the lab")
    small = limited(control.last, SMALL)
    if small is None or (small.rows or 0) > SMALL:
        return Unclear(f"a page of {SMALL} rows reads {small.rows if small else 'otherwise'}")
    unclear = ""
    for size, last in ((size, traces[name].last) for name, size in (("hostile", HUGE), ("below", BELOW)) if name in experiment.trials):
        large = limited(last, size)
        if last.response is None:
            unclear = f"a page of {size:,} rows is not answered: {last.ended}"
        elif succeeded(last) and large is not None and (large.rows or 0) < SOWN // SHARED:
            # Of somebody's own rows there are as many as his were among those that were copied.
            unclear = f"{field} bounds nothing, and the rows that it would read are not those of the lab"
        elif succeeded(last) and large is not None:
            facts: dict[str, Json] = {
                "request": shown(last), "rows read": large.rows, "rows in the table": f"{SOWN:,} more than before, by the lab", "statement": large.text[:400],
                "bytes of the answer": last.response.size, "honest": f"{shown(control.last)}: {small.rows} rows",
            }
            return Holds(Evidence(f"{field} = {size:,} reads {large.rows:,} rows of {table} at once: nothing bounds the size of a page", facts, large.location, experiment.detail, key=field))
    return Unclear(unclear) if unclear else Fails()


# -- whole tables ------------------------------------------------------------------------------------------------------


def wholes(target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
    """A listing of a whole table that clients fill, with few rows and with many: not of somebody's own rows, and not for the powerful."""
    honest = target.honest(route.id)
    if route.method != "GET" or honest is None or changed(honest) or not ordinary(target, journey.identity):
        return
    for each in honest.last.statements:
        every = each.verb == "select" and each.text not in target.habits() and len(each.reads) == 1 and not _CHOSEN.search(each.text) and page_size(each.text) is None
        if not every or not _fill(target, each.reads[0]):
            continue
        whole = journey if each.rows else filled(target, journey, each.reads[0])
        trials = {"control": Trial(whole.calls, whole.grants), "hostile": Trial(whole.calls, whole.grants, sown=(Sown(each.reads[0], SOWN),))}
        detail = (("kind", "whole"), ("table", each.reads[0]), ("statement", each.text), ("by", _fill(target, each.reads[0])))
        yield Experiment(trials, f"{SOWN:,} rows more in {each.reads[0]}", detail)
        return


def _fill(target: Target, table: str) -> str:
    """A route by which those who have no power write rows of a table."""
    for each in target.journeys():
        honest = target.honest(each.route)
        if honest is not None and ordinary(target, each.identity) and any(change.kind == "inserted" and change.table.lower() == table for change in changed(honest)):
            return each.route
    return ""


def whole(experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
    """Every row more is read and answered."""
    control, hostile = traces["control"], traces["hostile"]
    if not succeeded(control.last):
        return Unclear(f"the honest request does not succeed: {answer(control.last)}")
    table, text = experiment.fact("table"), experiment.fact("statement")
    if hostile.sown < SOWN:
        return Unclear(f"{table} takes no rows from the lab")
    if hostile.last.response is None or control.last.response is None or not succeeded(hostile.last):
        return Unclear(f"with {SOWN:,} rows more it answers {answer(hostile.last)}")
    few, many = (next((each for each in trace.last.statements if each.text == text), None) for trace in (control, hostile))
    shown_rows = _longest(hostile.last.response.json) - _longest(control.last.response.json)
    told = shown_rows >= SOWN if hostile.last.response.is_json else hostile.last.response.size - control.last.response.size >= SOWN * _LEAST
    if few is None or many is None or (many.rows or 0) - (few.rows or 0) < SOWN or not told:
        return Fails()
    facts: dict[str, Json] = {
        "request": shown(hostile.last), "rows in the table": f"{SOWN:,} more than before, by the lab", "rows read": many.rows, "bytes of the answer": hostile.last.response.size,
        "statement": text[:400], "who fills it": experiment.fact("by"), "honest": f"{few.rows} rows",
    }
    return Holds(
        Evidence(f"one answer holds all {many.rows:,} rows of {table}, which {experiment.fact('by')} fills: nothing bounds how many it will be", facts, many.location, experiment.detail, "rows", Severity.LOW)
    )


def _longest(value: Json, depth: int = 3) -> int:
    """Elements of the longest list in a body."""
    parts = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else []
    inner = max((_longest(each, depth - 1) for each in parts), default=0) if depth and not (isinstance(value, list) and len(value) >= SOWN) else 0
    return max(len(value) if isinstance(value, list) else 0, inner)


# -- lists -------------------------------------------------------------------------------------------------------------


def lists(sources: Mapping[str, str], journey: Journey) -> Iterator[Experiment]:
    """Each list of the body with far more elements than a person sends: equal ones, then ones whose texts differ."""
    for root in dict.fromkeys(_roots(journey)):
        parts = tuple(_element(journey, root))
        if not parts:
            continue
        for numbered in (False, True):
            call = journey.call.with_argument(Place.JSON, root, Copies(ELEMENTS, parts, numbered))
            trials = {"control": Trial(journey.calls, journey.grants), "hostile": Trial((*journey.calls[:-1], call), journey.grants)}
            name = next((key for key in reversed(root) if isinstance(key, str)), "the body")
            bound = (("bound", "yes"),) if any(_bounds(name, text) for text in sources.values()) else ()
            yield Experiment(trials, f"{ELEMENTS:,} elements in {name}", (("kind", "list"), ("field", name), ("place", "json"), ("keys", json.dumps(root)), *bound))
            if not any(isinstance(value, Literal) and isinstance(value.value, str) for _, value in parts):
                break


def _bounds(name: str, text: str) -> bool:
    """Whether a source says how long a list of that name may be: by its length, or where a model declares it."""
    held = re.escape(name)
    asked = rf"len\([^()\n]*\b{held}\b[^()\n]*\)\s*(?:>=?|<=)\s*(?![01]\b)\w"
    return re.search(rf"{asked}|\b{held}\s*:[^\n]*(?:max_length|max_items|conlist|MaxLen)", text) is not None


def _roots(journey: Journey) -> Iterator[tuple[str | int, ...]]:
    for each in journey.call.arguments:
        if each.place is Place.JSON and 0 in each.path and isinstance(each.path[each.path.index(0)], int):
            yield each.path[: each.path.index(0)]
        elif each.place is Place.JSON and isinstance(literal(each), list) and literal(each):
            yield each.path


def _element(journey: Journey, root: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Literal | Extract | Stored | Marker]]:
    for each in journey.call.arguments:
        value = each.value
        if each.place is not Place.JSON or each.path[: len(root)] != root:
            continue
        if each.path == root and isinstance(value, Literal) and isinstance(value.value, list):
            yield (), Literal(value.value[0])
        elif each.path[len(root) : len(root) + 1] == (0,) and isinstance(value, Literal | Extract | Stored | Marker):
            yield each.path[len(root) + 1 :], value


def listed(experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
    """Each element costs a statement, a row or a request to the outside, and none is one too many."""
    control, hostile = traces["control"], traces["hostile"]
    if not succeeded(control.last):
        return Unclear(f"the honest request does not succeed: {answer(control.last)}")
    field = experiment.fact("field")
    counts = [Counter(each.text for each in trace.last.statements) for trace in (control, hostile)]
    text, most = next(iter((counts[1] - counts[0]).most_common(1)), ("", 0))
    enough = ELEMENTS * (_ENOUGH if len(hostile.last.statements) >= _KEPT else 0.9)
    made = sum(each.kind == "inserted" for each in changed(hostile)) - sum(each.kind == "inserted" for each in changed(control))
    asked = len(hostile.last.outgoing) - len(control.last.outgoing)
    shows = [f"{count:,} {words}" for count, words in ((most, "times the same statement"), (made, "rows written"), (asked, "requests to the outside")) if count >= enough]
    if not shows:
        return Fails() if hostile.last.response is not None else Unclear(f"a list of {ELEMENTS:,} elements is not answered: {hostile.last.ended}")
    if experiment.fact("bound"):
        return Unclear(f"its source speaks of a bound, and {ELEMENTS:,} elements did not meet it")
    where = next((each.location for each in hostile.last.statements if each.text == text), None)
    facts: dict[str, Json] = {
        "request": shown(hostile.last)[:200], "elements": ELEMENTS, "costs": [*shows], "statement": text[:300], "answer": answer(hostile.last),
        "milliseconds": round(hostile.last.milliseconds), "honest": f"{shown(control.last)}: {round(control.last.milliseconds)} ms",
    }
    return Holds(Evidence(f"a list of {ELEMENTS:,} elements in {field} is worked off in one request ({', '.join(shows)}): nothing bounds its length", facts, where, experiment.detail, key=field))
