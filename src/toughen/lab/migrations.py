"""Owns how a prototype's tables come to be: by its own migrations, or as its models say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from toughen.errors import AgentLostError

if TYPE_CHECKING:
    from toughen.lab.boot import Lab

_NO_TABLE = re.compile(r"no such table|UndefinedTable|relation \"[^\"\n]+\" does not exist|Table '[^'\n]+' doesn't exist")


def migrate(lab: Lab) -> list[str]:
    """Run the project's migrations; what was done, in words."""
    root = lab.imports
    folder = next((each for each in (root, *root.parents) if each.is_relative_to(lab.project) and (each / "alembic.ini").is_file()), None)
    if folder is not None:
        code, _ = lab.run_script(["-m", "alembic", "upgrade", "head"], cwd=folder)
        return ["ran alembic upgrade head"] if code == 0 else []
    if (root / "migrations" / "env.py").is_file():
        return ["ran flask db upgrade"] if flask(lab, "db", "upgrade") else []
    return []


def flask(lab: Lab, *words: str) -> bool:
    """Run one of the project's Flask commands; the variable names the app, because `--app` is younger (Flask 2.2)."""
    code, _ = lab.run_script(["-m", "flask", *words], cwd=lab.imports, variables={"FLASK_APP": lab.entry.target.removesuffix("()")})
    return code == 0


def wanted(said: str) -> bool:
    """Whether a failure is the want of a table."""
    return _NO_TABLE.search(said) is not None


def made_tables(lab: Lab) -> bool:
    """Make the tables that an import already reads: by migrations, else those of the models that it had come to."""
    if migrate(lab):
        return True
    try:
        # The process whose import failed still holds the models.
        return bool(lab.prepare("create_all").get("did"))
    except (AgentLostError, TimeoutError):
        return False
