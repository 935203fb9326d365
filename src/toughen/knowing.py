"""Owns the repair of requests that are not known again: a module that keeps idempotency keys in a table, and the line that puts it in front of the application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toughen import probing
from toughen.codemod.module import UnmendableError, halt
from toughen.middleware import Installation, middleware
from toughen.model.patch import Patch, Unmended
from toughen.templates import idempotency
from toughen.wiring import Wiring, application

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint
    from toughen.model.finding import Finding

_NAMES = ("idempotency", "idempotency_keys", "done_once")
_NOTE = f"Keys are kept in the table {idempotency.TABLE}, which makes itself; who sends a key again gets the first answer, and 409 where the first one never came to its end."
_MARKS = {"sqlite": "?", "postgresql": "%s", "mysql": "%s"}


def mends(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str], key: str, brief: str) -> Iterator[Patch | Unmended]:
    """One patch: keys are kept in the database that the project has, before the request is done."""
    if blueprint.framework == "django":
        yield _django(finding, blueprint, sources, key, brief)
        return
    app = application(blueprint.entry, sources)
    if app is None:
        yield Unmended("where the application is made is not seen, or there are several", brief)
        return
    try:
        kind, database, needs = probing.asked(app, blueprint, sources)
        if kind == "async-engine":
            halt("its database is asked asynchronously alone")
        if key.startswith("json") and not app.flask:
            halt("the key stands in the body, which a middleware of this framework reads too early")
        mark = _MARKS.get(blueprint.database or "") or halt("its database is unknown")
        wiring = Wiring(blueprint, sources, app)
        alias = wiring.beside(_NAMES, idempotency.module(kind, key, mark, flask=app.flask))
        wiring.borrow(needs)
        wiring.install(f"{alias}.install({app.name}, {database})" if app.flask else f"{app.name}.add_middleware({alias}.Idempotency, database={database})")
        patch = wiring.patch(finding.id, f"Do requests with the same key ({key.partition(' ')[2]}) once", _NOTE)
    except UnmendableError as error:
        yield Unmended(str(error), brief)
        return
    yield Patch(patch.finding, patch.changes, patch.summary, patch.note, rewrites=(f"{idempotency.TABLE}.*",), packages=patch.packages)


def _django(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str], key: str, brief: str) -> Patch | Unmended:
    """The same as a middleware of Django's, over the connection of its settings."""
    listed = middleware(blueprint, sources)
    if listed is None:
        return Unmended("the list of its middleware is not seen", brief)
    try:
        wiring = Installation(blueprint, sources, listed)
        wiring.stand(f"{wiring.place(_NAMES, idempotency.django(key))}.Idempotency")
        patch = wiring.patch(finding.id, f"Do requests with the same key ({key.partition(' ')[2]}) once", _NOTE)
    except UnmendableError as error:
        return Unmended(str(error), brief)
    return Patch(patch.finding, patch.changes, patch.summary, patch.note, rewrites=(f"{idempotency.TABLE}.*",), packages=patch.packages)
