"""Owns bounds as a source has them: where it asks for none, and which words put one there."""

from __future__ import annotations

import ast
import json
import re
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

from toughen import freight
from toughen.boundary import Boundary, boundary
from toughen.carried import Carried
from toughen.codemod import Bounds, Field, UnmendableError
from toughen.codemod.caps import NEEDED, application, bounded, capped, number_read, short, sizes, suffixed, unpacked
from toughen.codemod.mechanics import use
from toughen.codemod.module import scope_of
from toughen.handling import handlers, sought
from toughen.model.blueprint import Place as Where
from toughen.model.patch import Unmended

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from toughen.carried import Sent
    from toughen.handling import Handler
    from toughen.model.blueprint import Blueprint
    from toughen.model.finding import Evidence, Finding, Suspicion
    from toughen.model.patch import Patch

PAGE, LENGTH = 100, 100
"""Rows of a page, and elements of a list, that a mend allows; more where an honest client asks for more."""
_PAGE = "Cap the size of a page where {} reads it (`Query(le=100)`, `min(size, 100)`), and read no more rows than that."
_ROWS = "Page the answer of {}: take a size of at most {} and a place to go on from, order the rows by their key, and tell clients how to ask for the next ones."
_LIST = "Give the list that {} takes a greatest length where it is read, and answer 422 to longer ones."
_BODY = "Bound what a body may bring, for all routes at once (Flask's MAX_CONTENT_LENGTH, a middleware that answers 413), and the lengths of texts where they enter."
_FILE = "Bound the size of a file where {} takes it, and give it a name of your own with a suffix from a list."
_ARCHIVE = "Add up what the members of the archive say of their sizes before anything is unpacked in {}, and answer 413 where it is too much."
_BODIES = {"": "1024 * 1024", "yes": "16 * 1024 * 1024"}
"""What a body may bring, without and with files."""
_UNPACKED = "32 * 1024 * 1024"
_ALLOWED = (
    (("png", "jpg", "jpeg", "gif", "webp"), "picture"), (("pdf",), "document"), (("csv",), "table"), (("txt", "md"), "text"), (("json",), "JSON"), (("wav", "mp3", "ogg"), "sound"), (("zip",), "archive"),
)
_WRITES = re.compile(r"\.save\(|open\([^)]*[\"'][wxa]b|copyfileobj|write_bytes|\.upload_file")
_READS = re.compile(r"\.read\(\s*\)")
_UNZIPS = re.compile(r"\.(extractall|extract|open|read)\(")
_LIMITED = re.compile(r"\bLIMIT\s+(\?|%s|:\w+|%\(\w+\)s|\$\d+)", re.IGNORECASE)
_BOUNDED = re.compile(r"max_length|max_items|conlist|MaxLen")
_COSTS = {"add", "execute", "query", "get", "scalar", "scalars", "filter", "filter_by", "insert", "insert_one", "post", "request", "save", "create", "fetchone", "merge", "get_or_404"}
_MARK = re.compile(r"\?|%s")


# -- what the source shows ---------------------------------------------------------------------------------------------


def unpaged(break_id: str, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
    """Numbers of a request that say how many rows a query reads, with no bound on the way."""

    def look(handler: Handler) -> Iterator[Suspicion]:
        whole, told = Carried(handler), set()
        for carried in whole.all():
            for node in (*sizes(carried.place.node), *_written(carried.place.node)):
                held = carried.of(node)
                if held is not None and held.name not in told and not whole.capped(held) and not _compared(held, carried):
                    told.add(held.name)
                    yield handler.suspicion(break_id, node.lineno, f"{held.name} says how many rows are read, and nothing bounds it", carried.place)

    return sought(blueprint, sources, look)


def unlisted(break_id: str, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
    """Lists of the body each of whose elements costs a statement or a request, with nothing that says how many there may be."""

    def look(handler: Handler) -> Iterator[Suspicion]:
        whole, told = Carried(handler), set()
        for carried in whole.all():
            for node in (each for each in scope_of(carried.place.node) if isinstance(each, ast.For | ast.AsyncFor)):
                held = carried.of(node.iter)
                if held is None or held.place is not Where.JSON or held.name in told or not _costs(node) or _compared(held, whole) or _declared(handler, held, sources):
                    continue
                told.add(held.name)
                yield handler.suspicion(break_id, node.lineno, f"each element of {held.name} costs a statement, and nothing bounds how many there are", carried.place)

    return sought(blueprint, sources, look)


def _costs(node: ast.AST) -> bool:
    return any(isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute) and each.func.attr in _COSTS for each in ast.walk(node))


def _declared(handler: Handler, held: Sent, sources: Mapping[str, str]) -> bool:
    """Whether the model's field, or its annotation, says how long the list may be."""
    edge = boundary(handler.route.id, handler.blueprint, sources)
    found = edge.home(held.path) if isinstance(edge, Boundary) else None
    if found is None or not isinstance(edge, Boundary):
        return False
    file, model, name = found
    node = next(each for each in edge.sheet.module(file).classes() if each.name == model)
    return any(isinstance(each, ast.AnnAssign) and ast.unparse(each.target) == name and _BOUNDED.search(ast.unparse(each)) for each in node.body)


def unweighed(break_id: str, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
    """Handlers that write a file of the request, or unpack one, and speak of no size."""

    def look(handler: Handler) -> Iterator[Suspicion]:
        if not any(each.place is Where.FILE for each in handler.route.parameters):
            return
        for place in handler.reach:
            text = place.module.segment(place.node)
            if "ZipFile(" in text and _UNZIPS.search(text) and not any(freight.UNPACKS.search(each.module.segment(each.node)) for each in handler.reach):
                yield handler.suspicion(break_id, place.node.lineno, "an archive is unpacked, and nothing bounds what it holds", place)
            elif _WRITES.search(text) and freight.unbounded(blueprint, sources) and not freight.bounded(handler):
                yield handler.suspicion(break_id, place.node.lineno, "a file of the request is written, and nothing bounds its size", place)
            elif place is handler.home and _READS.search(text) and freight.unbounded(blueprint, sources) and not freight.bounded(handler):
                yield handler.suspicion(break_id, place.node.lineno, "a file of the request is read whole, and nothing bounds its size", place)

    return sought(blueprint, sources, look)


def _compared(held: Sent, carried: Carried) -> bool:
    return any((held.place, held.path) in each.high for each in carried.all())


def _written(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[ast.expr]:
    """What stands for the LIMIT of a statement: the value at its mark, or the part of the text."""
    for each in scope_of(node):
        match each:
            case ast.Call(args=[ast.Constant(value=str() as text), ast.Tuple(elts=values) | ast.List(elts=values), *_]) if (found := _LIMITED.search(text)):
                place = len(_MARK.findall(text[: found.start(1)]))
                if found.group(1) in {"?", "%s"} and place < len(values):
                    yield values[place]
            case ast.JoinedStr(values=parts):
                for text_part, value in pairwise(parts):
                    if isinstance(text_part, ast.Constant) and re.search(r"\bLIMIT\s+$", str(text_part.value), re.IGNORECASE) and isinstance(value, ast.FormattedValue):
                        yield value.value


# -- mends -------------------------------------------------------------------------------------------------------------


def _tried(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str], step: Callable[[Boundary], str], summary: str, brief: str, *notes: str) -> Patch | Unmended:
    """One variant on fresh texts; why there is none."""
    edge = boundary(finding.route, blueprint, sources)
    if isinstance(edge, Unmended):
        return edge
    try:
        refused = step(edge)
    except (UnmendableError, RecursionError) as error:
        refused = str(error)
    made = edge.sheet.patch(finding.id, summary[:100], *notes)
    return Unmended(refused or made.reason, brief) if isinstance(made, Unmended) else made


def page(finding: Finding, evidence: Evidence, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
    """A cap where the number enters; else where the query is limited."""
    name, route, path = evidence.fact("field"), finding.route or "", tuple(json.loads(evidence.fact("keys") or "[]"))
    default = json.loads(evidence.fact("default") or "null")
    most, floor = max(PAGE, default if isinstance(default, int) else 0), bool(evidence.fact("below"))
    bounds = Bounds(ge=0 if floor else None, le=most)
    summary, brief = f"Cap {name} at {most} in {route}", _PAGE.format(route)
    note = f"{most} rows are the most that one request gets now: say so to clients that asked for more."

    def enters(edge: Boundary) -> str:
        if evidence.fact("place") == "json":
            return edge.tighten(path, bounds) if edge.home(path) is not None else "the number lies in an untyped body"
        return edge.parameter(name, bounds) if not edge.flask else "Flask declares no parameters"

    def is_read(edge: Boundary) -> str:
        found = number_read(edge.node(), name)
        return edge.sheet.put(capped(edge.module, found, most, floor=floor)) if found is not None else edge.limit(name, bounds)

    def reads(edge: Boundary) -> str:
        place = evidence.location
        if place is None or place.file not in sources:
            return "where the rows are read is not seen"
        module = edge.sheet.module(place.file)
        # Lines have moved where other mends went before.
        node = module.function(place.function, place.line) if place.function else module.function_at(place.line)
        found = [*sizes(node), *_written(node)]
        return edge.sheet.put(capped(module, found[0], most, floor=floor)) if len(found) == 1 else f"{node.name} limits {len(found)} queries"

    offers = [_tried(finding, blueprint, sources, step, summary, brief, note) for step in (enters, is_read, reads)]
    yield from (each for each in offers if not isinstance(each, Unmended))
    yield Unmended(next((each.reason for each in reversed(offers) if isinstance(each, Unmended)), "no bound holds"), brief)


def rows(finding: Finding, evidence: Evidence, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:  # noqa: ARG001 - one shape for all kinds
    """None: clients that read all rows would miss some without a word."""
    yield Unmended("clients that read the whole list would miss rows without a word", _ROWS.format(finding.route, PAGE))


def _assigned(route: str, path: tuple[str | int, ...], blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    """(line, variable) where a handler reads a part of its body."""
    for handler in (each for each in handlers(blueprint, sources) if each.route.id == route):
        carried = Carried(handler)
        for node in scope_of(handler.home.node):
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                held = carried.of(node.value)
                if held is not None and held.place is Where.JSON and held.path == path:
                    yield node.lineno, node.targets[0].id


def length(finding: Finding, evidence: Evidence, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
    """A greatest length where the list enters."""
    name, route, path = evidence.fact("field"), finding.route or "", tuple(json.loads(evidence.fact("keys") or "[]"))
    summary, brief = f"Take at most {LENGTH} elements of {name} in {route}", _LIST.format(route)
    bounds = Bounds(max_length=LENGTH)

    def enters(edge: Boundary) -> str:
        if edge.home(path) is not None:
            return edge.tighten(path, bounds, lists=True)
        if not path:
            return "the body itself is the list"
        for line, variable in _assigned(route, path, blueprint, sources):
            return edge.sheet.put(short(edge.module, line, variable, LENGTH, f"{name} has too many elements"))
        return edge.check([Field(name, "array", bounds=bounds)]) if len(path) == 1 else "the list lies deep in an untyped body"

    yield _tried(finding, blueprint, sources, enters, summary, brief)



def body(finding: Finding, evidence: Evidence, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
    """A greatest length of all bodies, where the application is made."""
    most, flask = _BODIES[evidence.fact("files")], blueprint.framework in {"flask", "connexion"}
    note = f"No route takes a body of more than {most.removesuffix(' * 1024 * 1024').replace('1024 * 1024', '1')} MiB now: raise it where more is meant."

    def made(edge: Boundary, *, asked: bool = False) -> str:
        found = application(blueprint, sources)
        if found is None:
            return "where the application is made is not seen"
        file = found[0].file
        for each in () if flask else NEEDED:
            reason = edge.sheet.put(use(edge.sheet.module(file), each))
            if reason:
                return reason
        again = application(blueprint, {**sources, **edge.sheet.now})
        assert again is not None
        return edge.sheet.put(bounded(again[0], again[1], most, flask=flask, asked=asked))

    summary = "Bound what the body of a request may bring"
    yield _tried(finding, blueprint, sources, made, summary, _BODY, note)
    if flask:
        yield _tried(finding, blueprint, sources, partial(made, asked=True), summary, _BODY, note, "What says nothing of its length is not refused: servers do not hand it on so.")


def kind(finding: Finding, evidence: Evidence, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
    """A list of the endings that a file's name may have."""
    suffix, field, route = evidence.fact("name").rpartition(".")[2].lower(), evidence.fact("field"), finding.route or ""
    allowed = next((known for known, _ in _ALLOWED if suffix in known), ())
    summary, brief = f"Take files of the meant kind only in {route}", _FILE.format(route)
    if not allowed:
        yield Unmended("which kinds of file are meant is not seen", brief)
        return
    listed = tuple(f".{each}" for each in allowed)
    note = f"Names that end in {', '.join(listed)} are taken; change the list where others are meant, and look into the file where its content matters."
    yield _tried(finding, blueprint, sources, lambda edge: edge.sheet.put(suffixed(edge.module, edge.node(), field, listed)), summary, brief, note)


def archive(finding: Finding, evidence: Evidence, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:  # noqa: ARG001 - one shape for all kinds
    """The sum of what an archive's members say of their sizes, before they are read."""
    route = finding.route or ""
    summary, brief = f"Refuse archives that unpack to too much in {route}", _ARCHIVE.format(route)

    def asked(edge: Boundary) -> str:
        reasons = []
        for place in next((each.reach for each in handlers(blueprint, sources) if each.route.id == route), ()):
            module = edge.sheet.module(place.module.file)
            reason = edge.sheet.put(unpacked(module, module.function(place.name, place.node.lineno), _UNPACKED))
            if not reason:
                return ""
            reasons.append(reason)
        return next(iter(reasons), "the handler of this route is not in the project's own source")

    yield _tried(finding, blueprint, sources, asked, summary, brief)
