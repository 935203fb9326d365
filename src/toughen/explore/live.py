"""Owns the tables that only the live database knows: made by a mapper or a script that the survey does not read."""

from __future__ import annotations

import contextlib
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from toughen.lab.databases import REFUSED

if TYPE_CHECKING:
    from toughen.lab.snapshot import World
    from toughen.model.blueprint import Blueprint, Table

_OWN = re.compile(r"migration|alembic_version", re.IGNORECASE)


def completed(blueprint: Blueprint, world: World) -> Blueprint:
    """The Blueprint with every table of the databases that it does not know."""
    known = {table.name.lower() for table in blueprint.tables if table.columns}
    found: dict[str, Table] = {}
    for database in world.databases:
        with contextlib.suppress(*REFUSED):
            for table in database.described():
                if table.name.lower() not in known and not _OWN.search(table.name):
                    found.setdefault(table.name.lower(), table)
    if not found:
        return blueprint
    kept = (table for table in blueprint.tables if table.name.lower() not in found)
    return replace(blueprint, tables=(*kept, *found.values()))
