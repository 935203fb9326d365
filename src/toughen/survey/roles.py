"""Owns the role literals that the code knows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from toughen.survey.models import enum_values
from toughen.survey.project import Missing, Project, Symbol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toughen.model.blueprint import Route, Table

_COLUMN: Final = re.compile(r"(?:^|_)role$|^user_type$|^account_role$", re.IGNORECASE)
_CLASS: Final = re.compile(r"Roles?$|^Role|UserType$")
_TEST: Final = re.compile(r"(?:^|/)(?:tests?/|test_|conftest)|_test\.py$")


def roles(project: Project, tables: Iterable[Table], routes: Iterable[Route]) -> tuple[str, ...]:
    """Values of enums of roles, values that a role column admits, literals compared with a role, roles that guards ask."""
    found: list[str] = []
    for file, facts in project.facts.items():
        for each in facts.definitions:
            if each.kind == "class" and _CLASS.search(each.name.rpartition(".")[2]):
                found += [value for value in enum_values(project, Symbol(file, each.name)) if isinstance(value, str)]
    for table in tables:
        for column in table.columns:
            if _COLUMN.search(column.name):
                found += [value for value in column.enum if isinstance(value, str) and not _member(value, found)]
    for file, seen in project.sightings("role", "role-name"):
        if _TEST.search(file):
            continue
        if seen.kind == "role":
            found.append(seen.text)
            continue
        target = project.resolve(file, seen.text.removesuffix(".value"))
        value = project.fold(project.value(target), target.file) if isinstance(target, Symbol) else None
        if isinstance(value, str) and not isinstance(value, Missing):
            found.append(value)
    for route in routes:
        for guard in route.guards:
            found += guard.roles
    return tuple(dict.fromkeys(each for each in found if each and len(each) < 60))  # noqa: PLR2004 - no role is a sentence


def _member(value: str, found: list[str]) -> bool:
    """An Enum column holds member names; its values are known already."""
    return value.lower() in {each.lower() for each in found}
