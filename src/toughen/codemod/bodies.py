"""Owns mends of untyped JSON bodies: type checks in the handler, or a pydantic model at its boundary."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toughen.codemod.answers import swallowing
from toughen.codemod.bounds import Bounds
from toughen.codemod.demanded import known_keys
from toughen.codemod.draft import Draft, word
from toughen.codemod.mechanics import after, argument, before, layout, replace, use
from toughen.codemod.module import Module, dotted, halt, scope_of
from toughen.codemod.refusals import Refusal, is_route, refuse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from toughen.codemod.module import FunctionNode

_PYTHON = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "array": "list", "object": "dict"}
_NOUNS = {
    "string": "a string", "integer": "an integer", "number": "a number", "boolean": "true or false", "array": "a list",
    "object": "an object",
}  # fmt: skip
_WIDTH = 110
_FREE = Bounds()
_BODY = "Invalid request body"


@dataclass(frozen=True, slots=True)
class Field:
    """What is known about one key of a JSON body, from the honest client's values."""

    name: str
    type: str
    """JSON Schema type: string, integer, number, boolean, array, object; others are not checked."""
    required: bool = False
    """True refuses a body without it; False leaves that to the app."""
    bounds: Bounds = _FREE
    null: bool = True
    """False refuses null where the key is sent, also where the handler would read it as absent."""
    numbers: bool = False
    """True where a number is as welcome as a string: it did no harm, and clients may send one."""


@dataclass(frozen=True, slots=True)
class Read:
    """Where a handler reads its JSON body."""

    statement: ast.stmt
    name: str
    """Variable that holds the body, "" where it is read in passing."""
    source: ast.expr
    """`request.get_json()`, `request.json`, `await request.json()`, with `or {}` where it is there."""
    opens: bool = False
    """True where the body is a parameter (FastAPI's `data: dict`): `statement` is the function's first."""


def body_read(module: Module, function: FunctionNode) -> Read:
    """The first place where a handler reads its JSON body; refuses none."""
    for item in scope_of(function):
        if not isinstance(item, ast.expr) or not _is_body(module, item):
            continue
        statement = module.statement_of(item)
        above = module.parent(item)
        whole: ast.expr = item
        if isinstance(above, ast.Await):
            whole, above = above, module.parent(above)
        if isinstance(above, ast.BoolOp) and isinstance(above.op, ast.Or) and above.values[0] is whole:
            whole, above = above, module.parent(above)
        match statement:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=value)
            ):
                if value is whole:
                    return Read(statement, name, whole)
        return Read(statement, "", item)
    return _given(function) or halt(f"{function.name} reads no JSON body")


def _given(function: FunctionNode) -> Read | None:
    """The body as a parameter of a FastAPI handler: `data: dict`, `data: Dict[str, Any]`, `data: dict = Body(...)`."""
    if not is_route(function):
        return None
    for item in [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]:
        kind = item.annotation.value if isinstance(item.annotation, ast.Subscript) else item.annotation
        if kind is not None and dotted(kind).rpartition(".")[2] in {"dict", "Dict"}:
            first = function.body[0]
            documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and len(function.body) > 1
            return Read(function.body[1] if documented else first, item.arg, item.annotation or kind, opens=True)
    return None


def _is_body(module: Module, node: ast.expr) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(value=value, attr="get_json")) if dotted(value).endswith("request"):
            return True
        case ast.Attribute(value=value, attr="json") if dotted(value).endswith("request"):
            return not isinstance(module.parent(node), ast.Call) or module.parent(node).func is not node  # type: ignore[union-attr]
        case ast.Call(func=ast.Attribute(value=value, attr="json"), args=[]) if dotted(value) in {"request", "req"}:
            return isinstance(module.parent(node), ast.Await)
        case _:
            return False


@word
def check(
    module: Module, function: str, fields: Sequence[Field] = (), *, line: int = 0, status: int = 400, text: str = _BODY
) -> Draft:
    """Refuse bodies that are no JSON object, and fields of the wrong type, in the file's own style.

    Shapes: `data = request.get_json(...)`, `request.json`, `await request.json()`, each also with `or {}`. A test
    that is there (`if not data:`, `if data is None:`, also with `or ...`) is widened and keeps its message; else a
    test follows the read. Bodies read in passing (`request.json["x"]`) are tested in front of the statement. Field
    tests follow: `bool` is no integer, integers stay within 64 bits, numbers are finite, None passes where it was
    read by `.get` without default. Refuses handlers that read no body, and refusals that a broad handler around
    would swallow.
    """
    node = module.function(function, line)
    found = body_read(module, node)
    refusal = refuse(module, node, status, text)
    if refusal.raises and swallowing(module, found.statement) is not None:
        halt("a broad handler around the body's read would swallow the refusal")
    name = found.name or _passing(module, found)
    tests = [item for item in fields if fits(node, name, item)]
    draft = Draft(module)
    if not found.opens and f"isinstance({name}, dict)" not in module.segment(node):
        there = _empty_test(module, found) if found.name else None
        if there is not None:
            draft += _widened(module, there, name)
        else:
            draft += _put(module, found, f"if not isinstance({name}, dict):\n{refusal.indented}")
    anchor, sure = known_keys(module, found.name, _last_test(module, found)) if found.name and not found.opens else (found.statement, {})
    joined = field_tests(module, node, name, tests, (status, text), sure)
    if joined:
        draft += after(module, anchor, joined) if found.name and not found.opens else before(module, anchor, joined)
    return draft + refusal.needs(module) if draft.edits else draft


@word
def quiet(module: Module, function: str, *, line: int = 0) -> Draft:
    """Read a body that is not JSON as None, for the test that follows: `request.get_json(silent=True)`.

    Refuses handlers that read no body by Flask's request, and those that read it so already.
    """
    found = body_read(module, module.function(function, line))
    source = next((each for each in ast.walk(found.source) if isinstance(each, ast.expr) and _is_body(module, each)), None)
    match source:
        case ast.Call(func=ast.Attribute(attr="get_json"), keywords=words) if not any(each.arg == "silent" for each in words):
            return argument(module, source, "silent=True")
        case ast.Attribute(value=value, attr="json"):
            return replace(module, source, f"{module.segment(value)}.get_json(silent=True)")
    return halt("the body is read quietly already, or not by Flask")


def fits(node: FunctionNode, name: str, item: Field) -> bool:
    """Whether a field's type is known, and tested nowhere yet."""
    return item.type in _PYTHON and not _tested(node, name, item)


def field_tests(module: Module, node: FunctionNode, name: str, fields: Sequence[Field], how: tuple[int, str], sure: Mapping[str, bool] | None = None) -> str:
    """The tests of fields of a body of that name, one below the other; "" where there are none."""
    return "\n".join(_field_lines(module, node, name, item, how, sure=(sure or {}).get(item.name)) for item in fields)


def _passing(module: Module, found: Read) -> str:
    if isinstance(module.parent(found.source), ast.Await):
        halt("the body is awaited in passing: it has no name that could be tested")
    text = module.segment(found.source)
    return (
        text
        if hasattr(found.statement, "targets") or not hasattr(found.statement, "body")
        else halt("the body is read in a condition")
    )


def _put(module: Module, found: Read, lines: str) -> Draft:
    return after(module, found.statement, lines) if found.name else before(module, found.statement, lines)


def _empty_test(module: Module, found: Read) -> tuple[ast.If, ast.expr] | None:
    """The test that follows the read and refuses an empty body: the `if` and the part that says so."""
    block = module.block(found.statement)
    for item in block[block.index(found.statement) + 1 :]:
        if not isinstance(item, ast.If):
            return None
        parts = (
            item.test.values if isinstance(item.test, ast.BoolOp) and isinstance(item.test.op, ast.Or) else [item.test]
        )
        match parts[0]:
            case (
                ast.UnaryOp(op=ast.Not(), operand=ast.Name(id=name))
                | ast.Compare(left=ast.Name(id=name), ops=[ast.Is()], comparators=[ast.Constant(value=None)])
            ) if name == found.name and isinstance(item.body[-1], (ast.Return, ast.Raise)):
                return item, parts[0]
    return None


def _widened(module: Module, there: tuple[ast.If, ast.expr], name: str) -> Draft:
    _, part = there
    absent = isinstance(part, ast.Compare)
    return replace(module, part, f"not isinstance({name}, dict)" + ("" if absent else f" or not {name}"))


def _last_test(module: Module, found: Read) -> ast.stmt:
    """The statement that field tests follow: the test of the body, or its read."""
    there = _empty_test(module, found)
    return there[0] if there is not None else found.statement


_CASTS = {"int", "float", "Decimal"}


def _tested(node: FunctionNode, name: str, item: Field) -> bool:
    """True for a field whose type is tested, or that is cast where it is read: its text form is welcome there."""
    for call in (part for part in scope_of(node) if isinstance(part, ast.Call)):
        if dotted(call.func) in {"isinstance", "type"} and call.args:
            text = ast.unparse(call.args[0])
            if text in {f"{name}[{item.name!r}]", f"{name}.get({item.name!r})"}:
                return True
        if dotted(call.func).rpartition(".")[2] in _CASTS and call.args:
            text = ast.unparse(call.args[0])
            if text.startswith((f"{name}[{item.name!r}]", f"{name}.get({item.name!r}")):
                return True
    return False


def _field_lines(module: Module, node: FunctionNode, name: str, item: Field, how: tuple[int, str], *, sure: bool | None) -> str:
    """The test of one field; `sure` is None where the key may be missing, True where it is known to hold something."""
    key = module.literal(item.name)
    value = f"{name}[{key}]"
    presence = ""
    if sure is not None:
        presence = f"{value} is not None" if not sure and item.null and not item.required and _null_passes(node, item.name) else ""
    elif item.required:
        value = f"{name}.get({key})"
    elif item.null and _null_passes(node, item.name):
        presence = f"{name}.get({key}) is not None"
    else:
        presence = f"{key} in {name}"
    wrong = _wrong(item, value, module.quote)
    test = " or ".join(wrong)
    if presence and len(wrong) > 1:
        line = f"if {presence} and ({test}):"
        if len(line) > _WIDTH:
            line = f"if {presence} and (\n    {test}\n):"
    else:
        line = f"if {presence} and {test}:" if presence else f"if {test}:"
        if len(line) > _WIDTH:
            line = "if (\n    " + "\n    or ".join(wrong) + "\n):"
    refusal: Refusal = refuse(module, node, how[0], f"{item.name} must be {_noun(item)}")
    return f"{line}\n{refusal.indented}"


def _noun(item: Field) -> str:
    """What a field must be, in words."""
    bounds = item.bounds
    if item.type == "string":
        told = f" of at most {bounds.max_length} characters" if bounds.max_length is not None else ""
        return _NOUNS[item.type] + (" or a number" if item.numbers else "") + told + (" without zero bytes" if bounds.nul is False else "")
    low = f" above {bounds.gt}" if bounds.gt is not None else f" of at least {bounds.ge}" if bounds.ge in {0, 1} else ""
    return _NOUNS[item.type] + low


def _null_passes(node: FunctionNode, key: str) -> bool:
    """True when the handler reads the key only by `.get` without default."""
    for part in scope_of(node):
        match part:
            case ast.Call(func=ast.Attribute(attr="get" | "pop"), args=[ast.Constant(value=found), _, *_]) if (
                found == key
            ):
                return False
            case ast.Subscript(slice=ast.Constant(value=found)) if found == key:
                return False
    return True


def _wrong(item: Field, value: str, quote: str) -> list[str]:
    bounds = item.bounds
    if item.type == "integer":
        low = bounds.ge if bounds.ge is not None else bounds.gt
        high = bounds.le if bounds.le is not None else bounds.lt
        inner = bounds.violated(value) if low is not None and high is not None else []
        tests = inner or [*bounds.violated(value), f"not -(2**63) <= {value} < 2**63"]
        return [f"type({value}) is not int", *tests]
    if item.type == "number":
        return [f"type({value}) not in (int, float)", *bounds.violated(value), *_finite(bounds, value)]
    if item.numbers:
        return [f"not isinstance({value}, (str, int, float))", *bounds.violated(f"str({value})", quote)]
    return [f"not isinstance({value}, {_PYTHON[item.type]})", *bounds.violated(value, quote)]


def _finite(bounds: Bounds, value: str) -> list[str]:
    ends = (bounds.le if bounds.le is not None else bounds.lt), (bounds.ge if bounds.ge is not None else bounds.gt)
    return [] if None not in ends else [f"not -(2**63) <= {value} < 2**63"]


@word
def body_model(
    module: Module,
    function: str,
    model: str,
    fields: Sequence[Field],
    *,
    line: int = 0,
    status: int = 400,
    text: str = _BODY,
) -> Draft:
    """Read an untyped JSON body through a pydantic model (v2) at the handler's boundary; unknown keys pass as before.

    Shapes: `data = request.get_json(...)`, `request.json`, `await request.json()`, each also with `or {}`. The
    class stands in front of the handler (of the outermost function around it); `data` stays a dict, so that
    `data.get` and `data[...]` work on. A ValidationError (and, where the body is awaited, text that is no JSON) is
    answered with `status`. Only for prototypes that have pydantic. Refuses bodies without a name, class names that
    are taken, and refusals that a broad handler around would swallow.
    """
    node = module.function(function, line)
    found = body_read(module, node)
    if not found.name or found.opens:
        halt("the body is read in passing, or is a parameter")
    if model in module.globals or not fields:
        halt(f"`{model}` is taken, or no field is known")
    refusal = refuse(module, node, status, text)
    if refusal.raises and swallowing(module, found.statement) is not None:
        halt("a broad handler around the body's read would swallow the refusal")
    outer = next((item for item in reversed(list(module.ancestors(node))) if isinstance(item, ast.stmt)), node)
    lines = [f"class {model}(BaseModel):", "    model_config = ConfigDict(extra=" + module.literal("allow") + ")", ""]
    lines += [f"    {_declared(module, item)}" for item in fields if item.type in _PYTHON]
    source = module.segment(found.source)
    source = source.replace("get_json()", "get_json(silent=True)")
    awaited = "await " in source
    read = f"{found.name} = {model}.model_validate({source}).model_dump(exclude_unset=True)"
    error = "ValueError" if awaited else "ValidationError"
    body = f"try:\n    {read}\nexcept {error}:\n{refusal.indented}"
    draft = before(module, outer, "\n".join(lines) + "\n\n\n")
    draft += replace(module, found.statement, layout(module, body, module.indent(found.statement)).lstrip())
    names = [
        "BaseModel",
        "ConfigDict",
        *(["Field"] if "Field(" in "".join(lines) else []),
        *([] if awaited else ["ValidationError"]),
    ]
    draft += use(module, f"from pydantic import {', '.join(names)}")
    return draft + refusal.needs(module)


def _declared(module: Module, item: Field) -> str:
    keywords = item.bounds.keywords()
    if item.type == "number":
        keywords.setdefault("allow_inf_nan", "False")
    if item.type == "integer":
        keywords.update({} if {"le", "lt"} & set(keywords) else {"le": "2**63 - 1"})
        keywords.update({} if {"ge", "gt"} & set(keywords) else {"ge": "-(2**63)"})
    kind = _PYTHON[item.type]
    options = ", ".join(f"{key}={value}" for key, value in keywords.items())
    if item.required:
        return f"{item.name}: {kind}" + (f" = Field({options})" if options else "")
    kind = f"Optional[{kind}]" if "Optional" in module.imports else f"{kind} | None"
    return f"{item.name}: {kind} = " + (f"Field(None, {options})" if options else "None")
