"""The lab's end of the wire, against a process that may say anything."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from toughen.errors import AgentLostError
from toughen.lab.wire import FRAME_LIMIT, Connection, Listener

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def pair() -> Iterator[tuple[Connection, socket.socket]]:
    """The lab's connection, and the socket of the hostile side."""
    ours, theirs = socket.socketpair()
    connection = Connection(ours)
    yield connection, theirs
    theirs.close()
    connection.close()


def frame(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


def test_frames_arrive_whole_and_in_order(pair: tuple[Connection, socket.socket]) -> None:
    """Frames that come in pieces or several at once are read one by one."""
    connection, theirs = pair
    stream = frame(b'{"a": 1}') + frame(json.dumps({"b": "x" * 5000}).encode())
    theirs.sendall(stream[:3])
    theirs.sendall(stream[3:])
    assert connection.receive(2) == {"a": 1}
    assert len(connection.receive(2)["b"]) == 5000


@pytest.mark.parametrize("body", [b"[]", b"null", b"{", b"\xff\xfe", b"", b"[" * 100_000, b'{"a": ' * 15_000])
def test_nonsense_is_an_error_and_no_crash(pair: tuple[Connection, socket.socket], body: bytes) -> None:
    """A frame that is no JSON object ends in AgentLostError, deep nesting included."""
    connection, theirs = pair
    theirs.sendall(frame(body))
    with pytest.raises(AgentLostError):
        connection.receive(2)


def test_a_frame_that_is_too_long_is_not_waited_for(pair: tuple[Connection, socket.socket]) -> None:
    """A length beyond the limit is refused before anything is kept."""
    connection, theirs = pair
    theirs.sendall(struct.pack(">I", FRAME_LIMIT + 1))
    with pytest.raises(AgentLostError):
        connection.receive(2)


def test_silence_and_dripping_end_in_time(pair: tuple[Connection, socket.socket]) -> None:
    """A side that sends nothing, or half a frame, is given up on after the time-out."""
    connection, theirs = pair
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        connection.receive(0.2)
    theirs.sendall(b"\x00\x00")
    with pytest.raises(TimeoutError):
        connection.receive(0.2)
    assert time.monotonic() - began < 2


def test_a_closed_stream_is_told(pair: tuple[Connection, socket.socket]) -> None:
    """Reading from, and writing to, a process that is gone ends in AgentLostError."""
    connection, theirs = pair
    theirs.close()
    with pytest.raises(AgentLostError):
        connection.receive(1)
    with pytest.raises(AgentLostError):
        connection.send({"x": "y" * 1_000_000})


def test_strangers_do_not_pass_for_the_child_that_was_asked_for(tmp_path: Path) -> None:
    """The listener hands out the connection with the right hello and number, however many others came before."""
    listener = Listener(tmp_path / "s")
    held = []
    try:
        for hello in (b"nonsense", frame(b'{"hello": "child", "id": 1}'), frame(b'{"hello": "child", "id": 2}')):
            client = socket.socket(socket.AF_UNIX)
            client.connect(str(tmp_path / "s"))
            client.sendall(hello)
            if hello == b"nonsense":
                client.close()
            else:
                held.append(client)
        greeting, connection = listener.accept(3, hello="child", number=2)
        assert greeting == {"hello": "child", "id": 2}
        connection.close()
        with pytest.raises(TimeoutError):
            listener.accept(0.2, hello="server")
    finally:
        listener.close()
        for each in held:
            each.close()


def test_a_process_that_does_not_listen_is_ended(tmp_path: Path) -> None:
    """Killing a connection ends the process at its other end, even one that ignores every signal it can."""
    listener = Listener(tmp_path / "s")
    code = (
        "import signal, socket, struct, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); b = b'{\"hello\": \"x\"}'\n"
        "s.sendall(struct.pack('>I', len(b)) + b); time.sleep(600)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "s")])
    try:
        _, connection = listener.accept(10, hello="x")
        connection.kill()
        assert process.wait(timeout=5) == -9
    finally:
        listener.close()
        if process.poll() is None:
            os.kill(process.pid, 9)
            process.wait()
