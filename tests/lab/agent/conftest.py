"""Owns the lab's side of the agent's socket for its tests: real processes, real apps, a socket in a temporary folder."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

AGENT = Path(__file__).parents[3] / "src" / "toughen" / "lab" / "agent"
RECORD = {"sql": 2, "demand": False, "lines": False, "markers": []}

EMPTY: dict[str, Any] = {
    "statements": [], "failure": None, "handled": [], "demands": [], "sightings": [], "lines": [], "last_line": None, "outgoing": [], "written_files": [],
}  # fmt: skip
BARE: dict[str, Any] = {"sample": [], "place": None, "error": None}


class Wire:
    """One connection from an agent process."""

    def __init__(self, stream: socket.socket) -> None:
        """Give up after 20 seconds: no test waits for ever."""
        self.stream = stream
        stream.settimeout(20)
        self.hello = self.receive()

    def send(self, message: dict[str, Any]) -> None:
        """Send one frame."""
        body = json.dumps(message).encode()
        self.stream.sendall(struct.pack(">I", len(body)) + body)

    def receive(self) -> dict[str, Any]:
        """The next frame; EOFError when the process is gone."""
        (length,) = struct.unpack(">I", self._exactly(4))
        message: dict[str, Any] = json.loads(self._exactly(length))
        return message

    def ask(self, **message: object) -> dict[str, Any]:
        """Send one frame and return the answer."""
        self.send(message)
        return self.receive()

    def begin(self, *requests: tuple[Any, ...], **record: object) -> None:
        """Send a batch of (method, target, body, headers), of which the last two may be missing."""
        self.send({"do": "serve", "requests": [request(*each) for each in requests], "record": {**RECORD, **record}})

    def serve(self, *requests: tuple[Any, ...], **record: object) -> list[dict[str, Any]]:
        """Serve a batch; the EXCHANGEs, each with its body decoded under `body`."""
        self.begin(*requests, **record)
        return [self.exchange() for _ in requests]

    def exchange(self) -> dict[str, Any]:
        """The next EXCHANGE, with what the agent leaves out because it is empty."""
        told = self.receive()
        if "status" in told:
            told = {**EMPTY, "body": base64.b64decode(told.pop("body_b64", "")), **told}
            told["statements"] = [{**BARE, **each} for each in told["statements"]]
        return told

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self.stream.recv(size - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data


class Host:
    """One booted prototype."""

    def __init__(self, python: str, root: Path, entry: str | None, **config: object) -> None:
        """Start the agent as the lab does: in the prototype's interpreter, copied under its public name, with a configuration file."""
        self.root = root
        # A Unix socket's path has room for about a hundred bytes.
        self._folder = Path(tempfile.mkdtemp())
        shutil.copytree(AGENT, self._folder / "toughen_agent", ignore=shutil.ignore_patterns("__pycache__"))
        self._listener = socket.socket(socket.AF_UNIX)
        self._streams: list[socket.socket] = []
        self._listener.bind(str(self._folder / "s"))
        self._listener.listen(20)
        self._listener.settimeout(20)
        settings = {
            "socket": str(self._folder / "s"),
            "root": str(root),
            "sys_path": [str(root)],
            "cwd": str(root),
            "entry": entry,
            "mode": "fork",
            "outbound": None,
            "body_limit": 1 << 16,
            **config,
        }
        (self._folder / "c.json").write_text(json.dumps(settings))
        self.process = subprocess.Popen(
            [python, "-m", "toughen_agent", str(self._folder / "c.json")],
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(self._folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.server = self._accepted()
        self.told = self.server.receive()
        self._number = 0

    @property
    def facts(self) -> dict[str, Any]:
        """FACTS as first told."""
        facts: dict[str, Any] = self.told["ready"]
        return facts

    def _accepted(self) -> Wire:
        stream = self._listener.accept()[0]
        self._streams.append(stream)
        return Wire(stream)

    def order_child(self, *, gate: bool = False, lines: bool = False) -> Wire:
        """Fork a child; its next frame is ready or failed."""
        self._number += 1
        self.server.send({"do": "fork", "id": self._number, "gate": gate, "lines": lines})
        child = self._accepted()
        assert child.hello["id"] == self._number
        return child

    def child(self, *, gate: bool = False, lines: bool = False) -> Wire:
        """Fork a child that is ready."""
        child = self.order_child(gate=gate, lines=lines)
        assert child.receive() == {"ready": {}}
        return child

    def close(self) -> None:
        """End the server, which ends its children."""
        with contextlib.suppress(OSError):
            self.server.send({"do": "quit"})
        for stream in self._streams:
            stream.close()
        try:
            self.process.wait(10)
        finally:
            self.process.kill()
            self.process.wait(5)
            if self.process.stdout:
                self.process.stdout.close()
            self._listener.close()
            shutil.rmtree(self._folder, ignore_errors=True)


@pytest.fixture(scope="module")
def boot(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Callable[..., Host]]:
    """Boot a project given as {path: source}; everything ends with the module."""
    python = str(Path(pytestconfig.getoption("--agent-python")).absolute())
    hosts: list[Host] = []

    def start(files: dict[str, str] | str, entry: str | None = "main:app", interpreter: str = python, **config: object) -> Host:
        root = tmp_path_factory.mktemp("project")
        for name, source in ({"main.py": files} if isinstance(files, str) else files).items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(source))
        hosts.append(Host(interpreter, root, entry, **config))
        return hosts[-1]

    yield start
    for host in hosts:
        host.close()


def request(method: str, target: str, body: object = None, headers: dict[str, str] | None = None) -> dict[str, Any]:
    """A REQUEST; a body that is no bytes travels as JSON."""
    named = [[name, value] for name, value in (headers or {}).items()]
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        named.append(["content-type", "application/json"])
    return {"method": method, "target": target, "headers": named, "body_b64": base64.b64encode(body or b"").decode()}
