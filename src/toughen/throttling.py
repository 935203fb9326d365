"""Owns limits as a source has them: which log-ins count nothing, and how the framework's limiter is put on a route."""

from __future__ import annotations

import ast
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from toughen.codemod import Draft, UnmendableError
from toughen.codemod.dependencies import declared, named
from toughen.codemod.limits import limited, made, registered
from toughen.codemod.module import dotted, halt
from toughen.codemod.naming import imported
from toughen.disclosure import PASSWORD
from toughen.guessing import LIMITED
from toughen.handling import Place, handlers, parsed
from toughen.model.patch import FileChange, Patch, Unmended

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.codemod.module import Module
    from toughen.handling import Handler
    from toughen.model.blueprint import Blueprint
    from toughen.model.finding import Finding, Suspicion

_LOGIN = re.compile(r"log-?in|sign-?in|token|auth|session", re.IGNORECASE)
_RATE = "10 per minute"
_BRIEF = "Count the wrong tries of {} by client and by user, answer 429 after a few, and let a code die after five."
_NOTE = "Tries are counted in the memory of one process and by the client's address: several workers need a `storage_uri` that they share, and behind a proxy the address must be its client's."
_FLASK = '''"""How often somebody may ask: counted by the client's address."""

from flask_limiter import Limiter
from flask_limiter.util import get_remote_address

limiter = Limiter(key_func=get_remote_address)
'''
_FASTAPI = '''"""How often somebody may ask: counted by the client's address."""

from slowapi import Limiter
from slowapi.util import get_remote_address

limiter = Limiter(key_func=get_remote_address)
'''
_NAMES = ("rate_limits", "request_limits", "limiting")
"""`limits` is a package of its own, which both limiters import."""


def suspected(break_id: str, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
    """Routes without a guard that take a password under the name of a log-in, where no file of the project counts tries."""
    if any(LIMITED.search(text) for text in sources.values()):
        return
    for handler in handlers(blueprint, sources):
        route = handler.route
        asked = any(PASSWORD.search(each.name) for each in route.parameters) or (route.body_model or "").endswith("RequestForm")
        if route.method == "POST" and asked and not route.guards and _LOGIN.search(route.path.rstrip("/").rpartition("/")[2]):
            yield handler.suspicion(break_id, handler.home.node.lineno, "it compares a password as often as it is asked")


def mends(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
    """The limiter that the project has, else a new one: in the handler's file where the application is made there, else in a module of its own."""
    route = finding.route or ""
    brief = _BRIEF.format(route)
    handler = next((each for each in handlers(blueprint, sources) if each.route.id == route), None)
    if handler is None:
        yield Unmended("the handler of this route is not in the project's own source", brief)
        return
    flask = blueprint.framework == "flask"
    if not flask and blueprint.framework != "fastapi":
        yield Unmended(f"no limiter is known for {blueprint.framework}", brief)
        return
    reasons = []
    for way in (_existing, _beside, _apart):
        try:
            changes = way(handler, blueprint, sources, flask=flask)
        except UnmendableError as error:
            reasons.append(error.message)
            continue
        if changes is None:
            continue
        new = way is not _existing
        package = "flask-limiter>=3.5" if flask else "slowapi>=0.1.9"
        notes = [_NOTE]
        if new:
            change = declared(blueprint.companions, package)
            changes = [*changes, *([change] if change is not None else [])]
            if change is None and not any(named(text, package) for file, text in blueprint.companions if "env" not in file):
                notes.append(f"Add {package} to what the project installs.")
        yield Patch(finding.id, tuple(changes), f"Limit tries of {route} to {_RATE}"[:100], " ".join(notes), packages=(re.split(r"[<>=]", package)[0],) if new else ())
    yield Unmended(reasons[-1] if reasons else "where the application is made is not seen", brief)


def _changed(*drafts: Draft) -> list[FileChange]:
    """Drafts, of one file or of several, as changes."""
    whole: dict[str, Draft] = {}
    for each in drafts:
        whole[each.module.file] = whole[each.module.file] + each if each.module.file in whole else each
    return [FileChange(file, each.module.text, each.done()) for file, each in whole.items()]


def _existing(handler: Handler, blueprint: Blueprint, sources: Mapping[str, str], *, flask: bool) -> list[FileChange] | None:
    """The decorator of a limiter that is there."""
    for home in (handler.home.module, *parsed(sources).values()):
        for node in ast.walk(home.tree):
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=func)) if dotted(func).rpartition(".")[2] == "Limiter":
                    module = handler.home.module
                    if home is module:
                        return _changed(_put(handler.home, name, flask=flask))
                    if name in module.imports:
                        return _changed(_put(handler.home, name, flask=flask))
                    alias, needs = imported(module, home.file, blueprint.entry)
                    return _changed(needs + _put(handler.home, f"{alias}.{name}", flask=flask))
    return None


def _put(place: Place, name: str, *, flask: bool) -> Draft:
    draft = limited(place.module, place.node, f'@{name}.limit("{_RATE if flask else "10/minute"}")'.replace('"', place.module.quote), request=not flask)
    return draft if isinstance(draft, Draft) else halt(draft.reason)


def _beside(handler: Handler, blueprint: Blueprint, sources: Mapping[str, str], *, flask: bool) -> list[FileChange] | None:  # noqa: ARG001 - one shape for all ways
    """A new limiter where the application is made, in the handler's own file and in front of it."""
    module, node = handler.home.module, handler.home.node
    app = _application(module)
    if app is None or app.lineno > node.lineno:
        return None
    if module.enclosing(app) is not None and module.enclosing(app) is not module.enclosing(node):
        return None
    draft = made(module, app, flask=flask)
    return _changed((draft if isinstance(draft, Draft) else halt(draft.reason)) + _put(handler.home, "limiter", flask=flask))


def _apart(handler: Handler, blueprint: Blueprint, sources: Mapping[str, str], *, flask: bool) -> list[FileChange] | None:
    """A new limiter in a module of its own, imported by the handler's file and by the one that makes the application."""
    entry = blueprint.entry
    homes = [module for module in parsed(sources).values() if _application(module) is not None]
    homes.sort(key=lambda each: (entry is None or each.file != entry.file, len(each.file)))
    if not homes:
        return None
    app = _application(homes[0])
    assert app is not None
    folder = PurePosixPath(homes[0].file).parent
    taken = set(sources)
    place = next((f"{(folder / name).as_posix()}.py" for name in _NAMES if f"{(folder / name).as_posix()}.py" not in taken), None) or halt("the project has modules of the names that this mend would give its own")
    drafts = []
    for module in {each.file: each for each in (homes[0], handler.home.module)}.values():
        alias, needs = imported(module, place, entry)
        draft = needs
        if module is homes[0]:
            there = registered(module, app, f"{alias}.limiter", flask=flask)
            draft += there if isinstance(there, Draft) else halt(there.reason)
        if module.file == handler.home.module.file:
            draft += _put(handler.home, f"{alias}.limiter", flask=flask)
        drafts.append(draft)
    return [*_changed(*drafts), FileChange(place, "", _FLASK if flask else _FASTAPI)]


def _application(module: Module) -> ast.Assign | None:
    """The statement that makes the application object."""
    for node in ast.walk(module.tree):
        match node:
            case ast.Assign(targets=[ast.Name()], value=ast.Call(func=func)) if dotted(func).rpartition(".")[2] in {"Flask", "FastAPI"}:
                return node
    return None
