"""Owns the words that put a framework's limiter on an application and on a route."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from toughen.codemod.draft import Draft, Edit, word
from toughen.codemod.mechanics import after, decorate, parameter, use
from toughen.codemod.module import dotted, halt
from toughen.codemod.refusals import routes

if TYPE_CHECKING:
    from toughen.codemod.module import FunctionNode, Module


@word
def limited(module: Module, function: FunctionNode, decorator: str, *, request: bool) -> Draft:
    """Put a limiter's decorator below the routes of a handler; with `request`, the handler takes the request as slowapi wants it.

    Refuses handlers that are limited already, and those in which `request` is something else.
    """
    if any(isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute) and each.func.attr in {"limit", "shared_limit"} for each in function.decorator_list):
        halt(f"{function.name} is limited already")
    draft = _below_routes(module, function, decorator)
    if not request:
        return draft
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    there = next((each for each in arguments if each.arg == "request"), None)
    if there is not None:
        kind = dotted(there.annotation).rpartition(".")[2] if there.annotation is not None else ""
        return draft if kind == "Request" else halt(f"`request` is not the request in {function.name}")
    return draft + parameter(module, function, "request: Request", first=True) + use(module, "from fastapi import Request")


def _below_routes(module: Module, function: FunctionNode, decorator: str) -> Draft:
    """The decorator right below the routes: what stands below them may refuse before anything is counted."""
    registered_at = [index for index, each in enumerate(function.decorator_list) if any(each is one for one in routes(function))]
    following = function.decorator_list[registered_at[-1] + 1 :] if registered_at else []
    if not following:
        return decorate(module, function, decorator)
    at = module.line_start(module.offset(following[0].lineno, following[0].col_offset))
    return Draft(module, (Edit(at, at, f"{module.indent(function)}{decorator}{module.newline}"),))


@word
def made(module: Module, app: ast.Assign, *, flask: bool) -> Draft:
    """Make a limiter behind the statement that makes the application."""
    name = dotted(app.targets[0])
    if "limiter" in module.globals:
        halt(f"`limiter` already means something else in {module.file}")
    if flask:
        draft = use(module, "from flask_limiter import Limiter") + use(module, "from flask_limiter.util import get_remote_address")
        return draft + after(module, app, f"limiter = Limiter(key_func=get_remote_address, app={name})")
    lines = f"limiter = Limiter(key_func=get_remote_address)\n{_handled(name)}"
    return use(module, "from slowapi import Limiter, _rate_limit_exceeded_handler") + use(module, "from slowapi.errors import RateLimitExceeded") + use(module, "from slowapi.util import get_remote_address") + after(module, app, lines)


@word
def registered(module: Module, app: ast.Assign, limiter: str, *, flask: bool) -> Draft:
    """Tell the application of a limiter that another module makes."""
    name = dotted(app.targets[0])
    if flask:
        return after(module, app, f"{limiter}.init_app({name})")
    return use(module, "from slowapi import _rate_limit_exceeded_handler") + use(module, "from slowapi.errors import RateLimitExceeded") + after(module, app, _handled(name, limiter))


def _handled(app: str, limiter: str = "limiter") -> str:
    return f"{app}.state.limiter = {limiter}\n{app}.add_exception_handler(RateLimitExceeded, _rate_limit_exceeded_handler)"
