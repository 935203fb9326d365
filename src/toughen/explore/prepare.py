"""Owns the preparation of the prototype's database, as the project itself would do it: tables, then seeds."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from toughen.errors import AgentLostError, BootError
from toughen.explore import misplaced, stale
from toughen.explore.outcomes import Depth, depth
from toughen.lab import dumps, migrations

if TYPE_CHECKING:
    from toughen.explore.session import Session
    from toughen.model.trace import Exchange

_SCRIPT = re.compile(r"(^|[_-])(init|create|setup|seed|seeds|populate|bootstrap|fixtures?|reset|initial)([_-]|$).*|^(database|db)$|(^|[_-])seed(er|s)?([_-]|$)", re.IGNORECASE)
_COMMAND = re.compile(r"\.command\(\s*(?:(?:name\s*=\s*)?['\"]([\w-]+)['\"])?[^)\n]*\)(?:\s*\n\s*@[^\n]+)*\s*\n\s*def (\w+)")
_SEED = re.compile(r"seed|populate|fixture|sample|demo|initial", re.IGNORECASE)


def prepare(session: Session, *, missing: bool = False) -> list[str]:
    """Create tables and seeds until no statement fails for want of a table; what was done, in words.

    Order (each step only while tables are missing): the entry's own `__main__` block, migrations, `create_all`,
    scripts of the project that are named for it, its files of SQL. The block is run as well where every page crashes: it may hold what
    the application needs. Raises BootError where its start-up fails to the end.
    """
    done: list[str] = []
    lab = session.lab
    missing = missing or lab.unstarted is not None
    root = lab.imports
    done.extend(_brought_up(session))
    steps = [("main_block", None), ("migrations", None), ("create_all", None), *(("command", each) for each in _commands(session)), *(("script", each) for each in _scripts(session)), ("dump", None)]
    for step, script in steps:
        if not (missing or _missing(session)) and not (step == "main_block" and session.crashing):
            break
        missing = False
        session.reset()
        match step:
            case "main_block" | "create_all":
                lab.world.drop_empty()
                try:
                    told = lab.prepare(step)
                except (AgentLostError, TimeoutError):
                    lab.boot()
                    continue
                done.extend(str(each) for each in told.get("did") or ())
            case "migrations":
                done.extend(migrations.migrate(lab))
            case "command":
                done.extend(_commanded(session, script or ""))
            case "script":
                done.extend(_run(session, script or "", root))
            case "dump":
                done.extend(dumps.load(lab))
        lab.world.discover(lab.opened)
    if lab.unstarted is not None:
        lab.begin()
    done.extend(misplaced.bring(session))
    if lacking := stale.behind(session):
        session.reset()
        done.extend(stale.catch_up(session, lacking))
        with contextlib.suppress(AgentLostError, TimeoutError):
            lab.prepare("create_all")
        lab.world.discover(lab.opened)
    if session.lab.entry.framework == "django" and _empty(session):
        done.extend(_filled(session))
    if _empty(session):
        for script in _scripts(session):
            if _SEED.search(Path(script).stem) and _empty(session):
                session.reset()
                done.extend(_run(session, script, root))
                lab.world.discover(lab.opened)
    session.reset()
    return done


def _brought_up(session: Session) -> list[str]:
    """Bring a database of Django's up to its migrations: what one that lies in the project lacks may show only behind the log-in."""
    if session.lab.entry.framework != "django":
        return []
    session.reset()
    done = migrations.migrate(session.lab)
    session.lab.world.discover(session.lab.opened)
    return done


def _missing(session: Session) -> bool:
    """Look: each GET route without parameters, until a statement fails for want of a table."""
    from toughen.model.journey import Call

    if session.lab.unstarted is not None:
        try:
            session.lab.begin()
        except BootError as error:
            if isinstance(error.__cause__, TimeoutError):
                # What takes too long takes too long with tables as well.
                raise
            return True
    wanted = {table.name.lower() for table in session.blueprint.tables if table.columns}
    there = {name.lower() for name in session.lab.world.tables()}
    session.missing_tables.clear()
    looked: list[Exchange] = []
    for route in session.blueprint.routes:
        if route.method == "GET" and "{" not in route.path and route.id not in session.hung:
            checkpoint = session.lab.world.checkpoint()
            looked.append(session.send(Call(route.id)))
            session.lab.world.rollback(checkpoint)
            if session.missing_tables:
                return True
    session.crashing = bool(looked) and all(depth(each) is Depth.CRASHED for each in looked)
    return bool(wanted) and not wanted & there


def _empty(session: Session) -> bool:
    """Whether nothing is in the tables; those that Django fills by itself do not count."""
    held = session.lab.world.tables()
    if session.lab.entry.framework == "django":
        own = {table.name.lower() for table in session.blueprint.tables if table.location is not None}
        return not any(rows for name, rows in held.items() if name.lower() in own)
    return not any(held.values())


def _filled(session: Session) -> list[str]:
    """Load what a Django project brings along for its tables: fixtures, then commands that are named for it."""
    done: list[str] = []
    fixtures = sorted(file for file in session.lab.project.rglob("fixtures/*") if file.suffix in {".json", ".yaml", ".xml"} and "site-packages" not in file.parts)
    if fixtures:
        session.reset()
        done += ["loaded its fixtures"] if migrations.manage(session.lab, "loaddata", *map(str, fixtures[:20]))[0] else []
    for name in _commands(session):
        if _empty(session):
            session.reset()
            done += _commanded(session, name)
    session.lab.world.discover(session.lab.opened)
    return done


def _scripts(session: Session) -> list[str]:
    """Scripts of the project named for preparing a database, nearest to the entry first."""
    entry = Path(session.blueprint.entry.file).parent if session.blueprint.entry else Path()
    found = [
        file for file in session.sources
        if _SCRIPT.search(Path(file).stem) and not re.search(r"(^|/)(tests?|migrations|alembic)/", file) and Path(file).name != "__init__.py"
    ]
    return sorted(found, key=lambda file: (len(Path(file).parts) + (0 if Path(file).is_relative_to(entry) else 3), bool(_SEED.search(Path(file).stem)), file))[:6]


def _commands(session: Session) -> list[str]:
    """Commands of Flask's that the project adds for preparing a database (`flask init-db`, as its tutorial has it)."""
    if session.lab.entry.framework == "django":
        files = [Path(file) for file in session.sources if "/management/commands/" in f"/{file}" and not Path(file).name.startswith("_")]
        return sorted({file.stem for file in files if _SEED.search(file.stem)})[:4]
    if session.lab.entry.framework != "flask":
        return []
    found = [name or (function or "").removesuffix("_command").replace("_", "-") for text in session.sources.values() for name, function in _COMMAND.findall(text)]
    return sorted({name for name in found if _SCRIPT.search(name)}, key=lambda name: (bool(_SEED.search(name)), name))[:4]


def _commanded(session: Session, name: str) -> list[str]:
    """Run a command of the project's own."""
    if session.lab.entry.framework == "django":
        return [f"ran manage.py {name}"] if migrations.manage(session.lab, name)[0] else []
    return [f"ran flask {name}"] if migrations.flask(session.lab, name) else []


def _run(session: Session, script: str, root: Path) -> list[str]:
    """Run a script as a file, in its own folder; as a module where that fails."""
    file = session.lab.project / script
    folders = list(dict.fromkeys([file.parent, root, session.lab.project]))
    for folder in folders:
        code, _ = session.lab.run_script([str(file)], cwd=folder)
        session.lab.world.discover(session.lab.opened)
        # A database whose name is relative lies where the script was started: the tables may still be missing.
        if code == 0 and (folder == folders[-1] or not _missing(session)):
            return [f"ran {script}"]
    try:
        module = ".".join(file.relative_to(root).with_suffix("").parts)
    except ValueError:
        return []
    code, _ = session.lab.run_script(["-m", module], cwd=root)
    if code == 0:
        return [f"ran python -m {module}"]
    if (root / "__init__.py").is_file():
        # The project's root is itself a package: its modules import each other from one folder up.
        code, _ = session.lab.run_script(["-m", f"{root.name}.{module}"], cwd=root.parent)
        return [f"ran python -m {root.name}.{module}"] if code == 0 else []
    return []
