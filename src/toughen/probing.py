"""Owns how a project's database is asked whether it answers: by the engine, the session or the connection helper that the project has."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from toughen.codemod.draft import Draft
from toughen.codemod.module import Module, dotted, halt, scope_of
from toughen.codemod.naming import imported
from toughen.handling import parsed, within

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.codemod.module import FunctionNode
    from toughen.model.blueprint import Blueprint
    from toughen.wiring import Application

_ENGINES = {"create_engine": "engine", "create_async_engine": "async-engine"}
_SESSIONS = {"sessionmaker": "session", "scoped_session": "session", "async_sessionmaker": "async-session"}
_CONNECTS = {"sqlite3.connect", "psycopg2.connect", "psycopg.connect", "pymysql.connect", "MySQLdb.connect", "mysql.connector.connect"}


def asked(app: Application, blueprint: Blueprint, sources: Mapping[str, str]) -> tuple[str, str, Draft]:
    """(kind of what is asked, the expression that gives it in the application's file, the import that it needs). Raises UnmendableError."""
    near = within(blueprint.entry, sources)
    modules = [module for file, module in parsed(sources).items() if file in near]
    modules.sort(key=lambda each: each.file != app.module.file)
    for find in (_engines, _makers, _helpers):
        for module in modules:
            for kind, name in find(module):
                expression, draft = _reached(app.module, module, name, blueprint)
                late = module is app.module and _line(module, name) > app.statement.lineno
                engine = kind in {"engine", "async-engine"}
                return kind, f"lambda: {expression}{'' if engine else '()'}" if engine or late else expression, draft
    for call in (each for each in ast.walk(app.module.tree) if isinstance(each, ast.Call) and app.module.resolve(each.func) in _CONNECTS):
        parts = [*call.args, *(each.value for each in call.keywords)]
        if all(isinstance(each, ast.Constant) or (isinstance(each, ast.Name) and each.id in app.module.globals) for each in parts):
            return "connection", f"lambda: {app.module.segment(call)}", Draft(app.module)
    return halt("neither an engine nor a function that connects to the database is seen in the source")


def _engines(module: Module) -> Iterator[tuple[str, str]]:
    """Engines of SQLAlchemy that a file makes, and what Flask-SQLAlchemy keeps one in."""
    for statement in module.tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=func)) | ast.AnnAssign(target=ast.Name(id=name), value=ast.Call(func=func)):
                kind = dotted(func).rpartition(".")[2]
                if kind not in _ENGINES:
                    kind = _handed_on(module, kind) or kind
                if kind in _ENGINES:
                    yield _ENGINES[kind], name
                elif kind == "SQLAlchemy":
                    yield "engine", f"{name}.engine"


def _handed_on(module: Module, name: str) -> str:
    """What kind of engine a function of the file makes, "" where it makes none."""
    made = [dotted(each.func).rpartition(".")[2] for node in module.functions if node.name == name for each in ast.walk(node) if isinstance(each, ast.Call)]
    return next((each for each in made if each in _ENGINES), "")


def _makers(module: Module) -> Iterator[tuple[str, str]]:
    """What makes sessions of SQLAlchemy, by a file whose engine has no name."""
    for statement in module.tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=func)) | ast.AnnAssign(target=ast.Name(id=name), value=ast.Call(func=func)):
                kind = dotted(func).rpartition(".")[2]
                if kind in _SESSIONS:
                    yield _SESSIONS[kind], name


def _helpers(module: Module) -> Iterator[tuple[str, str]]:
    """Functions without arguments that connect and hand the connection on."""
    for node in module.functions:
        if not isinstance(module.parent(node), ast.Module) or isinstance(node, ast.AsyncFunctionDef) or _wants(node):
            continue
        inner = list(scope_of(node))
        if not any(isinstance(each, ast.Call) and module.resolve(each.func) in _CONNECTS for each in inner):
            continue
        yields = any(isinstance(each, ast.Yield) for each in inner)
        managed = any(dotted(each).rpartition(".")[2] == "contextmanager" for each in node.decorator_list)
        if node.decorator_list and not managed:
            continue
        if yields:
            yield ("manager" if managed else "generator"), node.name
        elif any(isinstance(each, ast.Return) and isinstance(each.value, ast.Name | ast.Call | ast.Attribute) for each in inner):
            shared = any(isinstance(each, ast.Global) or (isinstance(each, ast.Name) and each.id == "g") for each in ast.walk(node))
            yield ("kept" if shared else "connection"), node.name


def _line(module: Module, name: str) -> int:
    """Where a file binds a name."""
    bound = [each.lineno for each in module.functions if each.name == name]
    bound += [each.lineno for each in module.tree.body if isinstance(each, ast.Assign | ast.AnnAssign) for one in ast.walk(each) if isinstance(one, ast.Name) and one.id == name and isinstance(one.ctx, ast.Store)]
    return min(bound, default=0)


def _wants(node: FunctionNode) -> bool:
    """Whether a function cannot be called without an argument."""
    arguments = node.args
    given = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
    return given > 0 or any(each is None for each in arguments.kw_defaults)


def _reached(here: Module, home: Module, name: str, blueprint: Blueprint) -> tuple[str, Draft]:
    """A name of another file as this one has it, with the import that is missing."""
    head = name.partition(".")[0]
    if here is home or here.file == home.file:
        return name, Draft(here)
    origin = here.imports.get(head, "")
    if origin.rpartition(".")[2] == head and origin.rpartition(".")[0].rpartition(".")[2] in {home.file.removesuffix(".py").rpartition("/")[2], home.file.removesuffix("/__init__.py").rpartition("/")[2]}:
        return name, Draft(here)
    alias, draft = imported(here, home.file, blueprint.entry)
    return f"{alias}.{name}", draft
