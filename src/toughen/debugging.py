"""Owns debug mode: which start of the project's counts, where its source turns debugging on, and how that is left to whoever starts it."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from toughen import settings
from toughen.codemod.mechanics import replace
from toughen.codemod.module import UnmendableError, dotted
from toughen.handling import parsed, within
from toughen.model.finding import Suspicion
from toughen.model.patch import FileChange, Patch, Unmended
from toughen.model.source import Location

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.codemod.draft import Draft
    from toughen.codemod.module import Module
    from toughen.model.blueprint import Blueprint, Entry, Start
    from toughen.model.finding import Finding

_MAKERS = {"FastAPI", "Starlette"}
_DEVELOPMENT = re.compile(r"dev|test|local|debug", re.IGNORECASE)
_TEST = re.compile(r"(?:^|/)(?:tests?|fixtures|conftest|test_[^/]*|[^/]*_test)(?:/|\.py$)")
_BRIEF = "Leave debugging to whoever starts it on his own machine (`flask --app ... run --debug`), and start it elsewhere by a server that has no debugger (gunicorn, uvicorn)."


@dataclass(frozen=True, slots=True)
class Switch:
    """Where the source turns debugging on."""

    module: Module
    node: ast.Constant
    """The `True` that does it."""
    says: str
    flask: bool
    running: bool
    """At the start of Flask's own server, rather than of the application itself."""


def start_of(blueprint: Blueprint, sources: Mapping[str, str]) -> Start | None:
    """The start of Flask's own server that the project means; None where it says that another server runs it."""
    if blueprint.entry is None or any(each.kind == "server" for each in blueprint.starts):
        return None
    for each in blueprint.starts:
        if each.kind == "flask" and each.debug:
            return each
        if each.kind == "script" and _starts_it(each.script, blueprint.entry.file, sources):
            return each
    return None


def _starts_it(script: str, entry: str, sources: Mapping[str, str]) -> bool:
    """Whether a script starts the application of that file: it is that file, or imports it."""
    module = parsed(sources).get(script)
    if script == entry or module is None:
        return script == entry
    stem = entry.removesuffix(".py").removesuffix("/__init__").rpartition("/")[2]
    return any(stem in origin.split(".") for origin in module.imports.values())


def switches(blueprint: Blueprint, sources: Mapping[str, str]) -> tuple[Switch, ...]:
    """`app.run(debug=True)`, `FastAPI(debug=True)`, `app.debug = True`, `DEBUG = True` of a configuration; constants that those name.

    Of what the entry is made of, and of the scripts that start it.
    """
    return _switches(blueprint.entry, tuple(sources.items()))


@lru_cache(maxsize=8)
def _switches(entry: Entry | None, items: tuple[tuple[str, str], ...]) -> tuple[Switch, ...]:
    sources = {file: text for file, text in items if not _TEST.search(file)}
    own = within(entry, sources)
    return tuple(
        each for file, module in parsed(sources).items()
        if "debug" in module.text.lower() and (file in own or (entry is not None and _starts_it(file, entry.file, sources)))
        for node in ast.walk(module.tree) for each in _switched(module, node)
    )


def _switched(module: Module, node: ast.AST) -> Iterator[Switch]:
    match node:
        case ast.Call(func=func, keywords=keywords):
            name = dotted(func).rpartition(".")[2]
            value = next((each.value for each in keywords if each.arg == "debug"), None)
            if value is not None and name in _MAKERS and (found := _true(module, value)) is not None:
                yield Switch(module, found, f"{name}(debug=True) answers every crash with its traceback", flask=False, running=False)
            elif value is not None and name == "run" and _is_flask(module, func) and (found := _true(module, value)) is not None:
                yield Switch(module, found, f"{dotted(func)}(debug=True) serves Werkzeug's debugger", flask=True, running=True)
        case ast.Assign(targets=[target], value=ast.Constant(value=True) as found) if _is_debug(target):
            yield Switch(module, found, f"{module.segment(target)} = True", flask=True, running=False)
        case ast.ClassDef(name=name, body=body) if re.search(r"config|settings", name, re.IGNORECASE) and not _DEVELOPMENT.search(name):
            for each in body:
                match each:
                    case ast.Assign(targets=[ast.Name(id="DEBUG")], value=ast.Constant(value=True) as found):
                        yield Switch(module, found, f"{name}.DEBUG = True", flask=True, running=False)


def _is_debug(target: ast.expr) -> bool:
    """`app.debug`, `app.config["DEBUG"]`."""
    match target:
        case ast.Attribute(value=ast.Name(), attr="debug"):
            return True
        case ast.Subscript(value=ast.Attribute(attr="config"), slice=ast.Constant(value="DEBUG")):
            return True
    return False


def _is_flask(module: Module, func: ast.expr) -> bool:
    """`app.run`, and not `uvicorn.run`."""
    head = dotted(func).partition(".")[0]
    return isinstance(func, ast.Attribute) and module.imports.get(head, "").partition(".")[0] not in {"uvicorn", "asyncio", "subprocess", "hypercorn", "anyio"}


def _true(module: Module, value: ast.expr) -> ast.Constant | None:
    """The literal `True` behind a value, also through a constant of the file."""
    match value:
        case ast.Constant(value=True):
            return value
        case ast.Name(id=name):
            bound = [each.value for each in module.tree.body if isinstance(each, ast.Assign) and any(dotted(target) == name for target in each.targets)]
            return bound[0] if len(bound) == 1 and isinstance(bound[0], ast.Constant) and bound[0].value is True else None
    return None


def suspected(break_id: str, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
    """What turns debugging on where nothing says that another server runs the project."""
    served = any(each.kind == "server" for each in blueprint.starts)
    for each in switches(blueprint, sources):
        guarded = any(isinstance(above, ast.If) and _DEVELOPMENT.search(ast.unparse(above.test)) for above in each.module.ancestors(each.node))
        if not (each.flask and served) and not guarded:
            yield Suspicion(break_id, None, Location(each.module.file, each.node.lineno, None), each.says)
    for start in blueprint.starts:
        if start.kind == "flask" and start.debug:
            yield Suspicion(break_id, None, Location(start.file, 1, None), f"{start.file} starts `flask run` with debugging turned on")


def switched_off(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
    """Every switch of the kind that the proof names is left to the environment."""
    kind = finding.evidence.fact("kind") if finding.evidence else ""
    place = finding.location.file
    found = [each for each in switches(blueprint, sources) if each.flask == (kind == "flask") and (each.module.file == place or not each.running)]
    if not found:
        yield Unmended("what turns debugging on is not seen in the source", _BRIEF)
        return
    try:
        yield _left(finding, sources, found)
    except UnmendableError as error:
        yield Unmended(error.message, _BRIEF)


def _left(finding: Finding, sources: Mapping[str, str], found: list[Switch]) -> Patch:
    project = parsed(sources)
    drafts: dict[str, Draft] = {}
    for each in found:
        module = each.module
        variable = "FLASK_DEBUG" if each.flask else "DEBUG"
        expression, needs = settings.flag(project, module, each.node.lineno, variable)
        for draft in (replace(module, each.node, expression), *needs):
            known = drafts.get(draft.module.file)
            if known is None or not set(draft.edits) <= set(known.edits):
                drafts[draft.module.file] = draft if known is None else known + draft
    changes = [FileChange(draft.module.file, draft.module.text, draft.done()) for _, draft in sorted(drafts.items())]
    variable = "FLASK_DEBUG" if found[0].flask else "DEBUG"
    return Patch(finding.id, tuple(changes), "Leave debugging to the environment, and off without it", f"Set {variable}=1 on your own machine where you want the debugger back.")
