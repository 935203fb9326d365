"""Owns what finding a race costs: forced schedules, against pairs fired at the running server and against frontrun, on the same handlers in one run."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.measure import Figure
from bench.serving import OURS
from toughen.lab.credentials import Wallet
from toughen.lab.opening import open_lab
from toughen.lab.target import LabTarget
from toughen.model.blueprint import Place
from toughen.model.journey import Argument, Call, Journey, Literal
from toughen.rule import Holds, Traces
from toughen.rules import named
from toughen.survey import join, read, survey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from toughen.model.trace import Trace
    from toughen.model.trial import Trial

APPS = {"Flask + sqlite3": "shop_flask", "FastAPI + SQLAlchemy": "shop_fastapi"}
ROUTE = "POST /items/{item}/buy"
SCHEDULES = 5.0
"""Schedules that a pair may need in the median."""
ROUNDS, MOST = 5, 400
"""How often each way looks for the bug, and pairs that are fired before it counts as not found."""
NEEDS = ("flask", "fastapi", "sqlalchemy", "uvicorn", "frontrun[process]==0.7.*")
LIMIT = 300.0


@dataclass(frozen=True, slots=True)
class Found:
    """What one way of looking took until the bug showed."""

    attempts: float
    seconds: float
    shown: bool = True


def figures() -> Iterator[Figure]:
    """For each app: schedules and seconds until the race shows, and what the others need beside it."""
    with tempfile.TemporaryDirectory(prefix="toughen-bench") as folder:
        python = _environment(Path(folder) / "environment")
        for name, module in APPS.items():
            root = Path(folder) / module
            root.mkdir()
            shutil.copy(Path(__file__).parent / "apps" / f"{module}.py", root)
            ours = _median([_forced(root, module) for _ in range(ROUNDS)])
            yield Figure(f"schedules a pair, {name}", ours.attempts, "schedules", at_most=SCHEDULES, beside=f"{ours.seconds * 1000:.0f} ms with the serial runs, median of {ROUNDS}")
            with _server(python, root, module) as port:
                fired = _median([_fired(port, root / "shop.db") for _ in range(ROUNDS)])
            yield _ratio(f"pairs fired at the server, {name}", fired, ours)
            for way in ("dpor", "random"):
                theirs = _median([_frontrun(python, root, module, way) for _ in range(ROUNDS)])
                yield _ratio(f"frontrun {way}, {name}", theirs, ours)


def _ratio(name: str, theirs: Found, ours: Found) -> Figure:
    if not theirs.shown:
        return Figure(name, theirs.seconds, "s", beside=f"not shown, after {theirs.attempts:.0f} attempts")
    return Figure(name, theirs.seconds / ours.seconds, "x our seconds", beside=f"{theirs.attempts:.0f} attempts, {theirs.seconds * 1000:.0f} ms, median of {ROUNDS}")


def _median(found: list[Found]) -> Found:
    shown = [each for each in found if each.shown] or found
    return Found(statistics.median(each.attempts for each in shown), statistics.median(each.seconds for each in shown), any(each.shown for each in found))


def _environment(place: Path) -> Path:
    """The interpreter of an environment with the apps' packages and the others' tools."""
    for words in (["venv", "--quiet", str(place)], ["pip", "install", "--quiet", "--python", str(place / "bin" / "python"), *NEEDS]):
        subprocess.run([sys.executable, "-m", "uv", *words], check=True, timeout=LIMIT)
    return place / "bin" / "python"


# -- ours --------------------------------------------------------------------------------------------------------------


class _Counting:
    """A target whose forced schedules are counted."""

    def __init__(self, target: LabTarget) -> None:
        self._target = target
        self.schedules = 0

    def run(self, trial: Trial) -> Trace:
        self.schedules += trial.schedule is not None
        return self._target.run(trial)


def _forced(root: Path, module: str) -> Found:
    """Schedules and seconds from a known journey until the race is judged to be one; the boot is not counted, as the server's start is not."""
    sources = read(root)
    entry = survey(sources).entry
    assert entry is not None
    rule = named("race/check-then-act")
    assert rule is not None
    with open_lab(root, entry, OURS, {}) as lab:
        target = LabTarget(lab, join(survey(sources), lab.facts, sources), Wallet())
        call = Call(ROUTE, (Argument(Place.PATH, ("item",), Literal(1)),))
        target.learned[ROUTE] = journey = Journey(ROUTE, (call,), 200, anonymous=True)
        lab.world.take()
        route = target.blueprint.route(ROUTE)
        assert route is not None, module
        target.honest(ROUTE)
        counting = _Counting(target)
        began = time.perf_counter()
        for experiment in rule.experiments(target, route, journey):
            if isinstance(rule.judge(experiment, Traces(counting.run, experiment.trials)), Holds):
                return Found(counting.schedules, time.perf_counter() - began)
    return Found(counting.schedules, time.perf_counter() - began, shown=False)


# -- pairs -------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _server(python: Path, root: Path, module: str) -> Iterator[int]:
    """The app as its own server runs it: the framework's threads, or two workers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    flask = [str(python), "-m", "flask", "--app", module, "run", "--port", str(port)]
    asgi = [str(python), "-m", "uvicorn", f"{module}:app", "--workers", "2", "--port", str(port), "--log-level", "critical"]
    with subprocess.Popen(flask if "flask" in module else asgi, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        try:
            _until(lambda: _post(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) > 0)
            yield port
        finally:
            running.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.wait(10)
            running.kill()


def _until(holds: Callable[[], bool]) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError):
            if holds():
                return
        time.sleep(0.05)
    message = "the server does not come up"
    raise TimeoutError(message)


def _fired(port: int, database: Path) -> Found:
    """Pairs of requests that leave at the same moment, the stock put back to one before each, until both buy it."""
    began, barrier = time.perf_counter(), threading.Barrier(2)
    connections = [http.client.HTTPConnection("127.0.0.1", port, timeout=10) for _ in range(2)]
    for attempt in range(1, MOST + 1):
        with contextlib.closing(sqlite3.connect(database)) as live:
            live.execute("UPDATE items SET stock = 1 WHERE id = 1")
            live.commit()
        statuses: list[int] = []

        def one(connection: http.client.HTTPConnection, into: list[int] = statuses) -> None:
            barrier.wait(10)
            into.append(_post(connection))

        threads = [threading.Thread(target=one, args=(each,)) for each in connections]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        if statuses == [200, 200]:
            return Found(attempt, time.perf_counter() - began)
    return Found(MOST, time.perf_counter() - began, shown=False)


def _post(connection: http.client.HTTPConnection) -> int:
    connection.request("POST", "/items/1/buy")
    answer = connection.getresponse()
    answer.read()
    return answer.status


# -- frontrun ----------------------------------------------------------------------------------------------------------


def _frontrun(python: Path, root: Path, module: str, way: str) -> Found:
    """Its own count of what it explored, and its seconds until it shows the bug; the start of the interpreter is not counted."""
    script = Path(__file__).with_name("frontrunning.py")
    done = subprocess.run(
        [str(python.with_name("frontrun")), str(python), str(script), module, way], cwd=root, env={"PYTHONPATH": str(root), "PATH": f"{python.parent}:/usr/bin:/bin"},
        capture_output=True, text=True, timeout=LIMIT, check=False,
    )  # fmt: skip
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    assert lines, (done.stdout + done.stderr)[-2000:]
    told = json.loads(lines[-1])
    return Found(float(told["attempts"]), float(told["seconds"]), bool(told["shown"]))
