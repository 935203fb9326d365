"""Owns which foreign sites a prototype lets read its answers: where its source says so, and how the list moves into its settings."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from toughen import settings
from toughen.codemod.draft import Draft
from toughen.codemod.mechanics import argument, replace, wrap
from toughen.codemod.module import Span, UnmendableError, dotted, halt, names_in
from toughen.codemod.statements import single_assignment
from toughen.handling import parsed, within
from toughen.model.finding import Suspicion
from toughen.model.patch import FileChange, Patch, Unmended
from toughen.model.source import Location
from toughen.published import Text, replaced

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from toughen.codemod.module import Module
    from toughen.model.blueprint import Blueprint, Entry
    from toughen.model.finding import Finding

HEADER = "Access-Control-Allow-Origin"
VARIABLE = "ALLOWED_ORIGINS"
_TEST = re.compile(r"(?:^|/)(?:tests?|fixtures|conftest|test_[^/]*|[^/]*_test)(?:/|\.py$)")
_LOCAL = "http://localhost:3000"
_FOREIGN = "https://tgn0.example"
_BRIEF = f"Name the sites that may read answers with a user's cookies in a setting ({VARIABLE}), compare the whole origin, and send no {HEADER} to others."


@dataclass(frozen=True, slots=True)
class Site:
    """One place that says which foreign sites may read."""

    module: Module
    node: ast.Call | ast.stmt
    kind: str
    """middleware (Starlette's), extension (Flask-CORS) or header (written by hand)."""
    lax: bool
    """It lets any site read with the user's credentials."""
    outside: bool = False
    """Something outside of the source replaces what it says."""


def sites(blueprint: Blueprint, sources: Mapping[str, str]) -> tuple[Site, ...]:
    """Every such place of what the entry is made of."""
    return _sites(blueprint.entry, tuple(sources.items()))


@lru_cache(maxsize=8)
def _sites(entry: Entry | None, items: tuple[tuple[str, str], ...]) -> tuple[Site, ...]:
    sources = dict(items)
    own = within(entry, sources)
    return tuple(
        each for file, module in parsed(sources).items()
        if file in own and not _TEST.search(file) and re.search(r"CORS|Access-Control|cross_origin", module.text)
        for node in ast.walk(module.tree) for each in _site(module, node, sources)
    )


def _site(module: Module, node: ast.AST, sources: Mapping[str, str]) -> Iterator[Site]:
    match node:
        case ast.Call(args=args) if any(dotted(each).rpartition(".")[2] == "CORSMiddleware" for each in (node.func, *args)):
            given = {each.arg: each.value for each in node.keywords if each.arg}
            lax = _any(module, given.get("allow_origins")) or _matches(given.get("allow_origin_regex"))
            yield Site(module, node, "middleware", lax and _is_true(module, given.get("allow_credentials")), _outside(module, [given.get("allow_origins"), given.get("allow_credentials")], sources))
        case ast.Call(func=func) if dotted(func).rpartition(".")[2] in {"CORS", "cross_origin"} or (isinstance(func, ast.Attribute) and func.attr == "init_app" and "cors" in dotted(func.value).lower()):
            given = {each.arg: each.value for each in node.keywords if each.arg}
            found = [each for each in (given.get("origins"), *_resources(given.get("resources"))) if each is not None]
            credentials = _is_true(module, given.get("supports_credentials")) or re.search(r"CORS_SUPPORTS_CREDENTIALS[\"']?\]?\s*=\s*True", module.text) is not None
            yield Site(module, node, "extension", credentials and (not found or any(_any(module, each) for each in found)), _outside(module, found, sources))
        case ast.Assign(targets=[ast.Subscript(slice=ast.Constant(value=str() as name))], value=value) if name.lower() == HEADER.lower():
            yield Site(module, node, "header", _echoes(module, node, value))
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr="add" | "set" | "setdefault"), args=[ast.Constant(value=str() as name), value, *_])) if name.lower() == HEADER.lower():
            yield Site(module, node, "header", _echoes(module, node, value))


def _resources(node: ast.expr | None) -> Iterator[ast.expr]:
    """What `resources={r"/api/*": {"origins": ...}}` allows."""
    for each in ast.walk(node) if node is not None else ():
        if isinstance(each, ast.Dict):
            yield from (value for key, value in zip(each.keys, each.values, strict=True) if isinstance(key, ast.Constant) and key.value == "origins")


def _constant(module: Module, node: ast.expr | None) -> ast.expr | None:
    """A value, through a constant of the file."""
    if not isinstance(node, ast.Name):
        return node
    bound = [each.value for each in module.tree.body if isinstance(each, ast.Assign) and any(dotted(target) == node.id for target in each.targets)]
    return bound[0] if len(bound) == 1 else node


def _any(module: Module, node: ast.expr | None) -> bool:
    """Whether a list of origins lets in everybody: `*`, or a pattern that a made-up site fits."""
    held = _constant(module, node)
    values = [each.value for each in ast.walk(held) if isinstance(each, ast.Constant) and isinstance(each.value, str)] if held is not None else []
    return any(each == "*" or (each.startswith((".", "^", "http")) and "*" in each and _fits(each)) for each in values)


def _matches(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and _fits(node.value)


def _fits(pattern: str) -> bool:
    try:
        return re.fullmatch(pattern, _FOREIGN) is not None
    except re.error:
        return False


def _is_true(module: Module, node: ast.expr | None) -> bool:
    held = _constant(module, node)
    return isinstance(held, ast.Constant) and held.value is True


def _outside(module: Module, nodes: Sequence[ast.expr | None], sources: Mapping[str, str]) -> bool:
    """Whether the environment or settings replace what lets everybody in."""
    held = [each for node in nodes if (each := _constant(module, node)) is not None]
    texts = [each for node in held for each in ast.walk(node) if isinstance(each, ast.Constant) and each.value == "*"]
    return any(replaced(Text(module, each, ""), sources) for each in texts)


def _echoes(module: Module, statement: ast.stmt, value: ast.expr) -> bool:
    """Whether the header repeats the asker's own origin, and no test has looked at it before."""
    names = names_in(value)
    origin = _asks(value) or any(_asks(found[1]) for name in names if (found := single_assignment(module, statement, name)) is not None)
    for above in module.ancestors(statement):
        if isinstance(above, ast.If) and any(isinstance(each, ast.Compare) and any(isinstance(op, ast.In | ast.Eq) for op in each.ops) for each in ast.walk(above.test)):
            return False
    return origin


def _asks(node: ast.expr) -> bool:
    """`request.headers.get("Origin")`, `request.headers["Origin"]`, `request.origin`."""
    return "headers" in ast.unparse(node) and any(isinstance(each, ast.Constant) and str(each.value).lower() == "origin" for each in ast.walk(node))


def suspected(break_id: str, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
    """Places that let any site read with the user's credentials."""
    for each in sites(blueprint, sources):
        if each.lax:
            unless = ", unless its settings say otherwise" if each.outside else ""
            yield Suspicion(break_id, None, Location(each.module.file, each.node.lineno, None), f"any site may read answers with the user's credentials{unless}")


def place_of(blueprint: Blueprint, sources: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Facts for `judge`: the file and line of the first place that lets everybody read."""
    found = sorted((each for each in sites(blueprint, sources) if not each.outside), key=lambda each: not each.lax)
    return (("file", found[0].module.file), ("line", str(found[0].node.lineno))) if found else ()


def outside(blueprint: Blueprint, sources: Mapping[str, str]) -> bool:
    """Whether all that lets others read is replaced by settings from outside of the source."""
    found = [each for each in sites(blueprint, sources) if each.lax]
    return bool(found) and all(each.outside for each in found)


def lookalikes(blueprint: Blueprint, sources: Mapping[str, str]) -> list[str]:
    """Shapes of origins that begin or end like one that the source names, or like a text that it compares with."""
    texts = [
        each.value for site in sites(blueprint, sources) for each in ast.walk(site.module.enclosing(site.node) or site.node)
        if isinstance(each, ast.Constant) and isinstance(each.value, str) and re.search(r"[\w-]+\.[a-z]{2,}", each.value)
    ]
    found: list[str] = []
    for text in dict.fromkeys(texts):
        host = re.sub(r"^https?://", "", text).strip("^$/.*\\").replace("\\.", ".")
        if re.fullmatch(r"[\w.-]+(:\d+)?", host):
            found += [f"https://{host}.tgn{{}}.example", f"https://tgn{{}}{host}"]
    return found[:6]


# -- the repair --------------------------------------------------------------------------------------------------------


def listed(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
    """The origins that may read, from the project's settings, at each place that lets all in."""
    found = [each for each in sites(blueprint, sources) if each.lax] or [each for each in sites(blueprint, sources) if each.kind == "header"]
    if not found:
        yield Unmended("what lets foreign sites read is not seen in the source", _BRIEF)
        return
    try:
        yield _moved(finding, blueprint, sources, found)
    except UnmendableError as error:
        yield Unmended(error.message, _BRIEF)


def _moved(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str], found: list[Site]) -> Patch:
    project = parsed(sources)
    known = _named(found)
    drafts: dict[str, Draft] = {}
    for each in found:
        module = each.module
        expression, needs = settings.several(project, module, each.node.lineno, VARIABLE, known or [_LOCAL])
        for draft in (_narrowed(each, expression), *needs):
            there = drafts.get(draft.module.file)
            if there is None or not set(draft.edits) <= set(there.edits):
                drafts[draft.module.file] = draft if there is None else there + draft
    changes = [FileChange(draft.module.file, draft.module.text, draft.done()) for _, draft in sorted(drafts.items())]
    sample = settings.sample(blueprint, VARIABLE, "Sites whose pages may call this API with the user's cookies, separated by commas", ",".join(known or [_LOCAL]))
    told = f"Pages of {', '.join(known or [_LOCAL])} may read until {VARIABLE} names the sites that are yours."
    return Patch(finding.id, (*changes, *((sample,) if sample else ())), "Let only the sites of a setting read answers with cookies", told)


def _named(found: list[Site]) -> list[str]:
    """Origins that the source names beside the one for everybody."""
    places = [(site.module.enclosing(site.node) or site.node) if site.kind == "header" else site.node for site in found]
    texts = [each.value for place in places for each in ast.walk(place) if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    return list(dict.fromkeys(each for each in texts if re.fullmatch(r"https?://[\w.-]+(:\d+)?", each)))


def _narrowed(site: Site, expression: str) -> Draft:
    module, node = site.module, site.node
    if not isinstance(node, ast.Call):
        value = node.value if isinstance(node, ast.Assign) else node.value.args[1] if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) else None
        if value is None:
            return halt("the header is not written in one statement")
        asked = value.args[0] if isinstance(value, ast.Call) and not _asks(value) and value.args else value
        return wrap(module, [node], f"if {module.segment(asked)} in {expression}:")
    given = {each.arg: each for each in node.keywords if each.arg}
    if site.kind == "middleware":
        draft = Draft(module)
        if "allow_origin_regex" in given:
            draft += _without(module, node, given["allow_origin_regex"])
        if "allow_origins" in given:
            return draft + replace(module, given["allow_origins"].value, expression)
        if draft.edits:
            return replace(module, given["allow_origin_regex"], f"allow_origins={expression}")
        return argument(module, node, f"allow_origins={expression}")
    origins = [each for each in (given["origins"].value if "origins" in given else None, *_resources(given["resources"].value if "resources" in given else None)) if each is not None]
    if not origins:
        return argument(module, node, f"origins={expression}")
    draft = Draft(module)
    for each in origins:
        draft += replace(module, each, expression)
    return draft


def _without(module: Module, call: ast.Call, part: ast.keyword) -> Draft:
    parts: list[ast.AST] = sorted([*call.args, *call.keywords], key=lambda each: module.span(each).start)
    at, span = parts.index(part), module.span(part)
    if at + 1 < len(parts):
        return replace(module, Span(span.start, module.span(parts[at + 1]).start), "")
    return replace(module, Span(module.span(parts[at - 1]).end if at else span.start, span.end), "")
