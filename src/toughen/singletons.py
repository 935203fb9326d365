"""Owns objects that a function hands to everybody who asks: made once and remembered, or a variable of its module."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from toughen.codemod.module import dotted, scope_of
from toughen.handling import called

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.codemod.module import FunctionNode, Module
    from toughen.handling import Place

_REMEMBERING = {"lru_cache", "cache"}


def maker(node: ast.AST) -> ast.Call | None:
    """What a function without arguments makes once, under `@lru_cache` or `@cache`; None where it is no such function."""
    if not isinstance(node, ast.FunctionDef) or node.args.args or node.args.kwonlyargs:
        return None
    decorators = {dotted(each.func if isinstance(each, ast.Call) else each).rpartition(".")[2] for each in node.decorator_list}
    values = [each.value for each in scope_of(node) if isinstance(each, ast.Return)]
    made = values[0] if len(values) == 1 else None
    return made if decorators & _REMEMBERING and isinstance(made, ast.Call) else None


def later(module: Module, name: str) -> ast.expr | None:
    """What a variable that is None at first gets from a function that declares it `global`."""
    for function in module.functions:
        if any(isinstance(node, ast.Global) and name in node.names for node in scope_of(function)):
            for node in scope_of(function):
                match node:
                    case ast.Assign(targets=[ast.Name(id=found)], value=ast.Call() as value) if found == name:
                        return value
    return None


def asked(place: Place) -> Iterator[tuple[str, ast.expr]]:
    """(local name, function) of everything that a function is handed or fetches: `repo = get_repo()`, `repo: Repo = Depends(get_repo)`."""
    arguments = place.node.args
    plain = [*arguments.posonlyargs, *arguments.args]
    defaults = [*zip(plain[len(plain) - len(arguments.defaults) :], arguments.defaults, strict=True), *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    for argument, default in defaults:
        if default is not None and (depends := _depends(default)) is not None:
            yield argument.arg, depends
    for argument in (*plain, *arguments.kwonlyargs):
        if argument.annotation is not None and (depends := _annotated(place.module, argument.annotation)) is not None:
            yield argument.arg, depends
    for node in scope_of(place.node):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=function, args=[], keywords=[])):
                yield name, function


def _depends(value: ast.expr) -> ast.expr | None:
    match value:
        case ast.Call(func=function, args=[wanted, *_]) if dotted(function).rpartition(".")[2] == "Depends":
            return wanted
    return None


def _annotated(module: Module, annotation: ast.expr) -> ast.expr | None:
    """The dependency of `Annotated[Repo, Depends(get_repo)]`, also under a name of the file's own."""
    if isinstance(annotation, ast.Name):
        annotation = next((each.value for each in module.tree.body if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name) and each.targets[0].id == annotation.id), annotation)
    match annotation:
        case ast.Subscript(value=kind, slice=ast.Tuple(elts=[_, *rest])) if dotted(kind).rpartition(".")[2] == "Annotated":
            return next((found for each in rest if (found := _depends(each)) is not None), None)
    return None


def giver(place: Place, function: ast.expr, project: tuple[Module, ...]) -> Place | None:
    """The project's function that is meant."""
    return called(place, ast.Call(func=function, args=[], keywords=[]), project)


def given(node: FunctionNode) -> Iterator[str]:
    """Names that a function returns as they are."""
    return (each.value.id for each in scope_of(node) if isinstance(each, ast.Return) and isinstance(each.value, ast.Name))
