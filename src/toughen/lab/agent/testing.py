"""Owns the project's own tests under the switch: imported once, collected once, and a fork for each run.

Two servers answer the lab. The outer one has loaded the packages that the tests need and nothing of the project's: a run there
imports the project anew, for guards that are asked while it is imported. The inner one is its fork that has collected the tests, and
has run none: no fixture, no event loop and no connection of theirs is there.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

from . import addopts, large, tables, warm
from .spied import Spy
from .switch import install
from .wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from .switch import Switch

_SAID, _USAGE = 600, 4
_SILENT = 60.0
"""Seconds after which a test that does not end is given up."""
_LIMIT = 32 * 1024 * 1024


def main(config_file: str) -> None:
    """Serve until the lab closes its connection."""
    with open(config_file, encoding="utf-8") as file:
        config = json.load(file)
    os.chdir(config["root"])
    sys.path[:0] = [each for each in config["paths"] if each not in sys.path]
    switch = install(config["root"], config["texts"])
    wire = Wire(config["socket"])
    wire.send({"hello": "tests"})
    while True:
        message = wire.receive()
        if message is None:
            os._exit(0)
        if message["do"] == "collect":
            if os.fork() == 0:
                wire.close()
                _collected(config, switch)
                os._exit(0)
        elif message["do"] == "load":
            _load(message["modules"])
            wire.send({"loaded": len(message["modules"])})
        else:
            def anew(out: int, wanted: dict[str, Any]) -> None:
                _fresh(config, switch, out, wanted)

            wire.send({"runs": forked(anew, message["runs"], message["width"], message.get("seconds"))})


def _load(modules: list[str]) -> None:
    for name in modules:
        with contextlib.suppress(BaseException):
            __import__(name)
    gc.collect()
    gc.freeze()


def _fresh(config: dict[str, Any], switch: Switch, out: int, wanted: dict[str, Any]) -> None:
    """A run that imports the project anew, with a guard off from the beginning."""
    switch.off, switch.noting = wanted["off"], bool(wanted.get("noting"))
    if wanted.get("plain"):
        switch.remove()
    # A test may have taken the folder away; what was put back is another of the same name.
    os.chdir(config["root"])
    _run(config, Runs(config, switch, None, out, wanted))


def _collected(config: dict[str, Any], switch: Switch) -> None:
    """Collect, and serve runs from there."""
    wire = Wire(config["socket"])
    wire.send({"hello": "collected"})
    runs = Runs(config, switch, wire, -1, {})
    try:
        said = f"pytest ended with code {_run(config, runs)} before a test was collected"
    except BaseException as error:
        if runs.served:
            raise
        said = f"{type(error).__name__}: {error}"[-_SAID:]
    if not runs.served:
        wire.send({"problem": said, "errors": runs.errors})


def _run(config: dict[str, Any], runs: Runs) -> int:
    import pytest

    if config.get("django"):
        _set_up_django(config["django"])
    arguments = ["-q", "-p", "no:cacheprovider", "--continue-on-collection-errors"]
    code = int(pytest.main([*arguments, *addopts.without(config["root"], config["arguments"]), *config["arguments"]], plugins=[runs]))
    if code == _USAGE and not runs.served:
        # An option of a plugin's that is not here: the tests that do not need it go on without it.
        code = int(pytest.main([*arguments, "-o", "addopts=", *config["arguments"]], plugins=[runs]))
    return code


def _set_up_django(settings: str) -> None:
    import django  # type: ignore[import-untyped]

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", settings)
    django.setup()


class Runs:
    """The plugin by which pytest runs what is asked for."""

    def __init__(self, config: dict[str, Any], switch: Switch, wire: Wire | None, out: int, wanted: dict[str, Any]) -> None:
        self.config = config
        self.switch = switch
        self.wire = wire
        self.out = out
        self.wanted = wanted
        self.served = False
        self.errors: list[list[str]] = []
        self.tests: dict[str, list[Any]] = {}
        self.spy = Spy()
        self.engines: list[Any] = []
        self.items: list[Any] = []
        self.known: dict[str, list[Any]] = {}

    def pytest_collectreport(self, report: Any) -> None:
        """What cannot be collected is told."""
        if report.failed:
            self.errors.append([report.nodeid, str(report.longrepr)[-_SAID:]])

    def pytest_runtestloop(self, session: Any) -> Any:
        """In the inner server: serve; in a run: go on with the tests that are asked for."""
        if self.wire is not None:
            self.served = True
            self._prepared()
            if self._serve(session):
                return True
        else:
            self._prepared()
        chosen = self.wanted.get("tests")
        if chosen is not None:
            known = self.known or _by_name(session.items)
            # Another list, and the old one is kept: a fork that touches the other items gets a copy of every page that they are on.
            self.items, session.items = session.items, [each for name in chosen for each in known.get(name, ())]
        session.config.option.maxfail = self.wanted.get("most", 0)
        self.spy.answer = self.wanted.get("answer", 0)
        return None

    def _prepared(self) -> None:
        """Django's own test databases, where no plugin of the project's makes them."""
        if self.config.get("django") and "pytest_django" not in sys.modules:
            from django.test.runner import DiscoverRunner  # type: ignore[import-untyped]

            # The database of a server is there already where another process of ours began before.
            runner = DiscoverRunner(verbosity=0, interactive=False, keepdb=True)
            runner.setup_test_environment()
            runner.setup_databases()
            from django.db import connections  # type: ignore[import-untyped]

            # A fork takes no connection over; one to a database in memory stays open.
            connections.close_all()

    def _serve(self, session: Any) -> bool:
        """Fork for each run; False in the fork, which goes on to run it."""
        assert self.wire is not None
        self.wire.send({
            "tests": [each.nodeid for each in session.items], "errors": self.errors, "at_import": sorted(self.switch.asked_by),
            "modules": [name for name, each in list(sys.modules.items()) if "-packages" in str(getattr(each, "__file__", None) or "") and not name.startswith(("toughen", "_pytest", "pytest"))],
        })
        # What each fork would do again, and would look for on every page that there is, is done once.
        self.switch.noting, self.switch.asked_by = True, {}
        warm.up_for_tests(lambda: not self.switch.asked_by)
        self.switch.noting = False
        self.engines, self.known = _engines(), _by_name(session.items)
        gc.collect()
        gc.freeze()
        large.gathered()
        home = os.getcwd()
        while True:
            message = self.wire.receive()
            if message is None:
                os._exit(0)
            result = forked(None, message["runs"], message["width"], message.get("seconds"))
            if isinstance(result, tuple):
                self.wire.close()
                with contextlib.suppress(OSError):
                    os.chdir(home)
                _let_go(self.engines)
                self.wire, (self.out, self.wanted) = None, result
                self.switch.off, self.switch.noting = self.wanted["off"], bool(self.wanted.get("noting"))
                self.switch.asked_by = {}
                if self.wanted["off"]:
                    # Which test failed is all that is asked.
                    session.config.option.tbstyle = "no"
                return False
            self.wire.send({"runs": result})

    def pytest_runtest_logstart(self, nodeid: str, location: Any) -> None:
        """Whoever asks a guard from here on is this test; a run tells where it is, should it end there."""
        self.switch.test = self.spy.test = nodeid
        if self.out >= 0:
            with contextlib.suppress(OSError):
                os.write(self.out, f"{nodeid}\n".encode("utf-8", "replace"))

    def pytest_runtest_logfinish(self, nodeid: str, location: Any) -> None:
        """What ends the process behind a test is not that test; where one took the folder away, pytest itself needs another."""
        if self.out >= 0:
            with contextlib.suppress(OSError):
                os.write(self.out, b"\n")
        try:
            os.getcwd()
        except OSError:
            with contextlib.suppress(OSError):
                os.makedirs(self.config["root"], exist_ok=True)
                os.chdir(self.config["root"])

    def pytest_runtest_setup(self, item: Any) -> None:
        """What fixtures send is not the test's."""
        self.spy.active = False

    def pytest_runtest_call(self, item: Any) -> None:
        """What is sent from here on is the test's."""
        if not self.wanted.get("plain") and not self.wanted.get("off"):
            self.spy.ready()
        self.spy.active = True

    def pytest_runtest_teardown(self, item: Any) -> None:
        """What is cleared away is not the test's."""
        self.spy.active = False

    def pytest_runtest_logreport(self, report: Any) -> None:
        """One word a test: the first that is not a pass says it."""
        known = self.tests.setdefault(report.nodeid, [report.nodeid, "passed", 0.0, ""])
        known[2] += report.duration
        if report.failed:
            known[1] = "failed" if report.when == "call" else "error"
            known[3] = _said(report.longrepr)
        elif report.skipped and known[1] == "passed":
            known[1] = "skipped"

    def pytest_sessionfinish(self, session: Any, exitstatus: Any) -> None:
        """A run tells what came of it, and ends: nothing of the project's is run behind it."""
        if self.out < 0:
            return
        told = {"tests": list(self.tests.values()), "asked": {str(number): sorted(tests) for number, tests in self.switch.asked_by.items()}, "errors": self.errors, "requests": self.spy.requests}
        data = json.dumps(told).encode()
        with contextlib.suppress(OSError):
            while data:
                data = data[os.write(self.out, data) :]
        os._exit(0)


def _said(longrepr: Any) -> str:
    """What a test failed with: the error itself, where pytest knows it; else the end of what it shows."""
    crash = getattr(getattr(longrepr, "reprcrash", None), "message", None) or getattr(longrepr, "errorstring", None)
    return str(crash)[:_SAID] if crash else str(longrepr)[-_SAID:]


def _by_name(items: list[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for each in items:
        found.setdefault(each.nodeid, []).append(each)
    return found


def _engines() -> list[Any]:
    """Engines of SQLAlchemy's, but for databases that are in memory only."""
    found = []
    for each in tables.objects("sqlalchemy.engine.base", "Engine"):
        with contextlib.suppress(Exception):
            if each.url.database not in {None, "", ":memory:"} and "mode=memory" not in str(each.url):
                found.append(each)
    return found


def _let_go(engines: list[Any]) -> None:
    """A fork takes no connection over: engines make new ones."""
    for each in engines:
        with contextlib.suppress(Exception):
            each.dispose(close=False)


def forked(work: Callable[[int, dict[str, Any]], None] | None, wanted: list[dict[str, Any]], width: int, seconds: float | None = None) -> Any:
    """What a fork for each run tells within its seconds, so many at once, in order; everything that one started is ended with it.

    None is begun once `seconds` are over; those are told as `unrun`. Without `work`, each fork itself gets (the end of the pipe to write to, its run).
    """
    told: list[dict[str, Any]] = [{"tests": [], "asked": {}, "ended": "unrun"} for _ in wanted]
    over = None if seconds is None else time.monotonic() + seconds
    waiting = list(enumerate(wanted))
    running: dict[int, _Run] = {}
    while waiting or running:
        if over is not None and time.monotonic() >= over:
            waiting.clear()
        while waiting and len(running) < width:
            number, run = waiting.pop(0)
            here, there = os.pipe()
            process = os.fork()
            if process == 0:
                for each in (here, *running):
                    os.close(each)
                os.setsid()
                if work is None:
                    return there, run
                with contextlib.suppress(BaseException):
                    work(there, run)
                os._exit(1)
            os.close(there)
            running[here] = _Run(number, process, time.monotonic() + run["seconds"])
        if not running:
            break
        soonest = min(each.over() for each in running.values())
        ready, _, _ = select.select(list(running), [], [], max(0.0, soonest - time.monotonic()))
        for here in ready:
            part = os.read(here, 1 << 16)
            running[here].data += part
            running[here].heard = time.monotonic()
            if not part or len(running[here].data) > _LIMIT:
                running[here].ended = "done"
        for here in [each for each, run in running.items() if run.ended or run.over() <= time.monotonic()]:
            run_over = running.pop(here)
            os.close(here)
            told[run_over.number] = run_over.end()
    return told


class _Run:
    """One fork on its way."""

    def __init__(self, number: int, process: int, until: float) -> None:
        self.number = number
        self.process = process
        self.until = until
        self.heard = time.monotonic()
        self.data = bytearray()
        self.ended = ""

    def over(self) -> float:
        """When it is given up: for its own time, or for a test that does not end."""
        return min(self.until, self.heard + _SILENT)

    def end(self) -> dict[str, Any]:
        """End what is left of it, and read what it told."""
        with contextlib.suppress(OSError):
            os.killpg(self.process, signal.SIGKILL)
        with contextlib.suppress(OSError):
            os.kill(self.process, signal.SIGKILL)
        with contextlib.suppress(OSError):
            os.waitpid(self.process, 0)
        tests, _, last = bytes(self.data).rpartition(b"\n")
        try:
            told = json.loads(last)
        except ValueError:
            within = tests.rpartition(b"\n")[2].decode("utf-8", "replace")[:_SAID]
            return {"tests": [], "asked": {}, "ended": "died" if self.ended else "hung", "within": within}
        return {**told, "ended": "done"}
