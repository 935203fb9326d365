"""Owns how a module of its own is put beside an application and told of it: where the application is made, the file's name, the one line, the package."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from toughen.codemod.dependencies import declared, named
from toughen.codemod.mechanics import after
from toughen.codemod.module import dotted, halt
from toughen.codemod.naming import imported
from toughen.handling import parsed, within
from toughen.model.patch import FileChange, Patch
from toughen.model.source import Location

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toughen.codemod.draft import Draft
    from toughen.codemod.module import Module
    from toughen.model.blueprint import Blueprint, Entry

_MAKERS = {"Flask", "FastAPI"}


@dataclass(frozen=True, slots=True)
class Application:
    """The statement that makes the application object."""

    module: Module
    statement: ast.Assign | ast.AnnAssign
    name: str
    flask: bool

    @property
    def location(self) -> Location:
        """Where it stands."""
        return Location(self.module.file, self.statement.lineno, None)


def application(entry: Entry | None, sources: Mapping[str, str]) -> Application | None:
    """Where the entry's application is made: in its own file first, else in a file that it imports; None where that is not seen, or several are."""
    modules = parsed(sources)
    near = within(entry, sources)
    found = [each for file, module in modules.items() if file in near for each in _made(module)]
    own = [each for each in found if entry is not None and each.module.file == entry.file]
    wanted = entry.target.partition(":")[2] if entry is not None else ""
    exact = [each for each in own if each.name == wanted]
    for some in (exact, own, found):
        if len(some) == 1:
            return some[0]
    return None


def _made(module: Module) -> list[Application]:
    found = []
    for node in ast.walk(module.tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=func)) | ast.AnnAssign(target=ast.Name(id=name), value=ast.Call(func=func)):
                kind = dotted(func).rpartition(".")[2]
                if kind in _MAKERS:
                    found.append(Application(module, node, name, kind == "Flask"))
    return found


@dataclass(slots=True)
class Wiring:
    """One module that is put beside the application, with its line there."""

    blueprint: Blueprint
    sources: Mapping[str, str]
    app: Application
    file: str = ""
    alias: str = ""
    _drafts: list[Draft] = field(default_factory=list)
    _notes: list[str] = field(default_factory=list)
    _changes: list[FileChange] = field(default_factory=list)
    _others: list[Draft] = field(default_factory=list)
    """Of other files than the application's."""

    def beside(self, names: tuple[str, ...], text: str) -> str:
        """Put a module of one of these names into the application's folder; the name that it is imported by. Raises UnmendableError."""
        folder = PurePosixPath(self.app.module.file).parent
        taken, known = set(self.sources), self.app.module.globals
        stem = next((each for each in names if (folder / each).with_suffix(".py").as_posix() not in taken and each not in known), None)
        self.file = (folder / (stem or halt("the project has modules of the names that this mend would give its own"))).with_suffix(".py").as_posix()
        self.alias, needs = imported(self.app.module, self.file, self.blueprint.entry)
        self._drafts.append(needs)
        self._changes.append(FileChange(self.file, "", text))
        return self.alias

    def install(self, line: str) -> None:
        """Put the line behind the statement that makes the application."""
        self._drafts.append(after(self.app.module, self.app.statement, line))

    def borrow(self, draft: Draft) -> None:
        """Take a draft of the application's file along."""
        self._drafts.append(draft)

    def alter(self, draft: Draft) -> None:
        """Take a draft of any file along. Raises UnmendableError."""
        if draft.module.file == self.app.module.file:
            self.borrow(draft)
            return
        known = next((each for each in self._others if each.module.file == draft.module.file), None)
        self._others = [*(each for each in self._others if each is not known), draft if known is None else known + draft]

    def lay(self, file: str, text: str) -> None:
        """Put a file of another kind into the project, where none of that name is known."""
        if not any(name == file for name, _ in self.blueprint.companions):
            self._changes.append(FileChange(file, "", text))

    def need(self, requirement: str) -> None:
        """Name a package among the project's dependencies."""
        change = declared(self.blueprint.companions, requirement)
        if change is not None:
            self._changes.append(change)
        elif not any(named(text, requirement) for file, text in self.blueprint.companions if "env" not in file):
            self._notes.append(f"Add {requirement} to what the project installs.")

    def patch(self, finding: str, summary: str, note: str, packages: tuple[str, ...] = ()) -> Patch:
        """All of it. Raises UnmendableError."""
        first, *others = self._drafts
        for each in others:
            first += each
        changes = (*(FileChange(each.module.file, each.module.text, each.done()) for each in (first, *self._others)), *self._changes)
        return Patch(finding, changes, summary, " ".join([note, *self._notes]), packages=packages)


def named_after(blueprint: Blueprint) -> str:
    """The prototype's name, as labels want it."""
    return "".join(each if each.isalnum() else "-" for each in blueprint.name.lower()).strip("-") or "app"
