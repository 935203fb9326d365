"""Owns bounds on typed input: pydantic fields, query and path parameters, and answers that can be written as JSON."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from dataclasses import replace as changed
from typing import TYPE_CHECKING

from toughen import syntax
from toughen.codemod.caps import wider
from toughen.codemod.draft import Draft, word
from toughen.codemod.mechanics import after, argument, before, extend, follow, replace, use
from toughen.codemod.module import Module, dotted, halt
from toughen.codemod.refusals import path_of, refuse, routes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from toughen.codemod.module import FunctionNode

LARGEST_INTEGER = 2_147_483_647
"""Upper end of an Integer column in Postgres; SQLite's ends at 2**63 - 1."""
SIXTY_FOUR = 2**63 - 1
"""Largest integer of SQLite and of BigInteger columns; the smallest is -(2**63)."""
_NO_NUL = r'r"^[^\x00]*$"'
_SPECIAL = {"Query", "Path", "Field", "Header", "Cookie", "Form", "Body"}
_ANSWERS = re.compile(r"(Response|Out|Read|Public|Result|View|InDB|Detail|Info)$")


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a value must keep to; None leaves an end open. Named as in pydantic."""

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    allow_inf_nan: bool | None = None
    """False refuses NaN and infinity."""
    nul: bool | None = None
    """False refuses texts that hold a zero byte, which databases and password hashes do not take."""

    def keywords(self) -> dict[str, str]:
        """Keyword arguments of pydantic's Field and FastAPI's Query."""
        names = ("gt", "ge", "lt", "le", "min_length", "max_length", "allow_inf_nan")
        found = {name: _written(getattr(self, name)) for name in names if getattr(self, name) is not None}
        return found if self.nul is not False else {**found, "pattern": _NO_NUL}

    def violated(self, value: str, quote: str = '"') -> list[str]:
        """Python tests of `value`, each true where a bound is broken; NaN breaks every bound on a number."""
        low, sign = (self.gt, "<") if self.gt is not None else (self.ge, "<=")
        high, other = (self.lt, "<") if self.lt is not None else (self.le, "<=")
        tests: list[str] = []
        if low is not None or high is not None:
            left = f"{_written(low)} {sign} " if low is not None else ""
            right = f" {other} {_written(high)}" if high is not None else ""
            tests.append(f"not {left}{value}{right}")
        if self.min_length is not None:
            tests.append(f"len({value}) < {self.min_length}")
        if self.max_length is not None:
            tests.append(f"len({value}) > {self.max_length}")
        if self.nul is False:
            tests.append(f"{quote}\\x00{quote} in {value}")
        return tests


def _written(value: float | bool) -> str:  # noqa: FBT001 - a bound may be a flag
    """A number as a person writes it: `1000` for 1000.0, `2**63 - 1` for the largest integer of 64 bits."""
    if value in (SIXTY_FOUR, -(2**63)):
        return "2**63 - 1" if value > 0 else "-(2**63)"
    return repr(value) if isinstance(value, bool) or int(value) != value else repr(int(value))


@word
def bound(
    module: Module,
    model: str,
    field: str,
    bounds: Bounds,
    *,
    answers: Sequence[str] = (),
    project: Sequence[Module] = (),
    lists: bool = False,
) -> Draft:
    """Bound a field of the pydantic model that a request is read into; with `lists`, how long a list may be.

    Shapes: `x: int`, `x: int = 0`, `x: Optional[int] = None`, `x: int = Field(...)`, `x: Annotated[int, Field(...)]`,
    `x: conint(...)`. Where the field is declared by a base class, the request's model declares it again, bounded,
    and the base stays. Models that inherit the request's model and are answers (`answers`, `response_model=` in
    this file or in `project`, a from_attributes/orm_mode config, or a name such as XResponse) declare it again
    without bounds, or one old row would turn a listing into a 500.
    Refuses: fields that are not found, bounds that are there (also by another name), unions of several types, lists,
    and models that are used as an answer themselves.
    """
    node = module.class_named(model)
    modules = (module, *project)
    outgoing = {*answers, *(name for home in modules for name in _answered(home))}
    if node.name in outgoing:
        halt(f"{node.name} is also the model of an answer: bounds on it would refuse old rows")
    home, declared = _declaration(module, node, field)
    if not lists and isinstance(declared.annotation, ast.Subscript) and dotted(declared.annotation.value).rpartition(".")[
        2
    ].lower() in {"list", "dict", "set"}:
        halt(f"{field} is a collection: its elements are bounded elsewhere")
    if home is node:
        draft = _bounded(module, declared, bounds)
    else:
        draft = _redeclared(module, node, _bounded_text(module, declared, bounds))
    if "Field(" in "".join(edit.text for edit in draft.edits):
        draft += use(module, "from pydantic import Field")
    plain = module.segment(declared)
    for child in _heirs(module, node):
        own = {dotted(item.target) for item in child.body if isinstance(item, ast.AnnAssign)}
        if field in own or not (child.name in outgoing or _ANSWERS.search(child.name) or _reads_rows(child)):
            continue
        draft += _redeclared(module, child, plain)
    return draft


@word
def present(module: Module, model: str, field: str) -> Draft:
    """Refuse null for a field of a request's pydantic model that may stay absent: `Optional[str] = None` -> `str = None`.

    Shapes: `Optional[T]`, `T | None`, `Union[T, None]` with a default, declared by the model itself; pydantic does not
    validate a default, so that an absent field stays None. Refuses fields of a base class and other annotations.
    """
    node = module.class_named(model)
    home, declared = _declaration(module, node, field)
    if home is not node:
        halt(f"{field} is declared by {home.name}, a base of {node.name}")
    if declared.value is None:
        halt(f"{field} has no default: null is its only way of being absent")
    kind = _not_none(declared.annotation)
    if kind is None:
        halt(f"the annotation of {field} does not take null")
    return replace(module, declared.annotation, module.segment(kind))


def _not_none(annotation: ast.expr) -> ast.expr | None:
    """T of `Optional[T]`, `T | None` and `Union[T, None]`."""
    match annotation:
        case ast.Subscript(value=outer, slice=kind) if dotted(outer).rpartition(".")[2] == "Optional":
            return kind
        case ast.BinOp(left=kind, op=ast.BitOr(), right=ast.Constant(value=None)):
            return kind
        case ast.BinOp(left=ast.Constant(value=None), op=ast.BitOr(), right=kind):
            return kind
        case ast.Subscript(value=outer, slice=ast.Tuple(elts=[kind, ast.Constant(value=None)])) if (
            dotted(outer).rpartition(".")[2] == "Union"
        ):
            return kind
    return None


def _answered(module: Module) -> Iterator[str]:
    """Names of models that routes of a file answer with."""
    for node in module.functions:
        for route in routes(node):
            for item in route.keywords:
                if item.arg == "response_model":
                    yield from (dotted(part).rpartition(".")[2] for part in ast.walk(item.value) if dotted(part))


def _declaration(module: Module, node: ast.ClassDef, field: str) -> tuple[ast.ClassDef, ast.AnnAssign]:
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and dotted(item.target) == field:
            return node, item
    classes = {item.name: item for item in module.classes()}
    for base in node.bases:
        name = dotted(base)
        if name in classes and classes[name] is not node:
            return _declaration(module, classes[name], field)
    return halt(f"{node.name} declares no field {field} in {module.file}")


def _heirs(module: Module, node: ast.ClassDef) -> list[ast.ClassDef]:
    found = [item for item in module.classes() if any(dotted(base) == node.name for base in item.bases)]
    return found + [more for item in found for more in _heirs(module, item)]


def _reads_rows(node: ast.ClassDef) -> bool:
    text = ast.dump(node)
    return "from_attributes" in text or "orm_mode" in text


def _missing(call: ast.Call, bounds: Bounds) -> dict[str, str]:
    """Keywords that a call does not have; an end that is bounded already is left alone."""
    there, ends = {item.arg for item in call.keywords}, {"gt": "ge", "ge": "gt", "lt": "le", "le": "lt"}
    return {name: value for name, value in bounds.keywords().items() if name not in there and ends.get(name) not in there}


def _filled(module: Module, call: ast.Call, bounds: Bounds) -> Draft:
    missing, draft = _missing(call, bounds), Draft(module)
    for item in (each for each in call.keywords if wider(each, bounds.keywords().get(each.arg or ""))):
        draft += replace(module, item.value, bounds.keywords()[item.arg or ""])
    if missing:
        draft += argument(module, call, ", ".join(f"{name}={value}" for name, value in missing.items()))
    return halt("the bounds are there already") if draft.empty else draft


def _special(*nodes: ast.expr | None) -> ast.Call | None:
    """The Field, Query, conint, ... call among a default and the parts of an annotation."""
    for root in nodes:
        for item in ast.walk(root) if root is not None else ():
            if isinstance(item, ast.Call):
                name = dotted(item.func).rpartition(".")[2]
                if name in _SPECIAL or name in {"conint", "confloat", "constr", "condecimal"}:
                    return item
    return None


def _bounded(module: Module, declared: ast.AnnAssign, bounds: Bounds) -> Draft:
    call = _special(declared.value, declared.annotation)
    if call is not None:
        return _filled(module, call, bounds)
    return replace(module, declared, _bounded_text(module, declared, bounds))


def _bounded_text(module: Module, declared: ast.AnnAssign, bounds: Bounds) -> str:
    """The declaration with its bounds, as text."""
    keywords = ", ".join(f"{name}={value}" for name, value in bounds.keywords().items())
    head = f"{module.segment(declared.target)}: {module.segment(declared.annotation)}"
    call = _special(declared.value, declared.annotation)
    if call is not None:
        own = Module(module.file, module.segment(declared))
        node = own.tree.body[0]
        inner = _special(node.value, node.annotation) if isinstance(node, ast.AnnAssign) else None
        return (
            _filled(own, inner, bounds).done() if inner is not None else halt("the field's declaration cannot be read")
        )
    if declared.value is None:
        return f"{head} = Field({keywords})"
    return f"{head} = Field({module.segment(declared.value)}, {keywords})"


def _redeclared(module: Module, node: ast.ClassDef, text: str) -> Draft:
    fields = [item for item in node.body if isinstance(item, ast.AnnAssign)]
    only = node.body[0]
    documented = isinstance(only, ast.Expr) and isinstance(only.value, ast.Constant)
    if isinstance(only, ast.Pass) and len(node.body) == 1:
        return replace(module, only, text)
    if fields:
        return before(module, fields[0], text)
    return after(module, only, text) if documented else before(module, only, text)


@word
def bound_parameter(module: Module, function: str, name: str, bounds: Bounds, *, line: int = 0) -> Draft:
    """Bound a query or path parameter of a FastAPI handler, in the file's style (default value or Annotated).

    Shapes: `limit: int = 100` -> `limit: int = Query(100, le=...)`, `id: int` of the path -> `id: int =
    Path(ge=...)` (Annotated where a parameter without default follows or the file uses Annotated), existing
    `Query(...)`, `Path(...)`, Annotated. Refuses: parameters that are not found or have no annotation, those
    filled by Depends, and bounds that are there.
    """
    node = module.function(function, line)
    if not routes(node):
        halt(f"{function} is no FastAPI handler")
    plain = [*node.args.posonlyargs, *node.args.args]
    defaults: list[ast.expr | None] = [None] * (len(plain) - len(node.args.defaults))
    defaults += node.args.defaults
    pairs = [*zip(plain, defaults, strict=True), *zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)]
    found = next((pair for pair in pairs if pair[0].arg == name), None) or halt(f"{function} has no parameter {name}")
    given, default = found
    if given.annotation is None:
        halt(f"{name} has no annotation")
    call = _special(default, given.annotation)
    if call is not None:
        return _filled(module, call, bounds)
    if any(isinstance(part, ast.Call) for part in (default, *ast.walk(given.annotation))):
        halt(f"{name} is filled by something else than the request")
    kind = "Path" if re.search(rf"{{{re.escape(name)}(:\w+)?}}", path_of(node)) else "Query"
    keywords = ", ".join(f"{key}={value}" for key, value in bounds.keywords().items())
    imported = use(module, f"from fastapi import {kind}")
    follows = given in plain and any(other is None for other in defaults[plain.index(given) + 1 :])
    if "Annotated" in module.imports or (default is None and follows):
        annotation = f"Annotated[{module.segment(given.annotation)}, {kind}({keywords})]"
        needed = Draft(module) if "Annotated" in module.imports else use(module, "from typing import Annotated")
        return replace(module, given.annotation, annotation) + imported + needed
    if default is None:
        return extend(module, given, f" = {kind}({keywords})") + imported
    return replace(module, default, f"{kind}({module.segment(default)}, {keywords})") + imported


@word
def limit(
    module: Module, line: int, name: str, bounds: Bounds, *, status: int = 400, text: str = "", value: str = "", nullable: bool = False
) -> Draft:
    """Refuse a value outside of its bounds, in the file's style: what `line` assigns, or a path parameter.

    Shapes: `name = request.args.get(...)`, `int(...)`, `data.get(...)` with its line to itself: a test follows it;
    where `name` is a parameter of the function at `line`, the test opens the function; `value` is what is tested then
    (`order.quantity`; None passes where it is `nullable`), by default the parameter. A value that may be None is let
    pass when it was read with `.get` without default. Refuses tests that are there, and names that the statement
    does not assign.
    """
    function = module.function_at(line)
    given = {item.arg for item in ast.walk(function.args) if isinstance(item, ast.arg)}
    tests = changed(bounds, allow_inf_nan=None).violated(value or name, module.quote)
    if not tests:
        halt("no bound was given")
    broken = " or ".join(tests)
    if ast.dump(syntax.expression(broken)) in ast.dump(function):
        halt(f"{function.name} already tests {name} so")
    refusal = refuse(module, function, status, text or f"{name} is out of range")
    if name in given:
        if nullable:
            broken = f"{value or name} is not None and " + (broken if len(tests) == 1 else f"({broken})")
        lines = f"if {broken}:\n{refusal.indented}"
        return _opened(module, function, lines) + refusal.needs(module)
    statement = module.statement(line)
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", statement)]
    if [dotted(item) for item in targets] != [name]:
        halt(f"{module.file}:{line} does not assign {name}")
    if _may_be_none(statement):
        broken = f"{name} is not None and " + (broken if len(tests) == 1 else f"({broken})")
    above = module.parent(statement)
    anchor = above if isinstance(above, ast.Try) and above.body == [statement] and _leaves(above) else statement
    return after(module, anchor, f"if {broken}:\n{refusal.indented}") + refusal.needs(module)


def _leaves(attempt: ast.Try) -> bool:
    """True when every handler of a `try` leaves the function, so that what it assigns is bound behind it."""
    return all(isinstance(item.body[-1], (ast.Return, ast.Raise)) for item in attempt.handlers)


@word
def converter(module: Module, function: str, name: str, most: int = SIXTY_FOUR, *, line: int = 0) -> Draft:
    """Bound an integer in the path of a Flask route where it is converted: `<int:id>` -> `<int(max=...):id>`.

    Larger ones are answered 404, as every id is that does not exist. Shapes: path literals of all routes of the
    function. Refuses converters with arguments, other converters, and paths that are put together.
    """
    node = module.function(function, line)
    wanted = f"<int:{name}>"
    draft = Draft(module)
    for call in routes(node):
        for item in ast.walk(call):
            if isinstance(item, ast.Constant) and isinstance(item.value, str) and wanted in item.value:
                text = module.segment(item)
                if text.count(wanted) == 1:
                    draft += replace(module, item, text.replace(wanted, f"<int(max={most}):{name}>"))
    return draft if draft.edits else halt(f"no route of {node.name} converts {name} by <int:{name}>")


def _may_be_none(statement: ast.stmt) -> bool:
    match getattr(statement, "value", None):
        case ast.Call(func=ast.Attribute(attr="get"), args=[_], keywords=keywords):
            return "default" not in {item.arg for item in keywords}
        case _:
            return False


def _opened(module: Module, function: FunctionNode, lines: str) -> Draft:
    first = function.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    if documented and len(function.body) == 1:
        return after(module, first, lines)
    return before(module, function.body[1] if documented else first, lines)


_HANDLER = """
@{app}.exception_handler(RequestValidationError)
async def refuse_invalid_request(request: Request, error: RequestValidationError):
    # FastAPI's own answer repeats the input, and NaN and infinity are no JSON
    detail = json.loads(json.dumps(jsonable_encoder(error.errors())), parse_constant=str)
    return JSONResponse(status_code=422, content={{"detail": detail}})
"""
_HANDLER_IMPORTS = (
    "import json",
    "from fastapi import Request",
    "from fastapi.encoders import jsonable_encoder",
    "from fastapi.exceptions import RequestValidationError",
    "from fastapi.responses import JSONResponse",
)


@word
def finite(module: Module) -> Draft:
    """Let FastAPI answer 422 to NaN and infinity: its own answer repeats the input and dies as JSON.

    Shapes: the file that assigns `app = FastAPI(...)`, at module level or in a factory; the handler follows it. Other
    422s stay as they are. Refuses: files with a handler for RequestValidationError already.
    """
    if "RequestValidationError" in module.text:
        halt("RequestValidationError is handled already")
    for item in ast.walk(module.tree):
        match item:
            case ast.Assign(targets=[ast.Name(id=app)], value=ast.Call() as call) if (
                module.resolve(call.func) == "fastapi.FastAPI"
            ):
                draft = follow(module, item, _HANDLER.format(app=app))
                for statement in _HANDLER_IMPORTS:
                    draft += use(module, statement)
                return draft
    return halt(f"{module.file} assigns no FastAPI application")
