"""Owns the boundary of a route as mends see it: texts that words are applied to in turn, typed models, and where a field is read."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from toughen.codemod import (
    LARGEST_INTEGER,
    SIXTY_FOUR,
    Bounds,
    Draft,
    Field,
    Module,
    UnmendableError,
    body_model,
    bound,
    bound_parameter,
    cast,
    check,
    check_handed,
    converter,
    finite,
    keeps_http_errors,
    limit,
    overflow,
    present,
    quiet,
    reraise,
)
from toughen.model.patch import FileChange, Patch, Unmended

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from toughen.model.blueprint import Blueprint, Route

Path = tuple[str | int, ...]
_TEST = re.compile(r"(^|/)(tests?/|test_|conftest)")
_READS = re.compile(r"(request|req)\.(args|form|values|json|get_json\(|query_params|path_params)|\.get\(|\[")


@dataclass(slots=True)
class Sheet:
    """Texts of a project while words are applied to them in turn; later words see what earlier ones wrote."""

    sources: Mapping[str, str]
    now: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def module(self, file: str) -> Module:
        """The file as it is now. Raises UnmendableError."""
        if file not in self.sources:
            raise UnmendableError(f"{file or 'the handler'} is not a file of the project")
        return Module(file, self.now.get(file, self.sources[file]))

    def put(self, draft: Draft | Unmended) -> str:
        """Apply a word's draft; why it could not be, "" where it was."""
        if isinstance(draft, Unmended):
            return draft.reason
        self.now[draft.module.file] = draft.done()
        self.notes += draft.notes
        return ""

    def add(self, file: str, text: str) -> None:
        """A file that the project did not have."""
        self.now[file] = text

    def patch(self, finding: str, summary: str, *notes: str) -> Patch | Unmended:
        """All changes as one Patch."""
        changes = tuple(FileChange(file, self.sources.get(file, ""), text) for file, text in self.now.items() if text != self.sources.get(file, ""))
        if not changes:
            return Unmended("the code already has the shape that this mend gives it")
        return Patch(finding, changes, summary, " ".join(dict.fromkeys([*notes, *self.notes])))


@dataclass(slots=True)
class Boundary:
    """Where the requests of one route enter, and the words that tighten it. Each word gives "" or why it refused."""

    route: Route
    blueprint: Blueprint
    sheet: Sheet

    @property
    def file(self) -> str:
        """The handler's file."""
        return self.route.handler.file

    @property
    def function(self) -> str:
        """The handler's qualified name."""
        return self.route.handler.function or ""

    @property
    def module(self) -> Module:
        """The handler's file as it is now."""
        return self.sheet.module(self.file)

    def node(self) -> ast.FunctionDef | ast.AsyncFunctionDef:
        """The handler."""
        return self.module.function(self.function, self.route.handler.line)

    @property
    def flask(self) -> bool:
        """Whether Flask (or connexion over Flask) reads the request."""
        return self.blueprint.framework in {"flask", "connexion"}

    @property
    def largest(self) -> int:
        """Largest integer that the database's Integer columns take."""
        return SIXTY_FOUR if self.blueprint.database in {None, "sqlite", "memory"} else LARGEST_INTEGER

    def whole(self) -> Bounds:
        """What an integer must keep to so that the database takes it."""
        return Bounds(ge=-self.largest - 1, le=self.largest)

    def has_pydantic(self) -> bool:
        """Whether the project imports pydantic or FastAPI, which brings it."""
        return any(re.search(r"^\s*(from|import)\s+(pydantic|fastapi)\b", text, re.MULTILINE) for text in self.sheet.sources.values())

    # typed

    def home(self, path: Path) -> tuple[str, str, str] | None:
        """(file, model, field) of the pydantic declaration behind a path into the body (`("",)`: the model), None where there is none."""
        name = self.route.body_model
        file = self.file
        keys = [key for key in path if isinstance(key, str)]
        if not name or not keys:
            return None
        if keys == [""]:
            found = self._class(file, name)
            return (found[0], name, "") if found else None
        for index, key in enumerate(keys):
            found = self._class(file, name)
            if found is None:
                return None
            file, node = found
            if index == len(keys) - 1:
                return file, name, key
            inner = self._inner(file, node, key)
            if inner is None:
                return None
            name = inner
        return None

    def _class(self, file: str, name: str) -> tuple[str, ast.ClassDef] | None:
        """The class of that name as a file sees it."""
        holders = [each for each, text in self.sheet.sources.items() if re.search(rf"^\s*class {re.escape(name)}\b", text, re.MULTILINE)]
        seen = {part for origin in self.sheet.module(file).imports.values() for part in origin.split(".")}
        ranked = sorted(holders, key=lambda each: (each != file, each.rpartition("/")[2].removesuffix(".py") not in seen))
        for holder in ranked:
            for node in self.sheet.module(holder).classes():
                if node.name == name:
                    return holder, node
        return None

    def _inner(self, file: str, node: ast.ClassDef, key: str) -> str | None:
        """The model that a field's annotation names (`List[OrderItem]`)."""
        for item in node.body:
            if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name) and item.target.id == key:
                names = [each.id if isinstance(each, ast.Name) else each.attr for each in ast.walk(item.annotation) if isinstance(each, ast.Name | ast.Attribute)]
                return next((name for name in names if self._class(file, name)), None)
        return None

    def tighten(self, path: Path, bounds: Bounds, *, lists: bool = False) -> str:
        """Bound a field of the typed model; with `lists`, how long a list may be."""
        found = self.home(path)
        if found is None:
            return f"{self.route.id} reads {'.'.join(map(str, path)) or 'its body'} into no model of the project"
        file, model, name = found
        answers = [self.sheet.module(each) for each, text in self.sheet.sources.items() if each != file and "response_model" in text]
        return self.sheet.put(bound(self.sheet.module(file), model, name, bounds, project=answers, lists=lists))

    def refuse_null(self, path: Path) -> str:
        """Refuse an explicit null for a field that may stay absent."""
        found = self.home(path)
        return self.sheet.put(present(self.sheet.module(found[0]), *found[1:])) if found else "no model declares the field"

    def finite(self) -> str:
        """Let FastAPI answer 422 to NaN; "" where it does so already."""
        reason = "no file creates the FastAPI application"
        for file, text in self.sheet.sources.items():
            if re.search(r"\bFastAPI\(", text) and not _TEST.search(file):
                reason = self.sheet.put(finite(self.sheet.module(file)))
                if not reason or "handled already" in reason:
                    return ""
        return reason

    def overflow(self) -> str:
        """Let Flask answer 400 to integers that are too large for the database, on all routes."""
        reason = "no file creates the Flask application"
        for file, text in self.sheet.sources.items():
            if re.search(r"\bFlask\(", text):
                reason = self.sheet.put(overflow(self.sheet.module(file)))
                if not reason:
                    break
        return reason

    # path, query, form

    def parameter(self, name: str, bounds: Bounds) -> str:
        """Bound a declared parameter of a FastAPI handler."""
        return self.sheet.put(bound_parameter(self.module, self.function, name, bounds, line=self.route.handler.line))

    def segment(self, name: str) -> str:
        """Bound an integer in the path of a Flask route: in its converter, else by a test that opens the handler."""
        reason = self.sheet.put(converter(self.module, self.function, name, self.largest, line=self.route.handler.line))
        return reason and self.sheet.put(limit(self.module, self.node().body[0].lineno, name, Bounds(le=self.largest), status=404, text="Not found"))

    def limit(self, name: str, bounds: Bounds) -> str:
        """Refuse what the handler assigns from a field of the request, right behind the assignment."""
        found = self.read(name)
        if found is None or not isinstance(found, ast.Assign) or not isinstance(found.targets[0], ast.Name):
            return f"{self.function} assigns {name} to no variable"
        return self.sheet.put(limit(self.module, found.lineno, found.targets[0].id, bounds, text=f"{name} is out of range"))

    def attribute(self, path: Path, bounds: Bounds) -> str:
        """Refuse a field of a model or form class at the handler's start, where its declaration cannot be bounded."""
        name = str(path[-1]) if len(path) == 1 else ""
        found = self.home(path)
        declared = [ast.unparse(each.annotation) for each in ast.walk(self._class(*found[:2])[1]) if isinstance(each, ast.AnnAssign) and ast.unparse(each.target) == name] if found and self._class(*found[:2]) else []  # type: ignore[index]
        for item in [*self.node().args.args, *self.node().args.kwonlyargs] if name else ():
            kind = ast.unparse(_bare(item.annotation)).rpartition(".")[2] if item.annotation is not None else ""
            if kind and (kind == self.route.body_model or kind.endswith("RequestForm")):
                nullable = any("Optional" in each or "None" in each for each in declared)
                word = limit(self.module, self.node().body[0].lineno, item.arg, bounds, status=422, text=f"{name} is not valid", value=f"{item.arg}.{name}", nullable=nullable)
                return self.sheet.put(word)
        return f"{self.function} takes {name or 'the field'} by no model of its own"

    def cast(self, name: str) -> str:
        """Answer a cast of a field of the request that raises."""
        found = self.read(name, casts=True)
        if found is None:
            return f"{self.function} casts {name} nowhere"
        return self.sheet.put(cast(self.module, found.lineno, f"{name} must be a number"))

    def read(self, name: str, *, casts: bool = False) -> ast.stmt | None:
        """The first statement of the handler that reads a field of the request (with `casts`, through int or float)."""
        module, node = self.module, self.node()
        given = {each.arg for each in ast.walk(node.args) if isinstance(each, ast.arg)}
        for item in sorted((each for each in ast.walk(node) if isinstance(each, ast.Assign | ast.AnnAssign | ast.Expr | ast.Return)), key=lambda each: each.lineno):
            if item.value is None:
                continue
            whole = [each for each in ast.walk(item.value) if isinstance(each, ast.Call) and ast.unparse(each.func).rpartition(".")[2] in {"int", "float", "Decimal", "UUID"}]
            for part in whole if casts else [item.value]:
                text = ast.unparse(part)
                keyed = any(isinstance(each, ast.Constant) and each.value == name for each in ast.walk(part)) and _READS.search(text)
                if keyed or (name in given and any(isinstance(each, ast.Name) and each.id == name for each in ast.walk(part))):
                    return item if module.statement(item.lineno) is not None else None
        return None

    # untyped bodies

    def check(self, fields: Iterable[Field]) -> str:
        """Test the untyped body and fields of it in the handler."""
        known = list(fields)
        reason = self.sheet.put(check(self.module, self.function, known, line=self.route.handler.line))
        if "reads no JSON body" not in reason:
            return reason
        return self.sheet.put(check_handed(self.module, self.function, known, line=self.route.handler.line, text="Invalid request body"))

    def reraise(self) -> str:
        """Let Flask's own 400 for a body that is not JSON pass the broad handlers of the function; where the application's own handler makes a 500 of it, read it as nothing."""
        if any("rror" in text and keeps_http_errors(self.sheet.module(file)) for file, text in self.sheet.sources.items() if "Exception" in text):
            return self.sheet.put(quiet(self.module, self.function, line=self.route.handler.line))
        return self.sheet.put(reraise(self.module, self.node().lineno))

    def typed_body(self, fields: Iterable[Field]) -> str:
        """Read the untyped body through a model at the handler's boundary."""
        if not self.has_pydantic():
            return "the project has no pydantic"
        name = "".join(part.capitalize() for part in re.split(r"\W|_", self.function.rpartition(".")[2]) if part) + "Body"
        return self.sheet.put(body_model(self.module, self.function, name, list(fields), line=self.route.handler.line))

    def line_of(self, file: str, text: str, near: int) -> int:
        """The line of a file that reads so, nearest to where it stood; `near` itself where it is gone."""
        lines = [number for number, line in enumerate(self.sheet.module(file).text.splitlines(), 1) if line.strip() == text.strip()]
        return min(lines, key=lambda number: abs(number - near), default=near) if text.strip() else near


def boundary(route_id: str | None, blueprint: Blueprint, sources: Mapping[str, str]) -> Boundary | Unmended:
    """The boundary of a route on fresh texts; Unmended where its handler is not in the project."""
    route = blueprint.route(route_id or "")
    if route is None or not route.handler.function or route.handler.file not in sources:
        return Unmended("the handler of this route is not in the project's own source", "Check the request's values where it enters and answer 400.")
    made = Boundary(route, blueprint, Sheet(sources))
    try:
        made.node()
    except UnmendableError as error:
        return Unmended(error.message)
    return made


def _bare(annotation: ast.expr) -> ast.expr:
    """What `Annotated[X, ...]` annotates; anything else as it is."""
    match annotation:
        case ast.Subscript(value=ast.Name(id="Annotated") | ast.Attribute(attr="Annotated"), slice=ast.Tuple(elts=[first, *_])):
            return first
    return annotation
