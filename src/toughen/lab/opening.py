"""Owns how a prototype is brought up: copied into a throw-away world, booted, and given what it turns out to lack."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from toughen.errors import AgentLostError, BootError
from toughen.lab import environment as environments
from toughen.lab import migrations
from toughen.lab.boot import IMPORT_SECONDS, Lab
from toughen.lab.child import Record
from toughen.lab.copying import copy_project, roomy, sweep, texts
from toughen.lab.elsewhere import missing, wanted
from toughen.lab.lacks import Lacks
from toughen.lab.sandbox import held
from toughen.lab.servers import kind_of, serve
from toughen.lab.snapshot import World
from toughen.lab.variables import asked_for, fitting, wants_file, written
from toughen.lab.wire import Listener
from toughen.tidying import tidying

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.lab.environment import Environment
    from toughen.model.blueprint import Entry

_MOST_MISSING = 6
_AGENT = Path(__file__).with_name("agent")


@contextlib.contextmanager
def open_lab(
    root: Path, entry: Entry, environment: Environment, variables: dict[str, str], *, import_seconds: float = IMPORT_SECONDS, server: str = ""
) -> Iterator[Lab]:
    """Copy the project into a throw-away world and boot it; everything is gone when the context ends.

    `server` gives it a server of its own: `postgresql` or `mysql`. Raises BootError, and LabError where there is no such server to
    be had. The world lies in memory-backed storage where there is room.
    """
    sweep(roomy())
    work = Path(tempfile.mkdtemp(prefix=f"toughen-{os.getpid()}-", dir=roomy()))
    listener: Listener | None = None
    lab: Lab | None = None
    servers = contextlib.ExitStack()
    try:
        # The folder keeps its name: where it is a package, its modules are imported by that name.
        project = work / "world" / (entry.package or (root.name if root.name.isidentifier() else "project"))
        copy_project(root, project)
        shutil.copytree(_AGENT, work / "agent" / "toughen_agent", ignore=shutil.ignore_patterns("__pycache__"))
        listener = Listener(work / "agent.sock")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        world = World(work / "world", work / "pristine", servers.enter_context(serve(server)))
        world.elsewhere = _elsewhere(world.root, project, variables)
        lab = Lab(work, project, world, environment, entry, variables, listener, import_seconds=import_seconds, root=root, _port=port)
        _boot_with_what_is_missing(lab)
        _read_schema(lab)
        yield lab
    finally:
        with tidying():
            if lab is not None:
                lab.beside.close()
                lab.stop()
                lab.world.close()
            if listener is not None:
                listener.close()
            servers.close()
            shutil.rmtree(work, ignore_errors=True)


def _elsewhere(world: Path, project: Path, variables: dict[str, str]) -> tuple[str, ...]:
    """Folders that only the box will show; they are made in the world, with what the source names below them."""
    named = wanted(texts(project), variables)
    outermost = tuple(dict.fromkeys(filter(None, map(missing, named))))
    for folder in named:
        above = missing(folder)
        if above:
            (held(world, above) / os.path.relpath(folder, above)).mkdir(parents=True, exist_ok=True)
    return outermost


def _read_schema(lab: Lab) -> None:
    """Where a library serves the prototype's own OpenAPI document, ask for it."""
    if lab.facts.get("openapi"):
        return
    for path in lab.facts.get("specs") or ():
        with contextlib.suppress(AgentLostError):
            child = lab.child()
            request = {"method": "GET", "target": str(path), "headers": [["Host", "localhost"]], "body_b64": ""}
            answer = child.serve(request, Record(sql=0)).response
            child.close()
            if answer is not None and answer.status == 200 and isinstance(answer.json, dict) and "paths" in answer.json:  # noqa: PLR2004
                lab.facts["openapi"] = answer.json
                return


def _made_folder(lab: Lab, said: str) -> bool:
    """Make the folder that is not there, in the copy: git keeps no empty ones (uploads, static files, logs)."""
    match = re.search(r"[Dd]irectory '([^'\n]+)' does not exist|No such file or directory: '([^'\n]+)'", said)
    if match is None:
        return False
    place = lab.imports / (match.group(1) or str(Path(match.group(2)).parent))
    try:
        if place.exists() or not place.resolve().is_relative_to(lab.project.resolve()):
            return False
        place.mkdir(parents=True)
    except (OSError, ValueError, RuntimeError):
        # A name that no folder can have, or one below a file.
        return False
    return True


def _own_module(lab: Lab, said: str) -> bool:
    """Whether the module that is not found belongs below a folder or a file of the project's own: no package of others fills that gap."""
    match = re.search(r"No module named ['\"]([A-Za-z_]\w*)\.", said)
    return match is not None and any((lab.imports / f"{match.group(1)}{end}").exists() for end in ("", ".py"))


def _boot_with_what_is_missing(lab: Lab) -> None:
    """Boot; where a package is missing that the project forgot to name, or a variable that nothing told of, add it and boot again.

    Raises BootError where it cannot be imported; where only its start-up fails, that is remembered.
    """
    tabled = False
    lacks = Lacks.of(lab.project, lab.environment)
    lab.environment = lacks.supplied(lab.environment)
    filed = [folder for folder in dict.fromkeys([lab.project, lab.imports]) if wants_file(folder)]
    for _ in range(_MOST_MISSING):
        for folder in filed:
            (folder / ".env").write_text(written(lab.variables), encoding="utf-8")
        imported = False
        try:
            lab.boot()
            imported = True
            lacks.keep()
            return lab.begin()
        except BootError as error:
            said = f"{error.message} {error.hint}"
            package = None if _own_module(lab, said) else environments.missing(said)
            extended = environments.extend(lab.environment, package) if package else None
            wanted = {name: value for name, value in asked_for(said, server=kind_of(lab.world.server)).items() if name not in lab.variables} or fitting(said, lab.variables)
            if extended is None and not wanted and not _made_folder(lab, said):
                if not imported and not tabled and migrations.wanted(said):
                    tabled = migrations.made_tables(lab)
                    if tabled:
                        continue
                if not imported:
                    raise
                lab.unstarted = error
                return None
            if package is not None and extended is not None:
                lacks.met.append(package)
                lab.environment = extended
            lab.variables.update(wanted)
    return lab.boot()
