"""Owns literals in the source that look like secrets; their values are never kept whole."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from toughen.model.blueprint import Secret
from toughen.model.source import Location

if TYPE_CHECKING:
    from toughen.survey.project import Project

_TEST: Final = re.compile(r"(?:^|/)(?:tests?|fixtures|conftest|migrations|test_[^/]*|[^/]*_test)(?:/|\.py$)")


def secrets(project: Project) -> tuple[Secret, ...]:
    """Every literal that is bound to the name of a secret, or has a provider's form; tests and migrations left out."""
    found: dict[tuple[str, int], Secret] = {}
    for file, seen in project.sightings("secret"):
        if _TEST.search(file):
            continue
        where = Location(file, seen.line, project.scope(file, seen.line) or None)
        known = found.get((file, seen.line))
        if known is None or not known.name:
            found[file, seen.line] = Secret(seen.text or "literal", seen.detail or "", where)
    return tuple(sorted(found.values(), key=lambda each: each.location))
