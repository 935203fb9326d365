"""Owns the bytes that a request may bring, on the disk and in memory: long texts, large files, archives that unpack to more, files of a kind that is not wanted."""

from __future__ import annotations

import ast
import re
from itertools import islice
from typing import TYPE_CHECKING

from toughen.codemod.caps import application
from toughen.handling import handlers, parsed, within
from toughen.model.blueprint import Place
from toughen.model.finding import Evidence, Severity
from toughen.model.journey import Literal, Long
from toughen.model.source import Location
from toughen.model.trial import Experiment, Trial
from toughen.rule import Fails, Holds, Unclear
from toughen.twists import answer, changed, literal, named, ordinary, parameter_of, shown, succeeded, texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.handling import Handler
    from toughen.model.blueprint import Blueprint, Json, Route
    from toughen.model.journey import Argument, Journey
    from toughen.model.trace import Trace
    from toughen.rule import Judgement, Target

MIB = 1 << 20
TEXT = 3 * MIB
"""Bytes of a text that is sent: more than what servers and frameworks that have a bound take by default (nginx 1 MiB, Django 2.5 MiB)."""
LARGE = 17 * MIB
"""Bytes of a file: more than the bound that Flask's own manual sets (16 MiB)."""
UNPACKED = 48 * MIB
"""Bytes of what an archive of some fifty thousand unpacks to."""
MORE, MORE_UNPACKED = 3, 2
"""How many times as much is sent once more, so that what grows is seen to grow by what was sent."""
_MOST, _WHOLE, _SMALL, _STEEP = 4, 0.9, 0.25, 0.75
"""Allocators round, and use again what they have: by less than this share of what was sent more nothing grows that holds it."""
_APPLICATION = re.compile(r"max_content_length|\.content_length|headers[^\n]*content-length|http_content_length|\w*(Body|Request|Upload|Content)\w*(Limit|Size)\w*\(|LimitUpload", re.IGNORECASE)
"""How a project speaks of a bound on all bodies."""
_HANDLER = re.compile(
    r"\bmax_?\w*(size|bytes|mb|len)\b|\b(size|file|upload|content)_?\w*_?limit\b|\.size\b|getsize|st_size|\.tell\(\)|SEEK_END|seek\(0,\s*2\)|too (large|big|long)|\b413\b"
    r"|len\(\s*\w*(content|data|file|body|raw|chunk|blob|byte|payload|image)\w*\s*\)\s*(>|<)",
    re.IGNORECASE,
)
"""How a handler speaks of a bound on its own."""
UNPACKS = re.compile(r"file_size|compress_size|max_?\w*(size|bytes|files|ratio)", re.IGNORECASE)
_MAIL = re.compile(r"[^@\s]+@[^@\s]+|https?://|[\d\s:.+/-]+")
_WRONG = "toughen.html"


def uploads(target: Target) -> bool:
    """Whether any route takes files."""
    return any(each.place is Place.FILE for route in target.blueprint.routes for each in route.parameters)


def bodies(target: Target, route: Route) -> Iterator[Experiment]:
    """The first route of the prototype that stores a text of megabytes, where it is this one: a bound on bodies is the application's."""
    every = list(islice(stored(target), _MOST))
    if route.id not in {journey.route for journey, _ in every}:
        return
    size = LARGE if uploads(target) else TEXT
    for journey, argument in every:
        begin = literal(argument)
        call = journey.call.with_argument(argument.place, argument.path, Long(begin if isinstance(begin, str) else "", size))
        hostile = Trial((*journey.calls[:-1], call), journey.grants, weighed=True)
        trace = target.run(hostile)
        if not succeeded(trace.last) or trace.weight < size * _WHOLE:
            continue
        if journey.route == route.id:
            routes = ", ".join(dict.fromkeys(each.route for each, _ in every))
            detail = (("kind", "body"), ("size", str(size)), ("field", named(argument)), ("routes", routes), ("files", "yes" if uploads(target) else ""), *_app(target))
            yield Experiment({"control": Trial(journey.calls, journey.grants), "hostile": hostile}, f"a text of {size // MIB} MiB in {named(argument)}", detail)
        return


def _app(target: Target) -> Iterator[tuple[str, str]]:
    """Where the application is made, and whether the project speaks of a bound."""
    found = application(target.blueprint, target.texts())
    if found is not None:
        yield from (("file", found[0].file), ("line", str(found[1].lineno)))
    if not unbounded(target.blueprint, target.texts()):
        yield "bound", "the project"


def stored(target: Target) -> Iterator[tuple[Journey, Argument]]:
    """Journeys of ordinary clients, and a free text of each that its rows hold afterwards."""
    for journey in target.journeys():
        route = target.blueprint.route(journey.route)
        if route is None or route.method not in {"POST", "PUT", "PATCH"} or not ordinary(target, journey.identity):
            continue
        honest = target.honest(journey.route)
        held = {value for change in changed(honest) for name, value in change.after.items() if isinstance(value, str) and _takes(target.blueprint, change.table, name)} if honest else set()
        for each in texts(journey.call):
            known = parameter_of(route, each)
            free = known is None or not (known.pattern or known.enum or known.max_length or known.format)
            if literal(each) in held and free and each.place in {Place.JSON, Place.FORM} and not _MAIL.fullmatch(str(literal(each))):
                yield journey, each
                break


def _takes(blueprint: Blueprint, table: str, column: str) -> bool:
    """Whether a column takes any text: SQLite asks no column's length, and the server that it stands in for does."""
    known = blueprint.table(table)
    found = known.column(column) if known is not None else None
    return not blueprint.stand_in or found is None or found.max_length is None


def grown(experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
    """It is accepted, and what lies on the disk grows by it."""
    control, size = traces["control"], int(experiment.fact("size"))
    if not succeeded(control.last):
        return Unclear(f"the honest request does not succeed: {answer(control.last)}")
    trace = traces["hostile"]
    last, kind, field = trace.last, experiment.fact("kind"), experiment.fact("field")
    if not succeeded(last):
        return Fails()
    held = _held(traces, size, _more(experiment))
    told = last.response.size - (control.last.response.size if control.last.response else 0) if last.response else 0
    if trace.weight < size * _WHOLE and not (kind == "archive" and told > size * _WHOLE) and not held:
        return Unclear("the archive is accepted, and nothing is seen of what it holds") if kind == "archive" and held is None else Fails()
    if experiment.fact("bound"):
        return Unclear(f"its source speaks of a bound, and {size // MIB} MiB did not meet it")
    facts: dict[str, Json] = {"request": f"{last.method} {last.target}", "bytes sent": size, "bytes stored": trace.weight, "answer": answer(last)}
    if trace.weight < size * _WHOLE and not (kind == "archive" and told > size * _WHOLE):
        return _in_memory(experiment, traces, size, facts)
    match kind:
        case "body":
            facts["honest"] = shown(control.last)[:200]
            facts["routes that store texts"] = experiment.fact("routes")
            place = Location(experiment.fact("file"), int(experiment.fact("line")), None) if experiment.fact("file") else None
            words = f"a body may bring what it likes: {last.method} {last.target} stores a text of {size // MIB} MiB in {field}"
            return Holds(Evidence(words, facts, place, experiment.detail, key="body", severity=Severity.LOW))
        case "archive":
            facts |= {"bytes sent": experiment.fact("packed"), "bytes stored": max(trace.weight, told)}
            where = "on the disk" if trace.weight > told else "in one answer"
            words = f"an archive of {experiment.fact('packed')} in {field} becomes {max(trace.weight, told) // MIB} MiB {where}: nothing bounds the sum of what it holds"
            return Holds(Evidence(words, facts, None, experiment.detail, key=f"{field}-unpacked", severity=Severity.HIGH))
    return Holds(Evidence(f"a file of {size // MIB} MiB in {field} is stored: nothing bounds its size", facts, None, experiment.detail, key=f"{field}-size", severity=Severity.HIGH))


def _more(experiment: Experiment) -> int:
    """Bytes that the third trial sends, or unpacks to."""
    return int(experiment.fact("size")) * (MORE_UNPACKED if experiment.fact("kind") == "archive" else MORE)


def _held(traces: Mapping[str, Trace], size: int, larger: int) -> bool | None:
    """Whether the process grew by what was sent, at two sizes, and by next to nothing at the honest one; None where nobody knows by how much it grew."""
    large = traces["hostile"].last.grown
    if large is None:
        return None
    if "more" not in traces:
        return False if large < size * _WHOLE else None
    small, more = traces["control"].last.grown, traces["more"].last.grown
    if small is None or more is None:
        return None
    return succeeded(traces["more"].last) and small < size * _SMALL and large >= size * _WHOLE and more >= larger * _WHOLE and more - large >= (larger - size) * _STEEP


def _compared(target: Target, trials: dict[str, Trial], size: int, more: Trial, *, archive: bool = False) -> dict[str, Trial]:
    """The trials, with one of a larger size where memory is what the first one took, and nothing else."""
    trace = target.run(trials["hostile"])
    last = trace.last
    elsewhere = max(trace.weight, last.response.size if archive and last.response else 0) >= size * _WHOLE
    return {**trials, "more": more} if succeeded(last) and not elsewhere and (last.grown or 0) >= size * _WHOLE else trials


def _in_memory(experiment: Experiment, traces: Mapping[str, Trace], size: int, facts: dict[str, Json]) -> Judgement:
    kind, field = experiment.fact("kind"), experiment.fact("field")
    grown_by = {name: (traces[name].last.grown or 0) / MIB for name in ("control", "hostile", "more")}
    facts.pop("bytes stored")
    larger = _more(experiment)
    facts["bytes sent"] = experiment.fact("packed") if kind == "archive" else larger
    facts["memory"] = f"{grown_by['control']:.0f} MiB for the honest one, {grown_by['hostile']:.0f} MiB for {size // MIB} MiB, {grown_by['more']:.0f} MiB for {larger // MIB} MiB"
    takes = f"takes {grown_by['more']:.0f} MiB of memory"
    match kind:
        case "archive":
            words, key = f"an archive in {field} that unpacks to {larger // MIB} MiB {takes}: nothing bounds the sum of what it holds", f"{field}-unpacked"
        case "raw":
            words, key = f"a body of {larger // MIB} MiB {takes}: it is read whole, and nothing bounds its size", "body-size"
        case _:
            words, key = f"a file of {larger // MIB} MiB in {field} {takes}: it is read whole, and nothing bounds its size", f"{field}-size"
    return Holds(Evidence(words, facts, None, experiment.detail, key=key, severity=Severity.LOW if kind == "raw" else Severity.MEDIUM))


def raws(target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
    """A body that is read as it stands, far larger."""
    texts_of = [each for each in journey.call.arguments if each.place is Place.FORM] if journey.call.body == "text" else []
    if len(texts_of) != 1 or journey.call.raw_body is not None:
        return
    begin = literal(texts_of[0])

    def sent(size: int) -> Trial:
        call = journey.call.with_argument(texts_of[0].place, texts_of[0].path, Long(begin if isinstance(begin, str) else "", size))
        return Trial((*journey.calls[:-1], call), journey.grants, weighed=True, measured=True)

    yield Experiment(
        _compared(target, {"control": Trial(journey.calls, journey.grants, measured=True), "hostile": sent(LARGE)}, LARGE, sent(LARGE * MORE)), f"a body of {LARGE // MIB} MiB",
        (("kind", "raw"), ("size", str(LARGE)), ("files", "yes" if uploads(target) else ""), ("field", named(texts_of[0])), *_bound(target, route)),
    )


# -- files -------------------------------------------------------------------------------------------------------------


def files(target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
    """Each file that the route takes: far larger, of another kind under the honest one's name, an archive that unpacks to far more."""
    for each in journey.call.arguments:
        if each.place is not Place.FILE:
            continue
        value = literal(each)
        name = value if isinstance(value, str) and value else "picture.png"

        def sent(described: dict[str, Json], argument: Argument = each) -> Trial:
            return Trial((*journey.calls[:-1], journey.call.with_argument(argument.place, argument.path, Literal(described))), journey.grants, weighed=True, measured=True)

        honest = Trial(journey.calls, journey.grants, measured=True)
        own = (("field", named(each)), ("name", name))
        yield Experiment(
            _compared(target, {"control": honest, "hostile": sent({"name": name, "size": LARGE})}, LARGE, sent({"name": name, "size": LARGE * MORE})), f"a file of {LARGE // MIB} MiB",
            (("kind", "upload"), ("size", str(LARGE)), ("files", "yes"), *own, *_bound(target, route)),
        )
        kind = name.rpartition(".")[2].lower()
        if kind == "zip":
            speaks = (("bound", "its handler"),) if _speaks(target.blueprint, target.texts(), route, UNPACKS) else ()
            yield Experiment(
                _compared(target, {"control": honest, "hostile": sent({"name": name, "unpacked": UNPACKED})}, UNPACKED, sent({"name": name, "unpacked": UNPACKED * MORE_UNPACKED}), archive=True), f"an archive of {UNPACKED // MIB} MiB",
                (("kind", "archive"), ("size", str(UNPACKED)), ("packed", f"{UNPACKED // 1000 // 1024} KiB"), *own, *speaks),
            )
        elif kind not in {"html", "htm", "svg"}:
            wrong = _wrong(name, _TYPES.get(kind, "image/png"))
            yield Experiment({"control": honest, **{key: sent({**value}) for key, value in wrong.items()}}, "a page of HTML in its place", (("kind", "type"), *own))


def _wrong(name: str, meant: str) -> dict[str, dict[str, Json]]:
    """A page of HTML as it is, and as the honest file by its content type, a part of its name, both, and its content."""
    doubled = f"toughen.{name.rpartition('.')[2].lower()}.html"
    return {
        "plain": {"name": _WRONG, "type": "text/html"}, "typed": {"name": _WRONG, "type": meant}, "doubled": {"name": doubled, "type": "text/html"}, "both": {"name": doubled, "type": meant},
        "whole": {"name": doubled, "type": meant, "like": name},
    }


_TYPES = {"png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif", "pdf": "application/pdf", "txt": "text/plain", "csv": "text/csv", "json": "application/json", "wav": "audio/wav"}


def _bound(target: Target, route: Route) -> Iterator[tuple[str, str]]:
    if not unbounded(target.blueprint, target.texts()):
        yield "bound", "the project"
    elif _speaks(target.blueprint, target.texts(), route, _HANDLER):
        yield "bound", "its handler"


def _speaks(blueprint: Blueprint, sources: Mapping[str, str], route: Route, words: re.Pattern[str]) -> bool:
    handler = next((each for each in handlers(blueprint, sources) if each.route.id == route.id), None)
    return handler is None or bounded(handler, words)


def bounded(handler: Handler, words: re.Pattern[str] = _HANDLER) -> bool:
    """Whether the handler, or a function that it calls, speaks of a size that is too much."""
    # What a comment says of a size is no bound.
    return any(words.search(ast.unparse(each.node)) for each in handler.reach)


def unbounded(blueprint: Blueprint, sources: Mapping[str, str]) -> bool:
    """Whether no file of the application speaks of a bound on all bodies."""
    modules, own = parsed(sources), within(blueprint.entry, sources)
    return not any(_APPLICATION.search(text) and _APPLICATION.search(ast.unparse(modules[file].tree)) for file, text in sources.items() if file in own and file in modules)


def typed(experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
    """The handler refuses a page of HTML that is called one, and stores it under such a name all the same."""
    control = traces["control"]
    if not succeeded(control.last):
        return Unclear(f"the honest request does not succeed: {answer(control.last)}")
    plain = traces["plain"]
    if succeeded(plain.last):
        # It takes files of all kinds: what comes of them is another question.
        return Fails()
    for name in ("typed", "doubled", "both", "whole"):
        trace = traces[name]
        written = next((each for each in trace.last.written_files if each.lower().endswith(".html") and "/tmp/" not in each), "")  # noqa: S108 - a folder's name
        if not succeeded(trace.last) or not written or not trace.weight:
            continue
        sent = "its content type says an honest kind" if name == "typed" else "its name holds an honest one"
        kinds = _wrong(experiment.fact("name"), _TYPES.get(experiment.fact("name").rpartition(".")[2].lower(), "image/png"))
        facts: dict[str, Json] = {
            "refused": f"{kinds['plain']['name']} as {kinds['plain']['type']}: {answer(plain.last)}", "accepted": f"{kinds[name]['name']} as {kinds[name]['type']}: {answer(trace.last)}",
            "stored as": written.rpartition("/")[2],
        }
        message = f"{experiment.fact('field')} refuses a page of HTML, and stores it as {written.rpartition('/')[2]} where {sent}"
        return Holds(Evidence(message, facts, None, experiment.detail, key=f"{experiment.fact('field')}-type", severity=Severity.HIGH))
    return Fails()
