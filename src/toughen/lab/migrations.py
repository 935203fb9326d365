"""Owns how a prototype's tables come to be: by its own migrations, or as its models say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from toughen.errors import AgentLostError

if TYPE_CHECKING:
    from pathlib import Path

    from toughen.lab.boot import Lab

_NO_TABLE = re.compile(r"no such table|UndefinedTable|relation \"[^\"\n]+\" does not exist|Table '[^'\n]+' doesn't exist")


def migrate(lab: Lab) -> list[str]:
    """Run the project's migrations; what was done, in words."""
    if lab.entry.framework == "django":
        return _manage(lab)
    root = lab.imports
    folder = next((each for each in (root, *root.parents) if each.is_relative_to(lab.project) and (each / "alembic.ini").is_file()), None)
    if folder is not None:
        code, _ = lab.run_script(["-m", "alembic", "upgrade", "head"], cwd=folder)
        return ["ran alembic upgrade head"] if code == 0 else []
    if (root / "migrations" / "env.py").is_file():
        return ["ran flask db upgrade"] if flask(lab, "db", "upgrade") else []
    return []


def further(lab: Lab, before: Path | None = None) -> list[str]:
    """Run the migrations that a tree has beyond those of the project `before`, or any that are due; the state is taken anew where some ran."""
    def known(root: Path) -> set[str]:
        return {each.relative_to(root).as_posix() for each in root.rglob("*.py") if each.parent.name in {"versions", "migrations"}}

    told = migrate(lab) if known(lab.project) - (known(before) if before is not None else set()) else []
    if told:
        lab.world.take()
    return told


def _manage(lab: Lab) -> list[str]:
    """Django's own: migrations are made for apps that have models and none, as whoever started the project did on his machine."""
    told = []
    labels = _unmigrated(lab)
    if labels and manage(lab, "makemigrations", "--noinput", *labels)[0]:
        told.append(f"made migrations of {', '.join(labels)}")
    done, said = manage(lab, "migrate", "--noinput")
    if "have changes that are not yet reflected in a migration" in said and manage(lab, "makemigrations", "--noinput")[0]:
        told.append("made the migrations that its models lack")
        done, said = manage(lab, "migrate", "--noinput")
    if not done:
        done, said = manage(lab, "migrate", "--noinput", "--run-syncdb")
    return [*told, "ran manage.py migrate"] if done and (told or "No migrations to apply" not in said) else told


def _unmigrated(lab: Lab) -> list[str]:
    """Apps of the project's that have models and no migrations."""
    found = []
    for file in sorted(lab.imports.rglob("models*")):
        app = file.parent
        own = file.name in {"models.py", "models"} and "site-packages" not in file.parts and "node_modules" not in file.parts
        if own and not any((app / "migrations").glob("0*.py")) and _has_models(file):
            found.append(app.name)
    return found


def _has_models(file: Path) -> bool:
    files = [file] if file.is_file() else sorted(file.glob("*.py"))
    return any(re.search(rb"^class \w+\(.*(Model|Abstract\w*User)\b", each.read_bytes(), re.MULTILINE) for each in files)


def manage(lab: Lab, *words: str) -> tuple[bool, str]:
    """Run one of the project's management commands; whether it went well, and what it said."""
    own = (lab.imports / "manage.py").is_file()
    code, said = lab.run_script([*(["manage.py"] if own else ["-m", "django"]), *words], cwd=lab.imports, timeout=120)
    return code == 0, said


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
