"""Owns how a module is put into a Django project: beside its settings or its application, with its line in MIDDLEWARE or its paths in the URLconf."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from toughen.codemod.mechanics import extend, replace, use
from toughen.codemod.module import Span, halt
from toughen.codemod.naming import imported
from toughen.handling import parsed
from toughen.model.patch import FileChange
from toughen.wiring import Application, Wiring

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.codemod.draft import Draft
    from toughen.codemod.module import Module
    from toughen.model.blueprint import Blueprint, Entry

_SETTINGS = "DJANGO_SETTINGS_MODULE"
_DEEPEST = 4


def middleware(blueprint: Blueprint, sources: Mapping[str, str]) -> Application | None:
    """The statement that lists the MIDDLEWARE of the settings in force; None where the project is none of Django's, or the list is not seen."""
    return _setting("MIDDLEWARE", blueprint, sources)


def urlconf(blueprint: Blueprint, sources: Mapping[str, str]) -> Application | None:
    """The statement that lists the `urlpatterns` of the root URLconf; None as above."""
    root = _setting("ROOT_URLCONF", blueprint, sources)
    value = root.statement.value if root is not None else None
    if not isinstance(value, ast.Constant) or not isinstance(value.value, str):
        return None
    module = _module(value.value, blueprint.entry, parsed(sources))
    return _bound(module, "urlpatterns") if module is not None else None


def nobody_mailed(blueprint: Blueprint, sources: Mapping[str, str]) -> bool:
    """Whether what Django mails of errors by default reaches nobody: its settings name no administrators, and set up no logging of their own."""
    return _setting("ROOT_URLCONF", blueprint, sources) is not None and not any(_setting(name, blueprint, sources) for name in ("ADMINS", "LOGGING", "LOGGING_CONFIG"))


def _setting(name: str, blueprint: Blueprint, sources: Mapping[str, str]) -> Application | None:
    if blueprint.framework != "django":
        return None
    named = next((each.default for each in blueprint.environment if each.name == _SETTINGS and each.default), None)
    modules = parsed(sources)
    module = _module(named, blueprint.entry, modules) if named else None
    for each in _above(module, blueprint.entry, modules) if module is not None else ():
        if (found := _bound(each, name)) is not None:
            return found
    return None


def _bound(module: Module, name: str) -> Application | None:
    """The one statement of a file's own that binds a name."""
    found = [each for each in module.tree.body if isinstance(each, ast.Assign) and any(isinstance(one, ast.Name) and one.id == name for one in each.targets)]
    return Application(module, found[-1], name, flask=False) if found else None


def _above(module: Module, entry: Entry | None, modules: Mapping[str, Module], depth: int = 0) -> Iterator[Module]:
    """Settings, and those that they take all of (`from .base import *`)."""
    yield module
    for node in module.tree.body if depth < _DEEPEST else ():
        if isinstance(node, ast.ImportFrom) and any(each.name == "*" for each in node.names):
            folder = PurePosixPath(module.file).parent
            for _ in range(max(node.level - 1, 0)):
                folder = folder.parent
            base = _file((folder / (node.module or "").replace(".", "/")).as_posix(), modules) if node.level else _module(node.module or "", entry, modules)
            if base is not None and base is not module:
                yield from _above(base, entry, modules, depth + 1)


def _module(name: str, entry: Entry | None, modules: Mapping[str, Module]) -> Module | None:
    return _file((PurePosixPath(entry.import_root if entry is not None else ".") / name.replace(".", "/")).as_posix(), modules)


def _file(stem: str, modules: Mapping[str, Module]) -> Module | None:
    return modules.get(f"{stem}.py") or modules.get(f"{stem}/__init__.py")


@dataclass(slots=True)
class Installation(Wiring):
    """One module that is put beside the URLconf or the settings of a Django project, with its lines there."""

    def place(self, names: tuple[str, ...], text: str) -> str:
        """Put a module of one of these names into the folder of the application; the dotted name by which settings know it. Raises UnmendableError."""
        entry = self.blueprint.entry
        folder = PurePosixPath(self._home())
        stem = next((each for each in names if (folder / each).with_suffix(".py").as_posix() not in self.sources), None)
        self.file = (folder / (stem or halt("the project has modules of the names that this mend would give its own"))).with_suffix(".py").as_posix()
        root = PurePosixPath(entry.import_root if entry is not None else ".").parts
        parts = PurePosixPath(self.file).with_suffix("").parts
        if parts[: len(root)] != root:
            halt(f"{self.file} lies outside of what the project imports")
        self._changes.append(FileChange(self.file, "", text))
        return ".".join(parts[len(root) :])

    def _home(self) -> str:
        """The folder of the root URLconf, which is the project's own; else that of the settings."""
        found = urlconf(self.blueprint, self.sources)
        return PurePosixPath((found or self.app).module.file).parent.as_posix()

    def stand(self, dotted: str, *, first: bool = False) -> None:
        """Name a class in MIDDLEWARE: behind all others, or in front of them. Raises UnmendableError."""
        self.borrow(_listed(self.app, f"{self.app.module.literal(dotted)}", first=first))

    def answer(self, lines: list[str]) -> None:
        """Put paths of the module that was placed in front of the others; `{}` in a line is its name. Raises UnmendableError."""
        module = self.app.module
        alias, needs = imported(module, self.file, self.blueprint.entry)
        self.borrow(needs)
        if module.imports.get("path") != "django.urls.path":
            self.borrow(use(module, "from django.urls import path"))
        self.borrow(_listed(self.app, *(line.replace("{}", alias).replace('"', module.quote) for line in lines), first=True))


def _listed(app: Application, *texts: str, first: bool) -> Draft:
    """More elements of the list that a statement binds: on lines of their own where the others have them."""
    module = app.module
    value = app.statement.value
    while isinstance(value, ast.BinOp):
        # `urlpatterns = [...] + static(...)`
        value = value.left
    found = value if isinstance(value, ast.List | ast.Tuple) else None
    if found is None:
        halt(f"{app.name} is put together in {module.file}")
    if not found.elts:
        return replace(module, found, f"[{', '.join(texts)}]" if isinstance(found, ast.List) else f"({', '.join(texts)},)")
    element = found.elts[0] if first else found.elts[-1]
    own_line = element.lineno != found.lineno
    gap = "," + (module.newline + module.indent(element) if own_line else " ")
    if first:
        start = module.span(element).start
        return replace(module, Span(start, start), "".join(text + gap for text in texts))
    return extend(module, element, "".join(gap + text for text in texts))
