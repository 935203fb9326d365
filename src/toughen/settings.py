"""Owns how a mended project reads what must not stand in its source: from its own settings, or from the environment, and the sample that names it."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toughen.codemod.draft import Draft, Edit
from toughen.codemod.mechanics import after, use
from toughen.codemod.module import Module, UnmendableError, dotted
from toughen.model.patch import FileChange

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toughen.model.blueprint import Blueprint

_SAMPLES = (".env.example", ".env.sample", ".env.template", ".env.dist", "env.example", "example.env")
_BASES = {"BaseSettings"}


@dataclass(frozen=True, slots=True)
class Settings:
    """A class of pydantic-settings and the object that a module makes of it."""

    module: Module
    node: ast.ClassDef
    name: str
    made: ast.stmt

    def has(self, field: str) -> str:
        """The field of that name, in whatever case; "" where there is none."""
        return next((each.target.id for each in self.node.body if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name) and each.target.id.lower() == field.lower()), "")

    def styled(self, field: str) -> str:
        """The field's name as the class writes its others: upper case or lower."""
        names = [each.target.id for each in self.node.body if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)]
        return field.upper() if names and sum(each.isupper() for each in names) * 2 >= len(names) else field.lower()


def settings_of(project: Mapping[str, Module]) -> Settings | None:
    """The one settings object of a project, None where there is none or several."""
    found: list[Settings] = []
    for module in project.values():
        classes = [each for each in module.tree.body if isinstance(each, ast.ClassDef) and any(dotted(base).rpartition(".")[2] in _BASES for base in each.bases)]
        for node in classes:
            for each in module.tree.body:
                match each:
                    case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=func)) if dotted(func) == node.name:
                        found.append(Settings(module, node, name, each))
    return found[0] if len(found) == 1 else None


def read(project: Mapping[str, Module], module: Module, line: int, variable: str) -> tuple[str, list[Draft]]:
    """(expression, drafts that it needs) by which a file reads a variable at a line. Raises UnmendableError."""
    own = settings_of(project)
    if own is not None and _visible(own, module, line):
        field = own.has(variable)
        draft = Draft(own.module)
        if not field:
            field = own.styled(variable)
            draft = _field(own, field)
        name = own.name if own.module is module else next(key for key, value in module.imports.items() if value.rpartition(".")[2] == own.name)
        return f"{name}.{field}", [draft] if draft.edits else []
    for name, origin in module.imports.items():
        if origin == "decouple.config":
            return f"{name}({module.literal(variable)})", []
    return f"os.environ[{module.literal(variable)}]", [use(module, "import os")]


def flag(project: Mapping[str, Module], module: Module, line: int, variable: str) -> tuple[str, list[Draft]]:
    """The same for a switch that is off where nobody sets it."""
    own = settings_of(project)
    if own is not None and _visible(own, module, line) and (field := own.has(variable)):
        return f"{own.name}.{field}", []
    return f"os.environ.get({module.literal(variable)}) == {module.literal('1')}", [use(module, "import os")]


def several(project: Mapping[str, Module], module: Module, line: int, variable: str, default: list[str]) -> tuple[str, list[Draft]]:
    """The same for a list of texts, which the environment separates by commas, and pydantic's settings write as JSON."""
    own = settings_of(project)
    if own is not None and _visible(own, module, line):
        field = own.has(variable) or own.styled(variable)
        values = ", ".join(own.module.literal(each) for each in default)
        lines = f"{field}: list[str] = [{values}]"
        fields = [each for each in own.node.body if isinstance(each, ast.AnnAssign)]
        return f"{own.name}.{field}", [after(own.module, fields[-1], lines)] if fields and not own.has(variable) else []
    return f"os.environ.get({module.literal(variable)}, {module.literal(','.join(default))}).split({module.literal(',')})", [use(module, "import os")]


def _visible(own: Settings, module: Module, line: int) -> bool:
    """Whether a file has the settings object at hand at that line."""
    if own.module is module:
        return (own.made.end_lineno or own.made.lineno) < line
    stem = own.module.file.rpartition("/")[2].removesuffix(".py")
    return any(value.rpartition(".")[2] == own.name and stem in value for value in module.imports.values())


def _field(own: Settings, field: str) -> Draft:
    """A field without a default: in front of the first that has one, so that every reader sees at once what must be set."""
    fields = [each for each in own.node.body if isinstance(each, ast.AnnAssign)]
    if not fields:
        message = f"{own.node.name} declares no field beside which another could stand"
        raise UnmendableError(message)
    first = next((each for each in fields if each.value is not None), fields[-1])
    if first.value is None:
        return after(own.module, first, f"{field}: str")
    at = own.module.line_start(own.module.span(first).start)
    return Draft(own.module, (Edit(at, at, f"{own.module.indent(first)}{field}: str{own.module.newline}"),))


def sample(blueprint: Blueprint, variable: str, comment: str, value: str = "") -> FileChange | None:
    """The project's sample of its environment with one variable more, or a new one; None where it names the variable already."""
    known = next(((file, text) for file, text in blueprint.companions if file in _SAMPLES), (".env.example", ""))
    file, text = known
    if re.search(rf"^\s*#?\s*(export\s+)?{re.escape(variable)}\s*=", text, re.MULTILINE):
        return None
    gap = "" if not text or text.endswith("\n") else "\n"
    return FileChange(file, text, f"{text}{gap}# {comment}\n{variable}={value}\n")
