"""Owns the repair of writes that a function of the project's own runs for the handler: the condition goes where the statement's text stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toughen.codemod import Module, claim_entrusted, must_hit
from toughen.codemod.batches import entrusted
from toughen.codemod.module import UnmendableError
from toughen.handling import called, calls_of, handlers
from toughen.model.patch import FileChange, Patch, Unmended

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from toughen.handling import Handler, Place
    from toughen.model.blueprint import Blueprint
    from toughen.model.finding import Finding

    Conditions = Callable[[str, list[str]], Iterable[tuple[str, tuple[str, ...]]]]
    """What must hold for a statement, from its text and the text of its values: conditions in SQL, with the text of their values."""


def conditional(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str], statement: str, conditions: Conditions) -> Iterator[Patch | Unmended]:
    """Patches that put a condition on a statement of the route's that another function runs; nothing where the handler runs it itself."""
    handler = next((each for each in handlers(blueprint, sources) if each.route.id == finding.route), None)
    runs = finding.evidence.location.function if finding.evidence and finding.evidence.location else None
    for place, runner in _entrusting(handler, statement, runs or "") if handler is not None else ():
        try:
            found = entrusted(place.module, place.node, statement, runner.node.name)
        except UnmendableError as error:
            yield Unmended(str(error))
            continue
        values = [place.module.segment(each) for each in found.values.elts] if found.values is not None else []
        for condition in conditions(" ".join(statement.split()), values):
            changed = _changed(place, runner, statement, condition)
            if isinstance(changed, Unmended):
                yield changed
            else:
                column = condition[0].partition(" ")[0]
                note = f"{runner.node.name} tells its caller by False that a row was not hit which must be; its other callers see no difference."
                yield Patch(finding.id, changed, f"Put the check of {column} into the UPDATE that {runner.node.name} runs", note)


def _changed(place: Place, runner: Place, statement: str, condition: tuple[str, tuple[str, ...]]) -> tuple[FileChange, ...] | Unmended:
    """The function that runs statements learns to tell of a miss, unless it can; then the caller asks it to, also in the same file."""
    taught = must_hit(runner.module, runner.name, line=runner.node.lineno)
    if isinstance(taught, Unmended) and "already" not in taught.reason:
        return taught
    files = {} if isinstance(taught, Unmended) else {runner.module.file: taught.done()}
    home = Module(place.module.file, files.get(place.module.file, place.module.text))
    asked = claim_entrusted(home, place.name, statement, runner.node.name, *condition)
    if isinstance(asked, Unmended):
        return asked
    before = {each.module.file: each.module.text for each in (place, runner)}
    return tuple(FileChange(file, before[file], text) for file, text in (files | {place.module.file: asked.done()}).items())


def _entrusting(handler: Handler, statement: str, runs: str) -> Iterator[tuple[Place, Place]]:
    """(function that holds the statement's text, function of that name that runs it), the handler's own first."""
    wanted = " ".join(statement.split())
    for place in handler.reach:
        if wanted not in " ".join(place.module.segment(place.node).split()):
            continue
        runners = {id(each.node): each for call in calls_of(place.node) if (each := called(place, call, handler.project)) is not None}
        yield from ((place, each) for each in runners.values() if each.name == runs and each.node is not place.node)
