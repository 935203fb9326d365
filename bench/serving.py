"""Owns what recording costs: an app served through the agent, against the same app called raw in its own process."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.measure import Figure, fastest
from toughen.lab import sandbox
from toughen.lab.child import Record
from toughen.lab.environment import Environment
from toughen.lab.opening import open_lab
from toughen.survey import read, survey

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.lab.boot import Lab
    from toughen.lab.child import Child

BOUND = 1.4
ROUNDS = 20
BATCH = 200
NAP = 0.002
APPS = {
    "bare FastAPI": "bare_fastapi",
    "FastAPI + SQLAlchemy": "fastapi_sqlalchemy",
    "Flask + sqlite3": "flask_sqlite",
}
OURS = Environment(Path(sys.executable), f"3.{sys.version_info[1]}", "the environment of this benchmark", cached=True, own=False)
RECORD = Record(sql=1, demand=True).frame()


def figures() -> Iterator[Figure]:
    """One ratio for each app: seconds through the agent, frames over the socket included, over raw seconds."""
    for name, module in APPS.items():
        with project(module) as root, booted(root) as lab, contextlib.closing(Yardstick(lab)) as yardstick:
            bare, whole, singly = _compare(lab, yardstick)
        told = f"raw {bare * 1e6:.0f} us, recorded {whole * 1e6:.0f} us; one request a frame {singly / bare:.2f} x"
        yield Figure(f"serving, {name}", whole / bare, "x raw", at_most=BOUND, beside=told)


def _compare(lab: Lab, yardstick: Yardstick) -> list[float]:
    """Seconds a request: raw, recorded in batches, recorded one by one."""
    child = lab.child()
    batch = requests(BATCH)
    try:
        return fastest(
            ROUNDS,
            lambda: yardstick.seconds(batch),
            lambda: _served(child, batch),
            lambda: _singly(child, batch[: BATCH // 4]),
        )
    finally:
        child.close()


def _served(child: Child, batch: list[dict[str, str]]) -> float:
    """Seconds a request of one frame, until all answers have arrived."""
    frame = {"do": "serve", "record": RECORD, "requests": [_framed(each) for each in batch]}
    began = time.perf_counter()
    child.connection.send(frame)
    answers = _arrived(child.connection.fileno(), len(batch))
    spent = time.perf_counter() - began
    assert all(json.loads(each)["status"] // 100 == 2 for each in answers)  # noqa: PLR2004
    return spent / len(batch)


def _arrived(descriptor: int, count: int) -> list[bytes]:
    """Read in naps: a reader that sleeps in the kernel has to be woken by every answer, at the agent's cost."""
    buffer, at, answers = bytearray(), 0, list[bytes]()
    while len(answers) < count:
        time.sleep(NAP)
        with contextlib.suppress(BlockingIOError):
            buffer += os.read(descriptor, 1 << 20)
        while len(buffer) >= at + 4 and len(buffer) >= (end := at + 4 + int.from_bytes(buffer[at : at + 4], "big")):
            answers.append(bytes(buffer[at + 4 : end]))
            at = end
    return answers


def _singly(child: Child, batch: list[dict[str, str]]) -> float:
    """Seconds a request, each in a frame of its own."""
    frames = [{"do": "serve", "record": RECORD, "requests": [_framed(each)]} for each in batch]
    began = time.perf_counter()
    for frame in frames:
        child.connection.send(frame)
        child.connection.receive(30)
    return (time.perf_counter() - began) / len(batch)


def requests(count: int) -> list[dict[str, str]]:
    """Reads and writes in turns."""
    body = json.dumps({"item": 3, "quantity": 1})
    reading = {"method": "GET", "target": "/items/2?limit=5", "body": ""}
    writing = {"method": "POST", "target": "/orders", "body": body}
    return [reading, writing] * (count // 2)


def _framed(request: dict[str, str]) -> dict[str, Any]:
    body = request["body"].encode()
    headers = [["Host", "localhost"], ["Content-Type", "application/json"], ["Content-Length", str(len(body))]]
    return {**request, "headers": headers, "body_b64": base64.b64encode(body).decode()}


@contextlib.contextmanager
def project(module: str) -> Iterator[Path]:
    """A project of one file in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="toughen-bench") as folder:
        root = Path(folder) / "prototype"
        root.mkdir()
        shutil.copyfile(Path(__file__).parent / "apps" / f"{module}.py", root / "main.py")
        yield root


@contextlib.contextmanager
def booted(root: Path) -> Iterator[Lab]:
    """The project in the lab, by this interpreter."""
    blueprint = survey(read(root))
    assert blueprint.entry is not None
    with open_lab(root, blueprint.entry, OURS, {}) as lab:
        yield lab


class Yardstick:
    """The same app in the same kind of box, called raw."""

    def __init__(self, lab: Lab) -> None:
        """Start it on a copy of the project, on the same file system."""
        place = lab.work / "raw"
        shutil.copytree(lab.project, place)
        shutil.copyfile(Path(__file__).with_name("raw.py"), lab.work / "raw.py")
        pipes = [lab.work / "asked", lab.work / "answered"]
        for pipe in pipes:
            os.mkfifo(pipe)
        self._box = sandbox.start(
            [[sys.executable, str(lab.work / "raw.py"), "main:app", *map(str, pipes)]],
            work=lab.work, cwd=place, python=lab.environment.python, environment=sandbox.scrubbed(lab.work, {}), name="raw",
        )  # fmt: skip
        self._asked = pipes[0].open("w", encoding="utf-8")
        self._answered = pipes[1].open(encoding="utf-8")

    def seconds(self, batch: list[dict[str, str]]) -> float:
        """Seconds a request."""
        self._asked.write(json.dumps(batch) + "\n")
        self._asked.flush()
        return float(self._answered.readline()) / len(batch)

    def close(self) -> None:
        """End it."""
        self._asked.close()
        self._answered.close()
        self._box.close()
