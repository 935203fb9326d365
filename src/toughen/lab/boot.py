"""Owns the life of a booted prototype: its throw-away copy, its box, the server process, and the children that serve."""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toughen.errors import AgentLostError, BootError
from toughen.lab import observe, sandbox, servers, tools
from toughen.lab.child import Child, WholeChild
from toughen.lab.outbox import Outbox
from toughen.lab.settled import Settled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toughen.lab.environment import Environment
    from toughen.lab.servers import Server
    from toughen.lab.snapshot import World
    from toughen.lab.wire import Connection, Listener
    from toughen.model.blueprint import Entry, Json

IMPORT_SECONDS = 60.0
"""Longest time that importing the prototype may take."""
FORK_SECONDS = 20.0
BODY_LIMIT = 1 << 20
"""Bytes of an answer that are kept."""
_ATTEMPTS = 4
_ANSWERED = "answers:"
_STREWN, _CONTENT = "file:", "This file was put here so that there is one."
_TYPED = "y\n" * 40
"""What scripts of the project are answered that ask whoever started them: for a password, or whether to go on."""
_AGENT = Path(__file__).with_name("agent")


@dataclass(slots=True)
class Lab:
    """A booted prototype in its throw-away world."""

    work: Path
    project: Path
    world: World
    environment: Environment
    entry: Entry
    variables: dict[str, str]
    listener: Listener
    box: sandbox.Box | None = None
    server: Connection | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    whole: bool = False
    """True where forking is unsafe: every child is a process of its own from the start."""
    fallback_reason: str = ""
    boots: int = 0
    written: set[str] = field(default_factory=set)
    """Files that trials wrote, restored with the snapshot."""
    opened: set[str] = field(default_factory=set)
    steps: tuple[str, ...] = ()
    """What prepared the memory of the server process: done again whenever it is booted again."""
    import_seconds: float = IMPORT_SECONDS
    ended: bool = False
    """True once it was told to end: nothing boots it again."""
    root: Path | None = None
    """The project as it lies with its owner: read, never written."""
    beside: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    """What is opened for it and ends before it."""
    unstarted: BootError | None = None
    """Why its start-up fails, as long as it does: it may want tables that are made later."""
    settled: Settled = field(init=False)
    outbox: Outbox = field(init=False)
    _boxes: list[sandbox.Box] = field(default_factory=list)
    _children: list[Child] = field(default_factory=list)
    _laid: int = 0
    _number: int = 0
    _port: int = 0

    def __post_init__(self) -> None:
        """Nothing is settled yet, and nothing sent."""
        self.outbox = Outbox(self.work / "outbox")
        self.settled = Settled(self.world, self._settle)
        self.world.let_go = self._let_go

    @property
    def imports(self) -> Path:
        """The folder that imports start from, and the working directory."""
        return self.project.parent if self.entry.package else self.project / self.entry.import_root

    @property
    def _sockets(self) -> tuple[str, ...]:
        """Folders of the sockets that the prototype reaches its servers by."""
        return (str(self.world.server.socket),) if self.world.server else ()

    def _elsewhere(self, root: Path) -> dict[str, str]:
        found = {folder: sandbox.held(root, folder) for folder in self.world.elsewhere}
        for place in found.values():
            place.mkdir(parents=True, exist_ok=True)
        return {folder: str(place) for folder, place in found.items()}

    def place(self, name: str) -> Path | None:
        """Where a file or folder that the prototype names lies for us: in the copy, or in a folder that only its box shows; None where it lies anywhere else."""
        if Path(name).is_absolute():
            seen = Path(self.world.seen_from_here(name))
            shown = self.box is not None and any(name == each or name.startswith(each + os.sep) for each in self.box.elsewhere())
            return seen if shown and seen.resolve().is_relative_to((self.world.root / sandbox.PRIVATE).resolve()) else None
        place = self.imports / name
        return place if place.resolve().is_relative_to(self.project.resolve()) else None

    def note(self, frame: dict[str, Any]) -> None:
        """Remember which files and databases a request touched, and tell what it sent outside."""
        self.outbox.fill(frame)
        self.written.update(str(each) for each in frame.get("written_files") or ())
        for each in frame.get("databases") or ():
            path = each.get("path") if isinstance(each, dict) else each
            if isinstance(path, str) and path not in self.opened:
                self.opened.add(path)
                self.world.discover(self.opened)

    def boot(self) -> None:
        """Start the server process and import the prototype. Raises BootError with what went wrong and where."""
        self.stop()
        if self.ended:
            raise AgentLostError("this boot was ended")
        self.boots += 1
        self.box = self._start(f"boot{self.boots}", mode="fork")
        try:
            _, self.server = self.listener.accept(self.import_seconds, hello="server", alive=self.box.alive)
            self.facts = self._ready(self.server, self.import_seconds)
        except (TimeoutError, AgentLostError) as error:
            output = self.box.output()
            hung = isinstance(error, TimeoutError)
            self.stop()
            said = f"importing it took longer than {self.import_seconds:.0f} s" if hung else "its process ended while it was imported"
            raise BootError(f"the prototype did not boot: {said}", subject=self.entry, hint=output[-800:].strip()) from error
        reason = self.facts.get("fork")
        if isinstance(reason, str) and reason != "safe":
            self.whole, self.fallback_reason = True, reason
        for each in self.facts.get("databases") or ():
            if isinstance(each, dict) and isinstance(each.get("path"), str):
                self.opened.add(each["path"])
        self.world.discover(self.opened)
        self.redo(self.steps)

    def redo(self, steps: tuple[str, ...]) -> None:
        """Prepare the memory of the server process as it was; the databases stay as they are."""
        self.steps = ()
        before = self.world.checkpoint() if steps else {}
        for step in steps:
            if step.startswith(_STREWN):
                self.strew(step.removeprefix(_STREWN))
                continue
            if step.startswith(_ANSWERED):
                with contextlib.suppress(ValueError):
                    self.answer(json.loads(step.removeprefix(_ANSWERED)))
                continue
            with contextlib.suppress(AgentLostError, TimeoutError):
                self.prepare(step)
        self.world.rollback(before)

    def _start(self, name: str, *, mode: str, started: str = "") -> sandbox.Box:
        config = self.work / f"{name}.json"
        root = self.imports
        config.write_text(
            json.dumps(
                {
                    "socket": str(self.work / "agent.sock"),
                    "root": str(self.project),
                    "sys_path": [str(root)],
                    "cwd": str(root),
                    "entry": self.entry.target,
                    "mode": mode,
                    "started": started,
                    "outbound": ["127.0.0.1", self._port],
                    **servers.told(self.world.server),
                    "body_limit": BODY_LIMIT,
                }
            )
        )
        python = str(self.environment.python)
        agent = self.work / "agent"
        environment = sandbox.scrubbed(self.work, {"PATH": tools.lay(self.work), **self.variables, "PYTHONPATH": str(agent)})
        box = sandbox.start(
            [
                [python, "-I", str(agent / "toughen_agent" / "fault_server.py"), str(self._port), str(agent / "toughen_agent" / "fault_server.pem"), str(self.outbox.path), str(self.work / "answers")],
                [python, "-m", "toughen_agent", str(config)],
            ],
            work=self.work, cwd=root, python=self.environment.python, environment=environment, name=name, readable=self._sockets,
            elsewhere=self._elsewhere(self.world.root),
        )
        self._boxes = [*(each for each in self._boxes if each.alive()), box]
        return box

    def _ready(self, connection: Connection, timeout: float) -> dict[str, Any]:
        deadline = time.monotonic() + timeout
        while True:
            frame = connection.receive(max(0.01, deadline - time.monotonic()))
            self._started(frame)
            if "ready" in frame:
                return dict(frame["ready"] or {})

    def _started(self, frame: dict[str, Any]) -> None:
        """Raise BootError where the agent says that the import or the start-up failed."""
        if "failed" in frame:
            failure = frame["failed"].get("failure") or {}
            where = observe.place(failure.get("place"))
            message = f"the prototype did not boot: {failure.get('type')}: {failure.get('message')}"
            raise BootError(message + (f" ({where})" if where else ""), subject=failure, hint=observe.own_frames(str(failure.get("traceback") or ""), self.project))

    def prepare(self, step: str, timeout: float = 60.0) -> dict[str, Any]:
        """Have the server process prepare its database (`main_block`, `create_all`). Raises AgentLostError, TimeoutError."""
        if self.server is None:
            raise AgentLostError("the prototype is not running")
        self.server.send({"do": "prepare", "step": step})
        told = dict(self.server.receive(timeout).get("prepared") or {})
        self.steps = (*self.steps, step)
        return told

    def strew(self, name: str) -> bool:
        """Put a small text file into the throw-away copy, at a path relative to where the prototype runs, or into a folder that only its box shows; whether there is one now."""
        place = self.place(name)
        if place is None:
            return False
        if not place.exists():
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(f"{_CONTENT}\n", encoding="utf-8")
            except OSError:
                return False
        self.steps = (*self.steps, _STREWN + name)
        return place.is_file()

    def answer(self, bodies: dict[str, Json]) -> None:
        """Have the world outside answer so: bodies of JSON by host and path (`api.example.com /v1/rates`). It counts from the next request on."""
        (self.work / "answers").write_text(json.dumps(bodies), encoding="utf-8")
        kept = tuple(step for step in self.steps if not step.startswith(_ANSWERED))
        self.steps = (*kept, _ANSWERED + json.dumps(bodies)) if bodies else kept

    def refresh(self) -> None:
        """Ask the server for its facts again, after it was prepared."""
        if self.server is not None:
            self.server.send({"do": "facts"})
            self.facts = self._ready(self.server, 30)

    def start_script(self, arguments: list[str], *, cwd: Path, variables: Mapping[str, str] | None = None, server: Server | None = None, apart: Path | None = None) -> sandbox.Box:
        """Start the prototype's interpreter on something of the project's, in the same kind of box; whoever starts it closes it.

        Its connections to a database server lead to the lab's server, or to another `server` where it must not meet what the prototype serves; then
        its folders outside the project lie `apart`, too.
        """
        self._number += 1
        led = server or self.world.server
        environment = sandbox.scrubbed(self.work, {**self.variables, **(variables or {}), **(self._led(led) if led else {})})
        typed = self.work / f"script{self._number}.typed"
        typed.write_text(_TYPED)
        return sandbox.start(
            [[str(self.environment.python), *arguments]],
            work=self.work, cwd=cwd, python=self.environment.python, environment=environment, name=f"script{self._number}",
            readable=(str(led.socket),) if led else (), elsewhere=self._elsewhere(apart or self.world.root),
            stdin=typed,
        )

    def _led(self, server: Server) -> dict[str, str]:
        """Variables by which a script's drivers find the server, and the server's own programs that it starts."""
        config = self.work / f"script{self._number}.json"
        config.write_text(json.dumps({**servers.told(server), "outbound": None, "root": str(self.project)}))
        return {**server.variables, "PYTHONPATH": str(self.work / "agent" / "toughen_agent" / "site"), "TOUGHEN_AGENT": str(config)}

    def run_script(self, arguments: list[str], *, cwd: Path, timeout: float = 60.0, variables: Mapping[str, str] | None = None) -> tuple[int | None, str]:
        """The same, to its end: (exit code, None where it was ended for its time; output)."""
        box = self.start_script(arguments, cwd=cwd, variables=variables)
        try:
            return box.finish(timeout), box.output()
        finally:
            box.close()

    def child(self, *, gate: bool = False, lines: bool = False, restored: bool = False, started: str = "") -> Child:
        """A fresh process with the memory that the prototype had after its start-up. Raises AgentLostError.

        Where the databases are just `restored`, it may come from a process whose start-up saw the same. `started` serves
        what the prototype's own start serves (see Trial).
        """
        failed: Exception | None = None
        for attempt in range(_ATTEMPTS):
            if failed is not None and (attempt > 1 or self.server is None or not self._lives()):
                self.boot()
            try:
                return self._child(gate=gate, lines=lines, restored=restored, started=started)
            except (AgentLostError, BootError, TimeoutError) as error:
                failed = error
                self.settled.drop("it was lost")
        raise AgentLostError(f"no process of the prototype's comes as far as to serve: {str(failed) or 'it takes too long'}", subject=self.entry) from failed

    def begin(self) -> None:
        """Go through the prototype's start-up once. Raises BootError with what it says."""
        try:
            self._child(gate=False, lines=False).close()
        except (AgentLostError, TimeoutError) as error:
            raise BootError(f"the prototype does not start up: {str(error) or 'it takes too long'}", subject=self.entry) from error
        self.unstarted = None

    def _child(self, *, gate: bool, lines: bool, restored: bool = False, started: str = "") -> Child:
        if self.whole:
            self._number += 1
            return self._whole_child(self._number, started)
        if self.world.laid != self._laid:
            # What the server has open since its import is no longer there.
            self._laid = self.world.laid
            self.boot()
        source = self.settled.connection() if restored and not lines and not started else None
        connection, _ = self.forked({"gate": gate, "lines": lines, "started": started}, source=source)
        return self._held(Child(connection, self.note, lines=lines))

    def _held(self, child: Child) -> Child:
        """The child, remembered until it is closed."""
        self._children = [*(each for each in self._children if each.open), child]
        return child

    def _let_go(self) -> None:
        """End every child: one of them keeps a database locked."""
        for child in self._children:
            child.kill()
        self._children = []

    def forked(self, order: dict[str, Any], *, hello: str = "child", source: Connection | None = None) -> tuple[Connection, dict[str, Any]]:
        """A process that the server, or another `source`, forks, and what it says when it is ready.

        Raises BootError where the start-up fails, AgentLostError, TimeoutError.
        """
        server = source or self.server
        if server is None:
            raise AgentLostError("the prototype is not running")
        self._number += 1
        number = self._number
        server.send({"do": "fork", "id": number, **order})
        _, connection = self.listener.accept(FORK_SECONDS, hello=hello, number=number, alive=self._lives)
        try:
            return connection, self._ready(connection, FORK_SECONDS)
        except (BootError, TimeoutError, AgentLostError):
            connection.kill()
            raise

    def _settle(self) -> tuple[Connection, str]:
        """A process that goes through the start-up and forks children from there, and whether it can: "safe", or why not."""
        if not self.facts.get("lifespan"):
            raise AgentLostError("its framework knows no start-up")
        connection, told = self.forked({"settle": True}, hello="settled")
        return connection, str(told.get("fork") or "it does not say")

    def _lives(self) -> bool:
        return self.box is not None and self.box.alive()

    def _whole_child(self, number: int, started: str = "") -> Child:
        box = self._start(f"whole{number}", mode="whole", started=started)
        connection: Connection | None = None
        try:
            _, connection = self.listener.accept(self.import_seconds, hello="server", alive=box.alive)
            self._ready(connection, self.import_seconds)
            # Its start-up comes with its first order.
            connection.send({"do": "rows"})
            self._started(connection.receive(FORK_SECONDS))
        except (TimeoutError, AgentLostError, BootError):
            if connection is not None:
                connection.kill()
            box.close()
            raise
        return self._held(WholeChild(connection, self.note, box=box))

    def restore(self) -> None:
        """Go back to the snapshot. All children must have ended."""
        self.world.restore(self.written)

    def end(self) -> None:
        """Have whoever works on this lab, in another thread, come to an end soon."""
        self.ended = True
        for box in self._boxes:
            box.process.kill()

    def level(self) -> str:
        """The active sandbox level, in words."""
        return self.box.level() if self.box else ""

    def elsewhere(self) -> tuple[str, ...]:
        """What a reader must know of the folders outside the project that its source keeps files in, in words."""
        shown = self.box.elsewhere() if self.box else ()
        lost = [each for each in self.world.elsewhere if each not in shown]
        had = (f"outside the project it keeps files in {', '.join(shown)}, which this machine lacks: in the sandbox it has folders of its own there",) if shown else ()
        return (*had, *((f"it keeps files in {', '.join(lost)}, which this machine lacks and this sandbox cannot show: what needs them is not reached",) if lost else ()))

    def stop(self) -> None:
        """End the server and all its children."""
        self.settled.forget()
        if self.server is not None:
            self.server.close()
            self.server = None
        if self.box is not None:
            self.box.close()
            self.box = None
