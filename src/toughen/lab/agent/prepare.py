"""Owns the steps that prepare a database as the project itself would: its main block, its tables."""

from __future__ import annotations

import ast
import contextlib
import inspect
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from . import dj_models, frames, tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .boot import App

_SERVERS = ("run", "serve", "run_simple", "run_forever", "serve_forever", "start_server")
_MEMORY = (None, "", ":memory:")


class _Report:
    """What was done and what failed, in words."""

    def __init__(self) -> None:
        self.did: list[str] = []
        self.failed: list[str] = []

    @contextlib.contextmanager
    def step(self, words: str) -> Any:
        try:
            yield
        except BaseException as error:
            told = frames.failure(error)
            place = told["place"]
            at = " at " + str(place[0]) + ":" + str(place[1]) if place else ""
            self.failed.append(words + ": " + told["type"] + ": " + told["message"][:500] + at)
        else:
            self.did.append(words)


def run(step: str, app: App | None, config: dict[str, Any]) -> dict[str, list[str]]:
    """Do one step; never fatal."""
    report = _Report()
    # Subprocesses of the prototype need their exit codes; the server ignores its children's otherwise.
    before = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        if step == "main_block":
            _main_block(report, app, config)
        elif step == "create_all":
            _create_all(report, app)
        else:
            report.failed.append("unknown step: " + step)
    finally:
        signal.signal(signal.SIGCHLD, before if before is not None else signal.SIG_DFL)
    quiesce()
    return {"did": report.did, "failed": report.failed}


def _main_block(report: _Report, app: App | None, config: dict[str, Any]) -> None:
    name = app.module if app is not None else str(config.get("entry") or "").partition(":")[0]
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None)
    if module is None or not file:
        report.failed.append("main block: the entry's module is not loaded")
        return
    try:
        with open(file, "rb") as source:
            tree = ast.parse(source.read(), file)
    except (OSError, SyntaxError, ValueError) as error:
        report.failed.append("main block: " + str(error))
        return
    body: list[ast.stmt] = []
    for node in tree.body:
        if isinstance(node, ast.If) and is_main(node.test):
            body += without_idle_imports(without_servers(node.body))
    if not body:
        return
    words = "ran the main block of " + (frames.relative(file) or os.path.basename(file)) + " without its server"
    with report.step(words):
        code = compile(ast.fix_missing_locations(ast.Module(body=body, type_ignores=[])), file, "exec")
        exec(code, vars(module))


def is_main(test: ast.expr) -> bool:
    """Tell `__name__ == "__main__"`."""
    names = {node.id for node in ast.walk(test) if isinstance(node, ast.Name)}
    values = {node.value for node in ast.walk(test) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return "__name__" in names and "__main__" in values


def without_servers(body: list[ast.stmt]) -> list[ast.stmt]:
    """Return the statements without those that start a server; blocks keep what else they hold."""
    kept: list[ast.stmt] = []
    for node in body:
        if not _starts_server(node):
            kept.append(node)
            continue
        changed = False
        for field in ("body", "orelse", "finalbody"):
            inner = getattr(node, field, None)
            if isinstance(inner, list) and inner and isinstance(inner[0], ast.stmt):
                changed = True
                left = without_servers(inner)
                setattr(node, field, left if left or field != "body" else [ast.Pass()])
        for handler in getattr(node, "handlers", None) or ():
            handler.body = without_servers(handler.body) or [ast.Pass()]
        if changed and not _starts_server(node):
            kept.append(node)
    return kept


def without_idle_imports(body: list[ast.stmt]) -> list[ast.stmt]:
    """Return the statements without imports that nothing uses any more: the server need not be installed."""
    used = {each.id for node in body for each in ast.walk(node) if isinstance(each, ast.Name)}
    kept: list[ast.stmt] = []
    for node in body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [each for each in node.names if (each.asname or each.name).partition(".")[0] in used]
            if not names:
                continue
            node.names = names
        kept.append(node)
    return kept


def _starts_server(node: ast.AST) -> bool:
    for each in ast.walk(node):
        if isinstance(each, ast.Call):
            function = each.func
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            if name in _SERVERS and not _is_asyncio(function):
                return True
    return False


def _is_asyncio(function: ast.expr) -> bool:
    """`asyncio.run(init_db())` prepares; it starts no server (a server in it is a stand-in anyway)."""
    return (
        isinstance(function, ast.Attribute)
        and isinstance(function.value, ast.Name)
        and function.value.id in ("asyncio", "subprocess", "anyio")
    )


def _create_all(report: _Report, app: App | None) -> None:
    flask = app.flask if app is not None else None
    covered: set[int] = set()
    for name, owner in _creators(flask):
        with report.step(name + ".create_all()"):
            with flask.app_context() if flask is not None else contextlib.nullcontext():
                owner.create_all()
            found = getattr(owner, "metadatas", None) or {None: getattr(owner, "metadata", None)}
            covered.update(id(metadata) for metadata in found.values())
            covered.add(id(getattr(getattr(owner, "Model", None), "metadata", None)))
    engines = _engines()
    for metadata in tables.metadatas():
        if id(metadata) in covered:
            continue
        for engine, is_async in _belonging(metadata, engines):
            words = "created " + ", ".join(sorted(metadata.tables)[:12]) + " in " + str(engine.url.render_as_string())
            with report.step(words):
                if is_async:
                    _create_async(metadata, engine)
                else:
                    metadata.create_all(engine)


def _creators(flask: Any) -> Iterator[tuple[str, Any]]:
    """Objects of extensions that create their own tables (Flask-SQLAlchemy, alchemical, pony-like `db`)."""
    seen: set[int] = set()
    held = [(str(name), value) for name, value in (getattr(flask, "extensions", None) or {}).items()]
    for module_name, module in list(sys.modules.items()):
        if frames.relative(str(getattr(module, "__file__", None) or "<none>")) is not None:
            held += [(module_name + "." + name, value) for name, value in list(vars(module).items())]
    for name, value in held:
        for owner in (value, inspect.getattr_static(value, "db", None)):
            create = inspect.getattr_static(type(owner), "create_all", None)
            if create is None or id(owner) in seen or isinstance(owner, type):
                continue
            if type(owner).__module__.startswith("sqlalchemy.") or inspect.iscoroutinefunction(create):
                continue
            seen.add(id(owner))
            yield name, owner


def _engines() -> list[tuple[Any, bool]]:
    """Every engine, with whether its driver is asynchronous; one for each address."""
    found: dict[str, tuple[Any, bool]] = {}
    for engine in tables.objects("sqlalchemy.engine.base", "Engine"):
        address = str(engine.url)
        key = address if engine.url.database not in _MEMORY else address + str(id(engine))
        found.setdefault(key, (engine, bool(getattr(engine.dialect, "is_async", False))))
    return list(found.values())


def _belonging(metadata: Any, engines: list[tuple[Any, bool]]) -> list[tuple[Any, bool]]:
    """Engines that serve this metadata: the bound one, the only one, or all where nothing tells."""
    bound = getattr(metadata, "bind", None)
    if bound is not None:
        return [(engine, is_async) for engine, is_async in engines if engine is bound] or [(bound, False)]
    return engines


def _create_async(metadata: Any, engine: Any) -> None:
    import asyncio

    from sqlalchemy.ext.asyncio import AsyncEngine  # type: ignore[import-not-found, unused-ignore]

    async def create() -> None:
        wrapper = AsyncEngine(engine)
        async with wrapper.begin() as connection:
            await connection.run_sync(metadata.create_all)
        await wrapper.dispose()

    asyncio.run(create())


def _dispose_async(engine: Any) -> None:
    """Close the connections of an asynchronous driver, whose threads would not survive a fork."""
    import asyncio

    from sqlalchemy.ext.asyncio import AsyncEngine  # type: ignore[import-not-found, unused-ignore]

    async def dispose() -> None:
        await asyncio.wait_for(AsyncEngine(engine).dispose(), 5)

    asyncio.run(dispose())
    # The driver's thread ends a moment after its connection.
    deadline = time.monotonic() + 1
    while threading.active_count() > 1 and time.monotonic() < deadline:
        time.sleep(0.005)


def quiesce() -> None:
    """Close idle pooled connections, which must not be shared by processes; in-memory databases stay."""
    dj_models.close()
    for engine in tables.objects("sqlalchemy.engine.base", "Engine"):
        try:
            if engine.url.get_backend_name() == "sqlite" and (
                engine.url.database in _MEMORY or "mode=memory" in str(engine.url)
            ):
                continue
            if getattr(engine.dialect, "is_async", False):
                if threading.active_count() > 1:
                    _dispose_async(engine)
                elif engine.url.get_backend_name() != "sqlite":
                    # They belong to a loop that has ended.
                    engine.dispose(close=False)
                continue
            engine.dispose()
        except Exception:
            continue
