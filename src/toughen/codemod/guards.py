"""Owns guards copied from a sibling: decorator, dependency or the opening statements that refuse a stranger."""

from __future__ import annotations

import ast
import copy
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from toughen.codemod.draft import Draft, word
from toughen.codemod.mechanics import after, argument, before, decorate, parameter, same, use
from toughen.codemod.module import FUNCTIONS, Module, Span, bound_names, dotted, halt, names_in
from toughen.codemod.refusals import is_route, path_of, refusals, routes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toughen.codemod.module import FunctionNode

_TELLS = re.compile(
    r"auth|login|user|token|admin|role|permission|require|verify|jwt|current|owner|guard|session", re.IGNORECASE
)
_NOT_GUARDS = re.compile(
    r"^(get_)?(db|session|database|conn|connection|async_session|settings|config)(_session)?$", re.IGNORECASE
)
_READS = re.compile(r"get_json|request\.(json|form|data|values)|password", re.IGNORECASE)
"""What a log-in does before it answers 401: such statements guard nothing."""
_REFUSED = {401, 403}


@word
def guard(
    module: Module,
    function: str,
    like: str,
    *,
    line: int = 0,
    source: Module | None = None,
    names: Sequence[str] = (),
) -> Draft:
    """Guard `function` as its sibling `like` is guarded; `source` is the sibling's module where that is another file.

    Shapes: decorators (nearest to the function, with the first parameter that they hand over), FastAPI `Depends` and
    `Security` parameters (default or Annotated) and `dependencies=[...]` of the route, and opening statements
    (`if 'user_id' not in session: return ...`, `user = current(); if not user: return ...`). Imports come along.
    `names` limits the copy to these guards (the Blueprint's names); else everything that looks like one is copied.
    Refuses: siblings without a guard, guards that are there already, names that exist only in the sibling's file or are
    defined below the function, and parameters whose name is taken.
    """
    home = source or module
    target = module.function(function, line)
    sibling = home.function(like)
    if not names and not is_route(sibling) and any(is_route(node) for node in home.functions):
        halt(f"{like} is no handler of a route")
    copier = _Copier(module, home, target, tuple(names))
    draft = Draft(module)
    found = False
    for part in (copier.decorators, copier.dependencies, copier.route_dependencies, copier.opening):
        more = part(sibling)
        found = found or more is not None
        if more is not None:
            draft += more
    if not found:
        halt(f"{like} has no guard that could be copied")
    if draft.empty:
        halt(f"{function} is guarded as {like} is already")
    return draft


class _Copier:
    """Copies one kind of guard at a time; None where the sibling has none of the kind."""

    def __init__(self, module: Module, home: Module, target: FunctionNode, names: tuple[str, ...]) -> None:
        self.module, self.home, self.target, self.names = module, home, target, names

    def wanted(self, node: ast.expr, *, sure: bool = False) -> bool:
        """True when an expression is a guard that shall be copied."""
        name = dotted(node.func if isinstance(node, ast.Call) else node)
        last = name.rpartition(".")[2]
        if self.names:
            return any(last == item.rpartition(".")[2] or item in self.home.segment(node) for item in self.names)
        return bool(last) and not _NOT_GUARDS.match(last) and (sure or bool(_TELLS.search(self.home.segment(node))))

    def needs(self, *nodes: ast.AST, local: set[str] | frozenset[str] = frozenset()) -> Draft:
        """Imports of the names that copied code reads; refuses names that the target's file cannot have."""
        draft = Draft(self.module)
        wanted: dict[str, list[str]] = {}
        used = {name for node in nodes for name in names_in(node)} - local
        outer = {
            name for above in self.module.ancestors(self.target) for name in bound_names(getattr(above, "body", []))
        }
        for name in sorted(used):
            if self.home is self.module:
                if not self.module.is_known(name) and name not in outer:
                    halt(f"`{name}` of the sibling's guard is unknown at {self.target.name}")
                continue
            origin = self.home.imports.get(name)
            if origin is None:
                if not self.module.is_known(name):
                    halt(f"`{name}` of the sibling's guard is defined in {self.home.file} and not imported here")
                continue
            if (
                origin.startswith(".")
                and PurePosixPath(self.home.file).parent != PurePosixPath(self.module.file).parent
            ):
                halt(f"`{name}` is imported relative to {self.home.file}, which lies in another folder")
            package, _, last = origin.rpartition(".")
            text = last if last == name else f"{last} as {name}"
            if package or origin.startswith("."):
                wanted.setdefault(package or ".", []).append(text)
            else:
                draft += use(self.module, f"import {text}")
        for package, texts in wanted.items():
            draft += use(self.module, f"from {package} import {', '.join(texts)}")
        return draft

    def early(self, node: ast.AST) -> None:
        """Refuse names defined below the target: decorators and defaults are read when it is defined."""
        for name in names_in(node):
            for item in self.module.tree.body:
                if (
                    isinstance(item, (*FUNCTIONS, ast.ClassDef))
                    and item.name == name
                    and item.lineno > self.target.lineno
                ):
                    halt(f"`{name}` is defined below {self.target.name}")

    def decorators(self, sibling: FunctionNode) -> Draft | None:
        """Decorators that are no routes."""
        registered = routes(sibling)
        found = [item for item in sibling.decorator_list if item not in registered and self.wanted(item, sure=True)]
        if not found:
            return None
        draft = Draft(self.module)
        for item in found:
            if any(same(item, other) for other in self.target.decorator_list):
                continue
            self.early(item)
            draft += decorate(self.module, self.target, self.home.segment(item)) + self.needs(item)
        handed = self._handed(sibling, found)
        present = {item.arg for item in ast.walk(self.target.args) if isinstance(item, ast.arg)}
        if handed and handed not in present and draft.edits:
            draft += parameter(self.module, self.target, handed, first=True)
        return draft

    def _handed(self, sibling: FunctionNode, found: list[ast.expr]) -> str:
        """The sibling's first parameter where no route names it and the decorator, if it can be read, passes one."""
        arguments = [*sibling.args.posonlyargs, *sibling.args.args]
        arguments = [item for item in arguments if item.arg not in {"self", "cls"}]
        path = "".join(path_of(sibling).split())
        if not arguments or re.search(rf"[<{{:]{re.escape(arguments[0].arg)}[>}}:]", path) or not is_route(sibling):
            return ""
        names = {dotted(item.func if isinstance(item, ast.Call) else item).rpartition(".")[2] for item in found}
        definitions = [item for item in self.home.functions if item.name in names]
        if definitions and not any(_passes_first(item) for item in definitions):
            return ""
        return arguments[0].arg

    def dependencies(self, sibling: FunctionNode) -> Draft | None:
        """Parameters that FastAPI fills by Depends or Security."""
        found = [item for item in _parameters(sibling) if _depends(item[0], item[1], self)]
        if not found:
            return None
        draft = Draft(self.module)
        for argument_node, default in found:
            wanted = _depends(argument_node, default, self)
            there = [_depends(*item, None) for item in _parameters(self.target)]
            if wanted is None or any(other is not None and same(other, wanted) for other in there):
                continue
            text = self.home.segment(argument_node)
            if default is not None:
                gap = " = " if argument_node.annotation is not None else "="
                text += gap + self.home.segment(default)
            nodes = [node for node in (argument_node, default) if node is not None]
            for node in nodes:
                self.early(node)
            draft += self.needs(*nodes)
            draft += parameter(self.module, self.target, text)
        return draft

    def route_dependencies(self, sibling: FunctionNode) -> Draft | None:
        """`dependencies=[Depends(...)]` of the sibling's route."""
        for route in routes(sibling):
            for item in route.keywords:
                if item.arg == "dependencies":
                    mine = routes(self.target)
                    if not mine:
                        halt(f"{self.target.name} has no route that could carry dependencies")
                    if any(other.arg == "dependencies" for other in mine[0].keywords):
                        return Draft(self.module)
                    self.early(item.value)
                    text = f"dependencies={self.home.segment(item.value)}"
                    return argument(self.module, mine[0], text) + self.needs(item.value)
        return None

    def opening(self, sibling: FunctionNode) -> Draft | None:
        """The statements with which the sibling opens and refuses: up to the first `if` that answers 401 or 403."""
        found = opening(self.home, sibling)
        if found is None or (self.names and not any(n in self.home.segment(s) for n in self.names for s in found)):
            return None
        mine = {ast.dump(item) for item in ast.walk(self.target) if isinstance(item, ast.stmt)}
        if ast.dump(found[-1]) in mine:
            return Draft(self.module)
        local = set(bound_names(found))
        clash = {item.arg for item in ast.walk(self.target.args) if isinstance(item, ast.arg)} & local
        if clash:
            halt(f"`{clash.pop()}` is a parameter of {self.target.name}")
        indent = self.home.indent(found[0])
        lines = "\n".join(
            line.removeprefix(indent).replace(self.home.unit, "    ")
            for item in found
            for line in self.home.cut(_head(self.home, item)).replace("\r\n", "\n").split("\n")
        )
        body = self.target.body
        documented = isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
        if documented and len(body) == 1:
            placed = after(self.module, body[0], lines)
        else:
            placed = before(self.module, body[1] if documented else body[0], lines)
        return placed + self.needs(*found, local=local)


def opening(module: Module, function: FunctionNode) -> list[ast.stmt] | None:
    """A function's first statements up to an `if` that answers 401 or 403; None where there is none.

    Of an `if` with an `else` only the refusal is copied: what follows it is the sibling's own work.

    In front of the `if` only assignments that it reads are taken; none may depend on parameters or on a body.
    """
    taken: list[ast.stmt] = []
    given = {item.arg for item in ast.walk(function.args) if isinstance(item, ast.arg)}
    for index, item in enumerate(function.body):
        if index == 0 and isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant):
            continue
        if isinstance(item, ast.If) and item.orelse:
            item = copy.copy(item)  # noqa: PLW2901 - the refusal alone
            item.orelse = []
        taken.append(item)
        if isinstance(item, ast.If):
            if any(names_in(each) & given or _READS.search(module.cut(_head(module, each))) for each in _relevant(taken)):
                return None
            answered = {found.status for found in refusals(module, item)}
            ends = isinstance(item.body[-1], (ast.Return, ast.Raise, ast.Expr))
            return _relevant(taken) if answered & _REFUSED and ends else None
        if not isinstance(item, (ast.Assign, ast.AnnAssign)):
            return None
    return None


def _head(module: Module, item: ast.stmt) -> Span:
    """Bytes of a statement; of an `if` without its `else`."""
    span = module.span(item)
    return Span(span.start, module.span(item.body[-1]).end) if isinstance(item, ast.If) else span


def _relevant(taken: list[ast.stmt]) -> list[ast.stmt]:
    """Drop assignments whose names the guard does not read."""
    wanted = names_in(taken[-1])
    kept = [taken[-1]]
    for item in reversed(taken[:-1]):
        if set(bound_names([item])) & wanted:
            kept.insert(0, item)
            wanted |= names_in(item)
    return kept


def _parameters(function: FunctionNode) -> list[tuple[ast.arg, ast.expr | None]]:
    plain = [*function.args.posonlyargs, *function.args.args]
    defaults: list[ast.expr | None] = [None] * (len(plain) - len(function.args.defaults))
    defaults += function.args.defaults
    return [*zip(plain, defaults, strict=True), *zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)]


def _depends(node: ast.arg, default: ast.expr | None, copier: _Copier | None) -> ast.Call | None:
    """The Depends or Security call of a parameter, where the copier wants what it depends on."""
    places = [default, *(ast.walk(node.annotation) if node.annotation is not None else ())]
    for item in places:
        match item:
            case ast.Call(func=function, args=[what, *_]) if dotted(function).rpartition(".")[2] in {
                "Depends",
                "Security",
            }:
                if copier is None or copier.wanted(what):
                    return item
            case _:
                continue
    return None


def _passes_first(decorator: FunctionNode) -> bool:
    """True when the decorator's wrapper calls the function with something of its own in front of `*args`."""
    for call in (item for item in ast.walk(decorator) if isinstance(item, ast.Call)):
        stars = [index for index, item in enumerate(call.args) if isinstance(item, ast.Starred)]
        if stars and stars[0] > 0:
            return True
    return False
