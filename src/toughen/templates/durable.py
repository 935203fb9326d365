"""Owns the text of the module by which a mended FastAPI project resumes the work that it accepted, also after its process was ended."""

from __future__ import annotations

TABLES = (
    "dbos_migrations", "workflow_status", "notifications", "workflow_events", "streams", "workflow_events_history", "workflow_schedules", "application_versions", "queues", "workflow_input",
    "workflow_output", "operation_outputs",
)  # fmt: skip
"""Tables in which DBOS keeps what it knows (docs.dbos.dev/explanations/system-tables)."""


def module(name: str) -> str:
    """The whole module; `name` is the application's."""
    return f'''"""Work that goes on after an answer is written down first (DBOS, docs.dbos.dev): what a process left undone, the next one does at its start.

A function with `@DBOS.workflow()` begins anew when it is resumed; let each step that must not be done twice be a function with
`@DBOS.step()`. Where it is written down says DBOS_SYSTEM_DATABASE_URL; several instances need PostgreSQL.
"""

import os
from contextlib import asynccontextmanager

from dbos import DBOS


def install(app):
    """Resume what was left undone when this application starts."""
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(application):
        DBOS(config={{"name": "{name}", "system_database_url": os.environ.get("DBOS_SYSTEM_DATABASE_URL", "sqlite:///dbos.sqlite")}})
        DBOS.launch()
        try:
            async with inner(application) as state:
                yield state
        finally:
            DBOS.destroy()

    app.router.lifespan_context = lifespan
'''
