"""Owns mends of mass assignment: allow-lists on what a body may set, and fields that are taken out of its reach."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from toughen.codemod.answers import swallowing
from toughen.codemod.bodies import body_read
from toughen.codemod.draft import Draft, Edit, word
from toughen.codemod.mechanics import after, argument, before, remove, replace
from toughen.codemod.module import Module, Span, UnmendableError, dotted, halt, names_in, scope_of
from toughen.codemod.refusals import refuse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from toughen.codemod.module import FunctionNode

_DUMPS = {"dict", "model_dump"}


@word
def allow(
    module: Module,
    function: str,
    fields: Sequence[str],
    *,
    line: int = 0,
    status: int = 400,
    text: str = "Nothing to update",
) -> Draft:
    """Let a body set only these keys (those that honest clients send); others are dropped, not refused.

    Shapes, narrowest first: `for k, v in data.items(): setattr(...)` (also `for k in data:`) skips other keys;
    `Model(**data)` and `x.update(data)` get a filtered dict; an UPDATE whose columns are put together from the
    body gets the filter behind the body's read, and an empty rest is refused with `text` (it would be `SET WHERE`).
    The same for `user.dict()` / `user.model_dump()` of a pydantic model (`for k, v in user.dict().items()`).
    Refuses handlers without such a place, and filters that are there.
    """
    node = module.function(function, line)
    if not fields:
        halt("no honest client was seen to send a key: the allow-list would be empty")
    names = ", ".join(module.literal(name) for name in fields)
    names = f"({names}{',' if len(fields) == 1 else ''})"
    loops = [*_loops(node), *_collected(module, node)]
    if loops:
        draft = Draft(module)
        for loop, key in loops:
            first = loop.body[0]
            if isinstance(first, ast.If) and key in names_in(first.test) and isinstance(first.body[0], ast.Continue):
                halt(f"the loop at {module.file}:{loop.lineno} skips keys already")
            draft += before(module, first, f"if {key} not in {names}:\n    continue")
        return draft
    spreads = list(_spreads(module, node))
    if spreads:
        draft = Draft(module)
        for item in spreads:
            source = module.segment(item)
            draft += replace(module, item, f"{{key: value for key, value in {source}.items() if key in {names}}}")
        return draft
    return _filtered(module, node, names, (status, text))


def _loops(node: FunctionNode) -> Iterator[tuple[ast.For, str]]:
    """Loops over keys that set attributes or items by a key from outside, and the key's name."""
    for item in scope_of(node):
        match item:
            case ast.For(
                target=ast.Tuple(elts=[ast.Name(id=key), ast.Name()]), iter=ast.Call(func=ast.Attribute(attr="items"))
            ):
                pass
            case ast.For(target=ast.Name(id=key), iter=ast.Name() | ast.Call(func=ast.Attribute(attr="keys"))):
                pass
            case _:
                continue
        for call in (part for part in ast.walk(item) if isinstance(part, ast.Call)):
            if dotted(call.func) == "setattr" and key in names_in(call):
                yield item, key
                break


def _collected(module: Module, node: FunctionNode) -> Iterator[tuple[ast.For, str]]:
    """Loops over the body's items that collect columns, where a refusal of an empty collection follows."""
    bodies = _bodies(module, node)
    for item in scope_of(node):
        match item:
            case ast.For(
                target=ast.Tuple(elts=[ast.Name(id=key), ast.Name()]),
                iter=ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="items")),
            ) if name in bodies:
                grown = {dotted(call.func.value) for call in ast.walk(item) if _appends(call)}  # type: ignore[attr-defined]
                block = module.block(item)
                rest = block[block.index(item) + 1 :]
                if any(isinstance(other, ast.If) and _empty(other.test) in grown for other in rest):
                    yield item, key


def _appends(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "append"


def _empty(test: ast.expr) -> str:
    return dotted(test.operand) if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not) else ""


def _spreads(module: Module, node: FunctionNode) -> Iterator[ast.expr]:
    """`**data` into a model or update, `x.update(data)`, where data is the body or a dumped model."""
    bodies = _bodies(module, node)

    def from_body(item: ast.expr) -> bool:
        if isinstance(item, ast.Name):
            return item.id in bodies
        return isinstance(item, ast.Call) and isinstance(item.func, ast.Attribute) and item.func.attr in _DUMPS

    for call in (item for item in scope_of(node) if isinstance(item, ast.Call)):
        name = dotted(call.func).rpartition(".")[2]
        if name[:1].isupper() or name in {"update", "values", "create", "insert"}:
            yield from (word.value for word in call.keywords if word.arg is None and from_body(word.value))
        if isinstance(call.func, ast.Attribute) and name in {"update", "values"}:
            yield from (item for item in call.args[:1] if from_body(item))


def _filtered(module: Module, node: FunctionNode, names: str, how: tuple[int, str]) -> Draft:
    found = body_read(module, node)
    if not found.name:
        halt("the body is read in passing: it has no name that could be filtered")
    name = found.name
    wanted = f"if key in {names}" + "}"
    if wanted in module.segment(node):
        halt(f"`{name}` is filtered already")
    over = [
        item
        for item in scope_of(node)
        if isinstance(item, (ast.For, ast.comprehension)) and name in names_in(item.iter)
    ]
    if not over:
        halt(f"{node.name} does not run over the keys of its body")
    refusal = refuse(module, node, *how)
    if refusal.raises and swallowing(module, found.statement) is not None:
        halt("a broad handler around the body's read would swallow the refusal")
    anchor = found.statement if found.opens else _last_early_test(module, found.statement, name)
    lines = f"{name} = {{key: value for key, value in {name}.items() {wanted}\nif not {name}:\n{refusal.indented}"
    return (before if found.opens else after)(module, anchor, lines) + refusal.needs(module)


def _last_early_test(module: Module, statement: ast.stmt, name: str) -> ast.stmt:
    """The last of the tests of the body that follow its read directly."""
    anchor = statement
    block = module.block(statement)
    for item in block[block.index(statement) + 1 :]:
        if not (
            isinstance(item, ast.If)
            and name in names_in(item.test)
            and isinstance(item.body[-1], (ast.Return, ast.Raise))
        ):
            break
        anchor = item
    return anchor


@word
def withhold(module: Module, function: str, field: str, *, line: int = 0) -> Draft:
    """Take one field out of a client's reach in a handler.

    Shapes: `user.dict()` / `user.model_dump()` gets `exclude={"role"}`; `data.get("role", "user")` becomes the default
    `"user"`; `Model(role=user.role)` and `Model(role=data["role"])` lose the argument (the column's default holds);
    `row.role = data["role"]` / `row.role = user.role` and `if "role" in data: ...` go. All such places of the
    handler are changed. Refuses handlers without one, and dumps that exclude something else by an expression.
    """
    node = module.function(function, line)
    given = {item.arg for item in ast.walk(node.args) if isinstance(item, ast.arg)}
    sources = given | _bodies(module, node)
    draft = Draft(module)
    for item in scope_of(node):
        if any(edit.start <= module.span(item).start < edit.end for edit in draft.edits if hasattr(item, "lineno")):
            continue
        part = _reached(module, item, field, sources)
        draft = draft + part if part is not None else draft
    return draft if draft.edits else halt(f"{node.name} takes {field} from nowhere that is known")


@word
def discard(module: Module, function: str, field: str, *, line: int = 0) -> Draft:
    """Take one key out of an untyped JSON body as soon as it was read: `data.pop("role", None)`.

    For handlers that read the field in a way that no narrower word knows. Shapes: bodies with a name (also FastAPI's
    `data: dict`); the line follows the tests of the body that stand behind its read. Refuses bodies read in passing.
    """
    node = module.function(function, line)
    found = body_read(module, node)
    if not found.name:
        halt("the body is read in passing: it has no name from which a key could be taken")
    text = f"{found.name}.pop({module.literal(field)}, None)"
    if text in module.segment(node):
        halt(f"{field} is taken out already")
    if found.opens:
        return before(module, found.statement, text)
    return after(module, _last_early_test(module, found.statement, found.name), text)


def _bodies(module: Module, node: FunctionNode) -> set[str]:
    try:
        return {body_read(module, node).name} - {""}
    except UnmendableError:
        return set()


def _foreign(value: ast.expr, field: str, sources: set[str]) -> bool:
    """True when a value is that field of a body: `user.role`, `data["role"]`, `data.get("role")`."""
    match value:
        case ast.Attribute(value=ast.Name(id=name), attr=key):
            return name in sources and key == field
        case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=key)):
            return name in sources and key == field
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="get"), args=[ast.Constant(value=key)]):
            return name in sources and key == field
        case _:
            return False


def _reached(module: Module, item: ast.AST, field: str, sources: set[str]) -> Draft | None:
    match item:
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method)) if method in _DUMPS and name in sources:
            return _excluded(module, item, field)
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id=name), attr="get"), args=[ast.Constant(value=key), default]
        ) if name in sources and key == field and isinstance(default, ast.Constant):
            return replace(module, item, module.segment(default))
        case ast.Call(func=function) if dotted(function).rpartition(".")[2][:1].isupper():
            for index, given in enumerate(item.keywords):
                if given.arg == field and _foreign(given.value, field, sources):
                    return _dropped(module, item, index)
        case ast.If(
            test=ast.Compare(left=ast.Constant(value=key), ops=[ast.In()], comparators=[ast.Name(id=name)]), orelse=[]
        ) if name in sources and key == field and not module.segment(item).startswith("elif"):
            return remove(module, item)
        case ast.Assign(targets=[ast.Attribute(attr=attribute)], value=value) if attribute == field and _foreign(
            value, field, sources
        ):
            return _unset(module, item)
    return None


def _unset(module: Module, statement: ast.stmt) -> Draft:
    """Take an assignment away, with the `if` that holds nothing else."""
    above = module.parent(statement)
    if isinstance(above, ast.If) and above.body == [statement] and not above.orelse and above in module.block(above):
        return remove(module, above) if not module.segment(above).startswith("elif") else remove(module, statement)
    return remove(module, statement)


def _excluded(module: Module, call: ast.Call, field: str) -> Draft | None:
    for item in call.keywords:
        if item.arg == "exclude":
            if not isinstance(item.value, ast.Set):
                halt("the dump's exclude is not written out")
            if any(isinstance(part, ast.Constant) and part.value == field for part in item.value.elts):
                return None
            end = module.span(item.value).end - 1
            return Draft(module, (Edit(end, end, f", {module.literal(field)}"),))
    return argument(module, call, f"exclude={{{module.literal(field)}}}")


def _dropped(module: Module, call: ast.Call, index: int) -> Draft:
    parts: list[ast.AST] = sorted([*call.args, *call.keywords], key=lambda part: module.span(part).start)
    place = parts.index(call.keywords[index])
    span = module.span(parts[place])
    if place + 1 < len(parts):
        return replace(module, Span(span.start, module.span(parts[place + 1]).start), "")
    if place:
        return replace(module, Span(module.span(parts[place - 1]).end, span.end), "")
    return replace(module, span, "")


@word
def closed(module: Module, model: str) -> Draft:
    """Let a pydantic model drop keys that it does not declare: `extra = "allow"` becomes `"ignore"`.

    Shapes: `class Config: extra = "allow"` / `Extra.allow`, `model_config = ConfigDict(extra="allow")` /
    `{"extra": "allow"}`, `class M(BaseModel, extra="allow")`. Refuses models without it.
    """
    node = module.class_named(model)
    for item in ast.walk(node):
        match item:
            case ast.Assign(targets=[ast.Name(id="extra")], value=value) | ast.keyword(arg="extra", value=value):
                pass
            case ast.Dict(keys=[*keys], values=[*values]) if any(
                isinstance(k, ast.Constant) and k.value == "extra" for k in keys
            ):
                value = next(
                    v for k, v in zip(keys, values, strict=True) if isinstance(k, ast.Constant) and k.value == "extra"
                )
            case _:
                continue
        if isinstance(value, ast.Constant) and value.value == "allow":
            quote = module.segment(value)[0]
            return replace(module, value, f"{quote}ignore{quote}")
        if dotted(value).endswith("Extra.allow"):
            return replace(module, value, module.segment(value).replace("allow", "ignore"))
    return halt(f"{model} does not take undeclared keys")
