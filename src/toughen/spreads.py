"""Owns how values of a request reach the columns of a table: one by one, or a whole body with all its keys."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from toughen.codemod.module import dotted, names_in, scope_of
from toughen.model.blueprint import Place as Where
from toughen.touches import Write, built

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.carried import Carried, Sent
    from toughen.model.blueprint import Table
    from toughen.touches import Rows


def written(carried: Carried, found: Rows) -> Iterator[tuple[Sent, Write]]:
    """Values of the request with the columns that they reach, by themselves or as a part of the whole body."""
    for write in found.writes:
        for part in ast.walk(write.value):
            sent = carried.of(part)
            if sent is not None and sent.path:
                yield sent, write
                break
    yield from _fields(carried, found)


def _fields(carried: Carried, found: Rows) -> Iterator[tuple[Sent, Write]]:
    """`Item(**item.dict())` and `setattr` loops over a typed body: each of its fields goes to the column of its name."""
    for node, held, table in spreads(carried, found):
        if table is None or not held.model:
            continue
        for parameter in carried.handler.route.parameters:
            sent = carried.below(held, parameter.name) if parameter.place is held.place and len(parameter.path) == len(held.path) + 1 else None
            if sent is not None and table.column(parameter.name):
                yield sent, Write(table.name.lower(), parameter.name.lower(), "set", node, node.lineno)


def spreads(carried: Carried, found: Rows) -> Iterator[tuple[ast.expr, Sent, Table | None]]:
    """(where, the body, the table where it is known): `Model(**data)`, `row.update(data)`, `setattr` loops, statements built of keys."""
    node = carried.place.node
    for item in scope_of(node):
        match item:
            case ast.Call(keywords=keywords):
                name = dotted(item.func).rpartition(".")[2]
                for word in keywords:
                    held = carried.of(word.value) if word.arg is None else None
                    if held is not None and _open(held) and (name in found.models or name in {"update", "values", "create"}):
                        yield item, held, found.models.get(name)
                if name in {"update", "values"} and isinstance(item.func, ast.Attribute) and item.args and (held := carried.of(item.args[0])) and _open(held):
                    yield item, held, _updated(item, found)
            case ast.For(target=ast.Tuple(elts=[ast.Name(id=key), _]) | ast.Name(id=key), iter=iterable):
                source = iterable.func.value if isinstance(iterable, ast.Call) and isinstance(iterable.func, ast.Attribute) else iterable
                held = carried.of(source)
                if held is None or not _open(held) or _filtered(item, key):
                    continue
                for call in (each for each in ast.walk(item) if isinstance(each, ast.Call) and dotted(each.func) == "setattr" and key in names_in(each)):
                    yield call, held, found.held.get(dotted(call.args[0]))
    yield from _texts(carried)


def _open(held: Sent) -> bool:
    return held.place in {Where.JSON, Where.FORM} and not held.path


def _updated(call: ast.Call, found: Rows) -> Table | None:
    text = found.place.module.segment(call)
    return next((table for model, table in found.models.items() if re.search(rf"\b{re.escape(model)}\b", text)), None)


def _filtered(loop: ast.For, key: str) -> bool:
    """`if key in ALLOWED` and its like; `hasattr(row, key)` lets every column through."""
    tests = [each.test for each in ast.walk(loop) if isinstance(each, ast.If)]
    return any(isinstance(each, ast.Compare) and key in names_in(each) for test in tests for each in ast.walk(test))


def _texts(carried: Carried) -> Iterator[tuple[ast.expr, Sent, Table | None]]:
    """INSERT and UPDATE whose columns are put together from the body's keys: by a name that was joined from it."""
    joined: dict[str, Sent] = {}
    for item in scope_of(carried.place.node):
        if isinstance(item, ast.Assign):
            held = _keys(carried, item.value)
            names = [each.id for target in item.targets for each in ast.walk(target) if isinstance(each, ast.Name)]
            joined |= dict.fromkeys(names, held) if held is not None else {}
        if isinstance(item, ast.For) and (held := _iterated(carried, item)) is not None and not _filtered(item, dotted(_first(item.target))):
            grown = [dotted(each.func.value) for each in ast.walk(item) if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute) and each.func.attr == "append"]
            joined |= {name: held for name in grown if name}
        if isinstance(item, ast.Assign) and (known := [joined[name] for name in names_in(item.value) if name in joined]) and "join" in ast.unparse(item.value):
            joined |= {each.id: known[0] for target in item.targets for each in ast.walk(target) if isinstance(each, ast.Name)}
    for call, text in built(carried.place):
        written = re.search(r"\b(?:INTO|UPDATE)\s+[\"`]?(\w+)", ast.unparse(text), re.IGNORECASE)
        for name in sorted(names_in(text)):
            if name in joined and written:
                yield call, joined[name], carried.handler.blueprint.table(written.group(1))
                break


def _first(target: ast.expr) -> ast.expr:
    return target.elts[0] if isinstance(target, ast.Tuple) and target.elts else target


def _iterated(carried: Carried, loop: ast.For) -> Sent | None:
    source = loop.iter.func.value if isinstance(loop.iter, ast.Call) and isinstance(loop.iter.func, ast.Attribute) else loop.iter
    held = carried.of(source)
    return held if held is not None and _open(held) else None


def _keys(carried: Carried, value: ast.expr) -> Sent | None:
    """The body whose keys an expression joins: `", ".join(data)`, `", ".join(f"{k} = ?" for k in data)`, without a filter."""
    for call in (each for each in ast.walk(value) if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute) and each.func.attr == "join"):
        for part in ast.walk(call):
            if isinstance(part, ast.comprehension) and part.ifs:
                return None
            held = carried.of(part) if isinstance(part, ast.expr) else None
            if held is not None and _open(held):
                return held
    return None
