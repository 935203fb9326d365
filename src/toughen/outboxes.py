"""Owns the repair of what others are not told where a process ends: it is written down in the transaction of the rows that it is about, and sent from there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toughen import afterwards, probing
from toughen.codemod.module import Module, UnmendableError, halt
from toughen.codemod.naming import imported
from toughen.codemod.outboxes import message, sends, written_down
from toughen.handling import called, calls_of, handlers
from toughen.model.patch import Patch, Unmended
from toughen.templates import outbox
from toughen.wiring import Wiring, application

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.codemod.draft import Draft
    from toughen.handling import Place
    from toughen.model.blueprint import Blueprint
    from toughen.model.finding import Finding
    from toughen.model.source import Location
    from toughen.wiring import Application

_NAMES = ("outbox", "message_outbox", "outgoing_messages")
_MARKS = {"sqlite": "?", "postgresql": "%s"}


def mends(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str], brief: str) -> Iterator[Patch | Unmended]:
    """One patch: the handler writes the message down, and a module beside the application sends it, also after a restart."""
    place = finding.evidence.location if finding.evidence else None
    app = application(blueprint.entry, sources)
    if app is None or place is None:
        yield Unmended("where the application is made, or where it is told, is not seen in the source", brief)
        return
    try:
        yield _patched(finding, blueprint, sources, app, place)
    except (UnmendableError, RecursionError) as error:
        yield Unmended(str(error), brief)


def _patched(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str], app: Application, place: Location) -> Patch:
    kind, database, needs = probing.asked(app, blueprint, sources)
    if kind not in outbox.WAYS:
        halt("its database is asked asynchronously, or by what lives as long as a request")
    mark = _MARKS.get(blueprint.database or "") or halt(f"an outbox in {blueprint.database or 'an unknown database'} is not known")
    home, line, sender = _site(finding, blueprint, sources, place)
    client = "" if sender is not None else message(home.module, home.module.statement(line))[1].client
    wiring = Wiring(blueprint, sources, app)
    alias = wiring.beside(_NAMES, outbox.module(kind, mark, flask=app.flask, postgres=blueprint.database == "postgresql", client=client))
    wiring.borrow(needs)
    wiring.install(f"{alias}.install({app.name}, {database})")
    drafts = [_spoken(written_down(home.module, line, alias, sender=sender.node.name if sender is not None else "", mapped=kind in outbox.MAPPED))]
    if sender is not None:
        drafts.append(_spoken(sends(sender.module, sender.name, alias, line=sender.node.lineno)))
    notes = [each for draft in drafts for each in draft.notes]
    others = {each.module.file: each.module for each in drafts if each.module.file != app.module.file}
    drafts += [_known(module, wiring.file, alias, blueprint) for module in others.values()]
    for draft in drafts:
        wiring.alter(draft)
    what = sender.node.name if sender is not None else "The call"
    note = (
        f"{what} is written down in the table {outbox.TABLE} with the rows that it is about, and made once they are committed, by this process or the next. The answer no longer says whether "
        f"it went well: it is tried again where it fails. Its Idempotency-Key tells whoever gets it twice."
    )
    patch = wiring.patch(finding.id, "Write down what is told outside with its rows, and send it from there", " ".join([note, *notes]))
    return Patch(patch.finding, patch.changes, patch.summary, patch.note, rewrites=(f"{outbox.TABLE}.*",), packages=patch.packages)


def _known(module: Module, file: str, alias: str, blueprint: Blueprint) -> Draft:
    name, draft = imported(module, file, blueprint.entry)
    return draft if name == alias else halt(f"{module.file} would know the module by another name")


def _spoken(draft: Draft | Unmended) -> Draft:
    return draft if not isinstance(draft, Unmended) else halt(draft.reason)


def _site(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str], place: Location) -> tuple[Place, int, Place | None]:
    """(function that commits, line of what tells it there, function that tells it; None where the call itself stands there)."""
    handler = next((each for each in handlers(blueprint, sources) if each.route.id == finding.route), None) or halt("the handler is not seen in the source")
    site = afterwards.handed_on(finding, blueprint, sources)
    if site is not None:
        if len(site.doers) > 1 and site.doers[0].node.name != (place.function or "").rpartition(".")[2]:
            halt(f"{site.doers[0].node.name} does more than to tell it")
        return site.home, site.call.lineno, site.doers[0]
    wanted = (place.function or "").rpartition(".")[2]
    for home in handler.reach:
        if home.module.file == place.file and home.node.lineno <= place.line <= (home.node.end_lineno or 0) and _commits(home):
            return home, place.line, None
        for call in calls_of(home.node):
            inner = called(home, call, handler.project)
            if inner is not None and inner.node.name == wanted and inner.module.file == place.file and _commits(home):
                return home, call.lineno, inner
    return halt("the statement that tells it is not seen beside a commit")


def _commits(place: Place) -> bool:
    return "commit()" in place.module.segment(place.node) or "with " in place.module.segment(place.node)
