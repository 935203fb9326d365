"""Owns the repair of work that takes long and is lost with its process: it becomes a workflow that is written down and resumed."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from toughen import afterwards
from toughen.codemod import Draft, decorate, halt, replace, use
from toughen.codemod.module import UnmendableError, dotted
from toughen.model.patch import Patch, Unmended
from toughen.templates import durable
from toughen.wiring import Wiring, application, named_after

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.handling import Place
    from toughen.model.blueprint import Blueprint
    from toughen.model.finding import Finding
    from toughen.wiring import Application

_NAMES = ("durable", "durable_work")
_IMPORT = "from dbos import DBOS"
_PACKAGE = "dbos"


def mends(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str], brief: str) -> Iterator[Patch | Unmended]:
    """One patch: the function is a workflow, the handler starts it, and the application resumes what is left at its start."""
    app = application(blueprint.entry, sources)
    site = afterwards.handed_on(finding, blueprint, sources)
    if app is None or site is None:
        yield Unmended("where the application is made, or where the work is handed on, is not seen in the source", brief)
        return
    try:
        yield _patched(finding, blueprint, sources, app, site)
    except UnmendableError as error:
        yield Unmended(str(error), brief)


def _patched(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str], app: Application, site: afterwards.Site) -> Patch:
    if app.flask:
        halt("a workflow begins with the application's lifespan, and Flask has none")
    wiring = Wiring(blueprint, sources, app)
    alias = wiring.beside(_NAMES, durable.module(named_after(blueprint)))
    wiring.install(f"{alias}.install({app.name})")
    wiring.need(_PACKAGE)
    for draft in (_workflow(site.doers[0]), _started(site)):
        wiring.alter(draft)
    name = site.doers[0].node.name
    note = (
        f"{name} is a workflow now: it is written down before the answer, and begins anew where its process ended in between. What it is given must be plain values (numbers, texts); "
        "what it does must do no harm when it is done twice. `pip install dbos` comes with it."
    )
    patch = wiring.patch(finding.id, f"Let {name} be resumed after a restart", note, packages=(_PACKAGE,))
    return Patch(patch.finding, patch.changes, patch.summary, patch.note, rewrites=tuple(f"{each}.*" for each in durable.TABLES), packages=patch.packages)


def _workflow(place: Place) -> Draft:
    """The function that does the work, as a workflow."""
    if not isinstance(place.module.parent(place.node), ast.Module):
        halt(f"{place.node.name} stands inside of something else")
    if place.node.decorator_list:
        halt(f"{place.node.name} has decorators already")
    return decorate(place.module, place.node, "DBOS.workflow()") + use(place.module, _IMPORT)


def _started(site: afterwards.Site) -> Draft:
    """The statement of the handler that hands it on, as the start of a workflow."""
    module = site.home.module
    statement = module.statement_of(site.call)
    function = module.enclosing(site.call) or halt("it is handed on outside of a function")
    name = site.call.func.attr if isinstance(site.call.func, ast.Attribute) else dotted(site.call.func)
    if not isinstance(statement, ast.Expr):
        halt("what hands it on returns something that is used")
    waits = isinstance(site.doers[0].node, ast.AsyncFunctionDef)
    if waits and not isinstance(function, ast.AsyncFunctionDef):
        halt(f"{site.doers[0].node.name} is asynchronous, and its handler is not")
    if name in {"create_task", "ensure_future"}:
        inner = site.call.args[0] if site.call.args and isinstance(site.call.args[0], ast.Call) else halt("what it is given is not seen")
        given = [*(module.segment(each) for each in inner.args), *(f"{each.arg}={module.segment(each.value)}" for each in inner.keywords if each.arg)]
    else:
        given = afterwards.arguments(module, site.call, name)
    start = "await DBOS.start_workflow_async" if waits else "DBOS.start_workflow"
    return replace(module, statement, f"{start}({', '.join([module.segment(site.doer), *given])})") + use(module, _IMPORT)
