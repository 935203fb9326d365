"""Owns the prototype's own tests in a box, on a copy: collected once behind the switch, a process for each run, the files put back after it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from toughen.errors import AgentLostError
from toughen.lab.copying import copy_project
from toughen.lab.servers import kind_of, serve
from toughen.lab.wire import Listener
from toughen.model.mutant import Asked, SuiteRun, TestResult

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from toughen.lab.boot import Lab
    from toughen.lab.sandbox import Box
    from toughen.lab.wire import Connection
    from toughen.model.blueprint import Suite
    from toughen.mutation import Woven

COLLECTING = 120.0
"""Longest time that importing and collecting may take."""
FIRST, COLLECTED = ".first", ".collected"
UNRUN = "unrun"
"""How a run ended whose turn did not come."""
_SAID = 200
_SPARE = 10.0
"""Seconds that the box gets, over those of a run, to end it."""


@dataclass(slots=True)
class Tests:
    """The tests of one tree behind the switch."""

    box: Box
    outer: Connection
    """Runs that import the project anew."""
    inner: Connection | None
    """Runs of what was collected."""
    root: Path
    place: Path
    """Where states of the tree are kept."""
    names: tuple[str, ...] = ()
    errors: tuple[tuple[str, str], ...] = ()
    """(file, what collecting it said)."""
    problem: str = ""
    _states: dict[str, dict[str, tuple[int, int]]] = field(default_factory=dict)
    """Files of the tree (when written, bytes) as they were at first, and once the tests were collected: importing may have made a database."""

    def run(self, off: int, tests: Collection[str] | None, seconds: float, *, fresh: bool, most: int = 1, noting: bool = False, answer: int = 0, plain: bool = False) -> SuiteRun:
        """One run, from the files as they were. Raises AgentLostError where the box is gone."""
        wanted = {"off": off, "tests": None if tests is None else list(tests), "seconds": seconds, "most": most, "noting": noting, "answer": answer, "plain": plain}
        return self._asked([wanted], seconds, 1, fresh=fresh)[0]

    def several(self, runs: Sequence[tuple[int, Collection[str], float]], seconds: float, *, fresh: bool, width: int) -> list[SuiteRun | None]:
        """Runs (guard that is off, tests, seconds) that do not get into each other's way, so many at once; None for one whose turn did not come within so many seconds. Raises AgentLostError."""
        wanted = [{"off": off, "tests": list(tests), "seconds": longest, "most": 1} for off, tests, longest in runs]
        each_on_its_own = sum(longest for _, _, longest in runs)
        told = self._asked(wanted, min(each_on_its_own, seconds + max(longest for _, _, longest in runs)), width, fresh=fresh, begun=seconds)
        return [None if each.ended == UNRUN else each for each in told]

    def _asked(self, wanted: list[dict[str, Any]], seconds: float, width: int, *, fresh: bool, begun: float | None = None) -> list[SuiteRun]:
        inner = None if fresh else self.inner
        self._restore(FIRST if inner is None else COLLECTED)
        connection = inner or self.outer
        connection.send({"do": "run", "runs": wanted, "width": width, "seconds": begun})
        try:
            frames = connection.receive(seconds + _SPARE).get("runs")
        except TimeoutError as error:
            raise AgentLostError("the tests' process no longer answers", subject=self.root) from error
        told = [each if isinstance(each, dict) else {} for each in frames] if isinstance(frames, list) else []
        return [_read(each) for each in (*told, *({} for _ in wanted[len(told) :]))][: len(wanted)]

    def untouched(self) -> bool:
        """Whether the last run left every file as it was."""
        return _files(self.root) in self._states.values()

    def remember(self, state: str) -> None:
        """What is there now is that state."""
        shutil.copytree(self.root, self.place / state, symlinks=True)
        self._states[state] = _files(self.root)

    def _restore(self, state: str) -> None:
        """Put back what was written, made or taken away since."""
        known, now = self._states[state], _files(self.root)
        aside, collected = self.place / ".aside", self._states.get(COLLECTED, {})
        for name in now.keys() - known.keys():
            with contextlib.suppress(OSError):
                if name in collected and not (aside / name).exists():
                    # The process that collected the tests may have it open, and finds it again.
                    (aside / name).parent.mkdir(parents=True, exist_ok=True)
                    (self.root / name).replace(aside / name)
                else:
                    (self.root / name).unlink()
        for name in known if state == COLLECTED else ():
            if (aside / name).exists():
                with contextlib.suppress(OSError):
                    (aside / name).replace(self.root / name)
        now = _files(self.root)
        for name, seen in known.items():
            if now.get(name) != seen:
                with contextlib.suppress(OSError):
                    (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(self.place / state / name, self.root / name)


def _files(root: Path) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for folder, folders, names in os.walk(root):
        folders[:] = [each for each in folders if each != "__pycache__"]
        for name in names:
            path = f"{folder}{os.sep}{name}"
            with contextlib.suppress(OSError):
                status = os.lstat(path)
                found[os.path.relpath(path, root)] = (status.st_mtime_ns, status.st_size)
    return found


def _read(frame: dict[str, Any]) -> SuiteRun:
    """A run as it was told, by a process that may be hostile."""
    tests = tuple(
        TestResult(str(each[0]), str(each[1]) if each[1] in {"passed", "failed", "error", "skipped"} else "error", float(each[2]) if isinstance(each[2], int | float) else 0.0, str(each[3]))
        for each in frame.get("tests") or () if isinstance(each, list) and len(each) == 4  # noqa: PLR2004
    )
    asked = frame.get("asked")
    reached = {int(number): tuple(map(str, by)) for number, by in asked.items() if str(number).isdigit() and isinstance(by, list)} if isinstance(asked, dict) else {}
    requests = tuple(
        Asked(str(each[0]), str(each[1]), str(each[2]), each[3] if isinstance(each[3], int) else 0, bool(each[4]))
        for each in frame.get("requests") or () if isinstance(each, list) and len(each) == 5  # noqa: PLR2004
    )
    ended = frame.get("ended")
    return SuiteRun(tests, reached, requests, ended if ended in {"done", "hung", "died", UNRUN} else "died", within=str(frame.get("within") or ""))


@contextmanager
def suite_of(lab: Lab, tree: Path, suite: Suite, woven: Woven, *, django: str = "") -> Iterator[Tests]:
    """The tests of a tree, on a copy of it; ended with the context. Raises AgentLostError where they cannot be started; `problem` says why none was collected."""
    place = lab.work / "tests"
    shutil.rmtree(place, ignore_errors=True)
    root = place / tree.name
    copy_project(tree, root)
    address = place / "s"
    listener = Listener(address)
    config = place / "tests.json"
    folders = sorted({str(root), *(str((root / each).parent) for each in suite.files)}, key=len)
    # What pytest.ini says of paths holds; the root is on the path as `python -m pytest` has it.
    config.write_text(json.dumps({"root": str(root), "socket": str(address), "texts": woven.texts, "paths": [*folders[:1], *([str(root / lab.entry.import_root)] if lab.entry.import_root not in {"", "."} else [])], "arguments": list(suite.files), "django": django}))
    start = f"import sys; sys.path.insert(0, {str(lab.work / 'agent')!r}); from toughen_agent.testing import main; sys.path.pop(0); main({str(config)!r})"
    try:
        with serve(kind_of(lab.world.server)) as server:
            box = lab.start_script(["-c", start], cwd=root, server=server, apart=place)
            tests = None
            try:
                tests = _begun(listener, box, root)
                yield tests
            finally:
                box.close()
                for each in (tests.outer, tests.inner) if tests is not None else ():
                    if each is not None:
                        each.close()
    finally:
        listener.close()


def _begun(listener: Listener, box: Box, root: Path) -> Tests:
    try:
        _, outer = listener.accept(COLLECTING, hello="tests", alive=box.alive)
    except (TimeoutError, AgentLostError) as error:
        raise AgentLostError(f"the tests cannot be started: {box.output()[-300:].strip()}", subject=root) from error
    tests = Tests(box, outer, None, root, root.parent)
    tests.remember(FIRST)
    outer.send({"do": "collect"})
    try:
        _, inner = listener.accept(COLLECTING, hello="collected", alive=box.alive)
        frame = inner.receive(COLLECTING)
    except (TimeoutError, AgentLostError) as error:
        tests.problem = f"the tests cannot be collected: {'it takes too long' if isinstance(error, TimeoutError) else 'their process ends while it imports them (os._exit, a signal, no memory)'}"
        return tests
    tests.errors = tuple((str(each[0]), str(each[1])) for each in frame.get("errors") or () if isinstance(each, list) and len(each) == 2)  # noqa: PLR2004
    if "tests" not in frame:
        said = next((each for each in reversed(box.output().splitlines()) if ": error: " in each or (each.startswith(("ERROR: ", "E  ", "INTERNALERROR>")) and "usage: " not in each)), "")
        tests.problem = str(frame.get("problem") or "nothing was collected") + (f": {' '.join(said.split())[:_SAID]}" if said else "")
        return tests
    tests.inner, tests.names = inner, tuple(map(str, frame["tests"]))
    outer.send({"do": "load", "modules": [str(each) for each in frame.get("modules") or ()]})
    with contextlib.suppress(TimeoutError):
        outer.receive(COLLECTING)
    tests.remember(COLLECTED)
    return tests
