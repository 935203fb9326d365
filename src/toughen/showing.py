"""Owns what handlers show of the users, as their source says, and how a column is left out of it."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toughen.boundary import Sheet
from toughen.codemod.module import UnmendableError, dotted, scope_of
from toughen.codemod.omit import exchanged, filtered, keyword, omit, showings, unfielded, unloaded, unselected
from toughen.codemod.orm import loads
from toughen.codemod.refusals import routes
from toughen.codemod.statements import executions, single_assignment
from toughen.disclosure import PASSWORD, kind, secret_columns
from toughen.handling import Handler, Place, handlers
from toughen.model.patch import Patch, Unmended
from toughen.touches import rows
from toughen.twists import users

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from toughen.codemod.draft import Draft
    from toughen.codemod.module import Module
    from toughen.codemod.omit import Showing
    from toughen.model.blueprint import Blueprint, Table
    from toughen.model.finding import Finding, Suspicion

_BRIEF = "Name the fields that {} may show, and leave {} out: nobody needs them to use the page."
_CODE_BRIEF = "Send the code to its owner, by mail or in a message, and answer the same whether or not somebody is known."
_ONE_TIME = re.compile(r"reset|recovery|verif|otp|activation|confirm|secret|magic", re.IGNORECASE)
_PLAIN = re.compile(r"\b(?:List|list|Sequence|Iterable|Page)\[")
_DEEP = 3


@dataclass(frozen=True, slots=True)
class Spot:
    """One place that hands a column out."""

    place: Place
    showing: Showing


class Shown:
    """What one handler shows of a table."""

    def __init__(self, handler: Handler, table: Table, columns: Sequence[str]) -> None:
        """Read once."""
        self.handler = handler
        self.table = table
        self.columns = tuple(columns)
        self.rows = rows(handler)
        self.models = {name for name, known in self.rows[0].models.items() if known.name == table.name}

    @property
    def home(self) -> Place:
        """The handler itself."""
        return self.handler.home

    def touched(self) -> bool:
        """Whether the handler, or what it calls, reads or writes rows of the table."""
        return any(each.table == self.table.name.lower() for one in self.rows for each in one.touches) or any(self._calls_model(each) for each in self.handler.reach)

    def _calls_model(self, place: Place) -> bool:
        return any(isinstance(node, ast.Attribute) and dotted(node.value).rpartition(".")[2] in self.models for node in scope_of(place.node))

    def spots(self) -> list[Spot]:
        """Places that show the columns: in the handler, in what it calls, in methods of the mapped class that it calls."""
        found = []
        for place in self.places():
            found += [Spot(place, each) for each in showings(place.node, place.module, self.columns, self._is_row(place))]
        return found

    def places(self) -> list[Place]:
        """The handler, the functions that it calls, and the methods of the mapped class that any of them names."""
        found = {id(each.node): each for each in self.handler.reach}
        for _ in range(_DEEP):
            named = {node.attr for each in found.values() for node in scope_of(each.node) if isinstance(node, ast.Attribute)}
            more = {id(node): Place(module, node) for module, node in self._methods() if node.name in named and id(node) not in found}
            if not more:
                break
            found |= more
        return list(found.values())

    def _methods(self) -> Iterator[tuple[Module, ast.FunctionDef | ast.AsyncFunctionDef]]:
        """Methods of the mapped class and of the classes above it."""
        wanted, seen = set(self.models), set()
        for _ in range(_DEEP):
            for module in self.handler.project:
                for node in module.classes():
                    if node.name in wanted and (module.file, node.name) not in seen:
                        seen.add((module.file, node.name))
                        wanted |= {dotted(base).rpartition(".")[2] for base in node.bases}
                        yield from ((module, each) for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef))

    def _is_row(self, place: Place) -> Callable[[ast.expr], bool]:
        """Whether an expression of that function holds a whole row of the table."""
        own = next((each for each in self.rows if each.place.node is place.node), None)
        method = isinstance(place.module.parent(place.node), ast.ClassDef) and own is None
        read = [each for each in own.touches if each.verb == "select"] if own else []
        whole = [each for each in read if each.table == self.table.name.lower() and self._selects(each.columns)]
        others = {each.table for each in read} - {self.table.name.lower()}

        def known(node: ast.expr) -> bool:
            names = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
            if method:
                return bool(names & {"self", "cls"}) or bool(names & self.models)
            if own is None:
                return False
            held = {name for name in names if name in own.held}
            if held:
                return any(own.held[name].name == self.table.name for name in held)
            return bool(whole) and not others

        return known

    def _selects(self, columns: tuple[str, ...]) -> bool:
        """Whether a SELECT (its text, or an ORM's, which has none) reads one of the columns."""
        if not columns:
            return True
        chosen = re.split(r"\bfrom\b", columns[0], maxsplit=1, flags=re.IGNORECASE)[0].lower()
        return "*" in re.sub(r"count\(\s*\*\s*\)", "", chosen) or any(re.search(rf"\b{re.escape(each.lower())}\b", chosen) for each in self.columns)

    # models of answers

    def answer_models(self) -> list[tuple[Module, ast.ClassDef]]:
        """Classes that the route's `response_model` or return annotation names, and those that they hold; the outermost first."""
        found: list[tuple[Module, ast.ClassDef]] = []
        waiting = [(self.home.module, name) for annotation in self.annotations() for name in _names(annotation)]
        for module, name in waiting:
            known = _class(self.handler.project, module, name)
            if known is None or any(known[1] is each for _, each in found):
                continue
            found.append(known)
            fields = [each.annotation for each in known[1].body if isinstance(each, ast.AnnAssign)]
            waiting += [(known[0], each) for annotation in fields for each in _names(annotation)] if len(found) < _DEEP * 4 else []
            waiting += [(known[0], dotted(base).rpartition(".")[2]) for base in known[1].bases]
        return found

    def annotations(self) -> list[ast.expr]:
        """What FastAPI makes the answer of: `response_model`, else the return annotation."""
        if self.handler.blueprint.framework not in {"fastapi", "starlette"}:
            return []
        given = [word.value for each in routes(self.home.node) for word in each.keywords if word.arg == "response_model"]
        returns = self.home.node.returns
        return [each for each in given if not (isinstance(each, ast.Constant) and each.value is None)] or ([returns] if returns is not None and not given else [])

    def declaring(self) -> list[tuple[Module, ast.ClassDef]]:
        """Models of the answer that declare one of the columns themselves."""
        return [(module, node) for module, node in self.answer_models() if any(isinstance(each, ast.AnnAssign) and dotted(each.target) in self.columns for each in node.body)]

    def schemas(self) -> list[tuple[Module, ast.ClassDef]]:
        """Marshmallow schemas, named in the handler or behind a name that it uses, that show one of the columns."""
        named = {name for place in self.handler.reach for node in ast.walk(place.node) for name in _names(node)}
        used = set(named)
        for module in self.handler.project:
            for item in module.tree.body:
                if isinstance(item, ast.Assign) and isinstance(item.value, ast.Call) and {dotted(each) for each in item.targets} & named:
                    used.add(dotted(item.value.func).rpartition(".")[2])
        return [(module, node) for module in self.handler.project for node in module.classes() if node.name in used and "Schema" in " ".join(map(dotted, node.bases)) and self._schema_shows(node)]

    def _schema_shows(self, node: ast.ClassDef) -> bool:
        meta = next((each for each in node.body if isinstance(each, ast.ClassDef) and each.name == "Meta"), None)
        options = {dotted(each.targets[0]): each.value for each in meta.body if isinstance(each, ast.Assign)} if meta else {}
        texts = {name: {part.value for part in ast.walk(value) if isinstance(part, ast.Constant)} for name, value in options.items()}
        hidden = texts.get("exclude", set()) | texts.get("load_only", set())
        shown = [each for each in self.columns if each not in hidden]
        declared = [each for each in node.body if isinstance(each, ast.Assign) and isinstance(each.value, ast.Call) and dotted(each.targets[0]) in shown]
        if declared:
            return any(not any(word.arg == "load_only" for word in each.value.keywords) for each in declared if isinstance(each.value, ast.Call))
        if "fields" in options:
            return bool(texts["fields"] & set(shown))
        return bool(shown) and "model" in options and dotted(options["model"]).rpartition(".")[2] in self.models and any("Auto" in dotted(base) for base in node.bases)

    # whole rows

    def handed(self) -> Iterator[ast.expr]:
        """Expressions in what the handler returns that are rows of the table as FastAPI makes JSON of them."""
        if self.handler.blueprint.framework not in {"fastapi", "starlette"} or self.annotations():
            return
        for node in scope_of(self.home.node):
            if isinstance(node, ast.Return) and node.value is not None:
                parts = node.value.values if isinstance(node.value, ast.Dict) else [node.value]
                yield from (each for each in parts if self._is_orm(each))

    def _is_orm(self, node: ast.expr) -> bool:
        own = self.rows[0]
        if isinstance(node, ast.Name):
            known = own.held.get(node.id)
            return known is not None and known.name == self.table.name
        return any(load.outer is node and load.model.rpartition(".")[2] in self.models and not load.step("count", "delete", "update") for load in loads(self.home.module, node))


def _names(node: ast.AST) -> list[str]:
    """Names of classes in an annotation, also in text."""
    found = [each.id if isinstance(each, ast.Name) else each.attr for each in ast.walk(node) if isinstance(each, ast.Name | ast.Attribute)]
    return [*found, *(name for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str) for name in re.findall(r"\b[A-Z]\w+", each.value))]


def _class(project: Sequence[Module], module: Module, name: str) -> tuple[Module, ast.ClassDef] | None:
    """The class of that name as a file sees it."""
    if not name[:1].isupper():
        return None
    for home in (module, *project):
        for node in home.classes():
            if node.name == name:
                return home, node
    return None


# -- suspicions --------------------------------------------------------------------------------------------------------


def suspected(break_id: str, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
    """One suspicion a route: where it hands out a password column, or a code that opens an account."""
    table = users(blueprint)
    columns = [each for each in secret_columns(table) if PASSWORD.search(each) or _ONE_TIME.search(each)] if table else []
    if table is None or not columns:
        return
    for handler in handlers(blueprint, sources):
        try:
            shown = Shown(handler, table, columns)
            found = next(_signs(shown), None) if shown.touched() else None
        except (RecursionError, UnmendableError):
            continue
        if found is not None:
            place, line, column = found
            yield handler.suspicion(break_id, line, f"it shows {column} of {table.name}", place)


def _signs(shown: Shown) -> Iterator[tuple[Place, int, str]]:
    first = shown.columns[0]
    for spot in shown.spots():
        yield spot.place, getattr(spot.showing.node, "lineno", spot.place.node.lineno), spot.showing.column or first
    for _, node in shown.declaring():
        names = [dotted(each.target) for each in node.body if isinstance(each, ast.AnnAssign)]
        yield shown.home, shown.home.node.lineno, next(each for each in shown.columns if each in names)
    for _ in shown.schemas():
        yield shown.home, shown.home.node.lineno, first
    for each in shown.handed():
        yield shown.home, each.lineno, first


# -- mends -------------------------------------------------------------------------------------------------------------


def mends(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
    """The columns left out where the answer is put together, the smallest change first."""
    evidence = finding.evidence
    if evidence is None:
        return
    columns, table, route = [each for each in evidence.fact("columns").split(",") if each], blueprint.table(evidence.fact("table")), finding.route or ""
    brief = _BRIEF.format(route, ", ".join(columns))
    if evidence.fact("code"):
        yield Unmended(f"{', '.join(columns)} must reach its owner by another way than this answer", _CODE_BRIEF)
        return
    handler = next((each for each in handlers(blueprint, sources) if each.route.id == route), None)
    if handler is None:
        yield Unmended("the handler of this route is not in the project's own source", brief)
        return
    # What nobody may see goes from every answer; what is private of others from this one.
    everywhere = all(kind(each) == "password" for each in columns)
    fields = dict.fromkeys([*columns, *([last] if (last := evidence.fact("place").rpartition(".")[2]) and not last.isdigit() else [])])
    withheld = tuple(each if everywhere else f"{route} {each}" for each in fields)
    reasons: list[str] = []
    path = evidence.fact("place").split(".")
    # What lives in memory has no columns: it is left out where it is returned.
    for change in _ways(Shown(handler, table, columns), path, sources) if table else _filtered(handler.home, columns, path, sources):
        if isinstance(change, Unmended):
            reasons.append(change.reason)
            continue
        made = change.patch(finding.id, f"Leave {', '.join(columns)} out of the answer of {route}"[:100])
        if isinstance(made, Patch):
            yield Patch(made.finding, made.changes, made.summary, made.note, withholds=withheld)
    yield Unmended(reasons[0] if reasons else f"where {', '.join(columns)} enters the answer is not seen in the source", brief)


def _ways(shown: Shown, path: list[str], sources: Mapping[str, str]) -> Iterator[Sheet | Unmended]:
    spots, columns = shown.spots(), shown.columns
    own = [each for each in spots if each.place.node is shown.home.node]
    for group in ([own] if own else []) + ([spots] if len(spots) > len(own) else []):
        yield from _sheet(sources, *(omit(module, [each.showing for each in group if each.place.module is module], columns) for module in {id(each.place.module): each.place.module for each in group}.values()))
    for module, node in shown.schemas():
        yield from _sheet(sources, unloaded(module, node.name, columns))
    yield from _modelled(shown, path, sources)
    for each in shown.handed():
        yield from _sheet(sources, _spelled(shown, each, path))
    yield from _selected(shown, sources)
    yield from _filtered(shown.home, columns, path, sources)


def _sheet(sources: Mapping[str, str], *drafts: Draft | Unmended) -> Iterator[Sheet | Unmended]:
    """All drafts, each of another file, as one change; the first that could not be made instead."""
    sheet = Sheet(sources)
    for each in drafts:
        reason = sheet.put(each)
        if reason:
            yield Unmended(reason)
            return
    if sheet.now:
        yield sheet


def _modelled(shown: Shown, path: list[str], sources: Mapping[str, str]) -> Iterator[Sheet | Unmended]:
    """A field taken out of the model of the answer where nothing else uses it; else excluded at the route."""
    declaring = shown.declaring()
    bodies = {each.body_model for each in shown.handler.blueprint.routes if each.body_model}
    bases = {dotted(base).rpartition(".")[2] for module in shown.handler.project for node in module.classes() for base in node.bases}
    for module, node in declaring:
        if node.name not in bodies | bases | shown.models:
            yield from _sheet(sources, unfielded(module, node.name, shown.columns))
    decorated = routes(shown.home.node)
    if declaring and decorated and shown.annotations() and path[-1:] != [""]:
        inside = "{" + ", ".join(map(shown.home.module.literal, shown.columns)) + "}"
        for part in reversed(path[:-1]):
            inside = "{" + shown.home.module.literal("__all__" if part.isdigit() else part) + ": " + inside + "}"
        yield from _sheet(sources, keyword(shown.home.module, decorated[0], f"response_model_exclude={inside}"))


def _spelled(shown: Shown, node: ast.expr, path: list[str]) -> Draft | Unmended:
    """A row that is handed out whole, as a dictionary of its other columns."""
    module = shown.home.module
    many = len(path) > 1 and path[-2].isdigit()
    text = module.segment(node)
    if not many and not isinstance(node, ast.Name):
        return Unmended("the row is handed out without a name")
    name = "each" if many else text
    entries = ", ".join(f"{module.literal(each.name)}: {name}.{each.name}" for each in shown.table.columns if each.name not in shown.columns)
    return exchanged(module, node, f"[{{{entries}}} for each in {text}]" if many else f"{{{entries}}}")


def _selected(shown: Shown, sources: Mapping[str, str]) -> Iterator[Sheet | Unmended]:
    """The columns left out of the SELECT of the handler, where no row is read by position."""
    module, every = shown.home.module, [each.name for each in shown.table.columns]
    if any(isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, int) and node.slice.value for node in scope_of(shown.home.node)):
        return
    for node in scope_of(shown.home.node):
        for found in executions(module, node, shown.handler.project) if isinstance(node, ast.stmt) else ():
            if isinstance(found.text, ast.Constant) and isinstance(found.text.value, str) and re.search(rf"\bfrom\s+[\"`]?{re.escape(shown.table.name)}\b", found.text.value, re.IGNORECASE):
                yield from _sheet(sources, unselected(module, found.text, shown.columns, every))


def _filtered(home: Place, columns: Sequence[str], path: list[str], sources: Mapping[str, str]) -> Iterator[Sheet | Unmended]:
    """What the handler returns, filtered by its keys right there."""
    module = home.module
    for node in scope_of(home.node):
        value = _reached(module, node, node.value, path[:-1]) if isinstance(node, ast.Return) and node.value is not None and path[-1:] != [""] else None
        if value is None:
            continue
        text = module.segment(value)
        wrapped = text if isinstance(value, ast.Name | ast.Call | ast.Attribute | ast.Subscript) else f"({text})"
        if path[:-1] and path[-2].isdigit():
            done = f"[{filtered(module, 'each', columns)} for each in {wrapped}]"
        else:
            done = filtered(module, wrapped, columns)
        yield from _sheet(sources, exchanged(module, value, done))


_WRAPPERS = {"jsonify", "make_response", "JSONResponse", "jsonable_encoder", "ORJSONResponse"}


def _reached(module: Module, use: ast.AST, node: ast.expr, path: list[str]) -> ast.expr | None:
    """The expression of a returned value at a path: through `jsonify`, a tuple with its status, a dictionary, a local name."""
    for _ in range(_DEEP * 2):
        match node:
            case ast.Tuple(elts=[first, *_]):
                node = first
            case ast.Call(func=func, args=[first, *_]) if dotted(func).rpartition(".")[2] in _WRAPPERS:
                node = first
            case ast.Call(func=func, keywords=keywords, args=[]) if dotted(func).rpartition(".")[2] in _WRAPPERS and keywords:
                wanted = next((each.value for each in keywords if each.arg == "content" or (path and each.arg == path[0])), None)
                if wanted is None:
                    return None
                node, path = wanted, path[1:] if path and any(each.arg == path[0] for each in keywords) else path
            case ast.Call(func=func, args=[ast.Call(func=inner, args=[first, *_]), *_]) if dotted(func).endswith("Response") and dotted(inner).rpartition(".")[2] == "dumps":
                node = first
            case ast.Call(func=func) if dotted(func).endswith("Response"):
                # A text that is answered as it stands has no keys.
                return None
            case ast.Dict(keys=keys, values=values) if path and not path[0].isdigit():
                found = next((value for key, value in zip(keys, values, strict=True) if isinstance(key, ast.Constant) and key.value == path[0]), None)
                if found is None:
                    return None
                node, path = found, path[1:]
            case ast.Name(id=name) if (bound := single_assignment(module, use, name)) is not None and (isinstance(bound[1], ast.Dict) or dotted(getattr(bound[1], "func", ast.Constant(0))).rpartition(".")[2] in _WRAPPERS):
                use, node = bound
            case ast.Dict() | ast.Constant():
                return None
            case _:
                return node if not path or (len(path) == 1 and path[0].isdigit()) else None
    return None
