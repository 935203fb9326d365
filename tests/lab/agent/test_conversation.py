"""Owns the claims about who speaks with a server in its own protocol: what no server says is an error of the connection, and nothing worse."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from toughen.lab.agent import links, my_wire, pg_wire

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HELLO = b"\x0a10.11\0" + b"\x07\0\0\0" + bytes(40)
GREETED = len(HELLO).to_bytes(3, "little") + b"\0" + HELLO + b"\x01\0\0\x02\0"
READY = b"R\0\0\0\x08\0\0\0\0" + b"K\0\0\0\x0c\0\0\0\x07\0\0\0\x01" + b"Z\0\0\0\x05I"
MYSQL = {
    "a greeting without an end": b"\x05\0\0\0abcde",
    "a greeting that is empty": b"\0\0\0\0",
    "a refusal that is cut off": b"\x01\0\0\0\xff",
    "nothing": b"",
    "a length that is none": GREETED + b"\x01\0\0\x01\x01" + b"\x01\0\0\x02\xfe" + b"\x02\0\0\x03\xff\xff",
    "half a packet": GREETED + b"\x09\0\0\x01\x01",
}
POSTGRES = {
    "a message of two gigabytes": b"R\x7f\xff\xff\xff",
    "a message of less than nothing": b"R\0\0\0\0",
    "a key that is cut off": b"K\0\0\0\x05x",
    "a row that is cut off": READY + b"D\0\0\0\x08\0\x01\0\0" + b"Z\0\0\0\x05I",
    "nothing": b"",
}


@pytest.fixture
def said(tmp_path: Path) -> Callable[[bytes], str]:
    """A socket at which somebody says that, and goes."""

    def speak(what: bytes) -> str:
        ear = socket.socket(socket.AF_UNIX)
        ear.bind(str(tmp_path / "s"))
        ear.listen()

        def serve() -> None:
            with contextlib.suppress(OSError), ear, ear.accept()[0] as end:
                end.sendall(what)
                end.shutdown(socket.SHUT_WR)
                while end.recv(1000):
                    pass

        threading.Thread(target=serve, daemon=True).start()
        return str(tmp_path / "s")

    return speak


def asked(made: Callable[[], my_wire.Session | pg_wire.Session]) -> None:
    """Begin a session and ask something in it."""
    with contextlib.closing(made()) as session:
        session.rows("SELECT 1")


@pytest.mark.parametrize("case", list(MYSQL))
def test_what_mysql_does_not_say(said: Callable[[bytes], str], case: str) -> None:
    """It ends as a connection does that breaks."""
    path = said(MYSQL[case])
    with pytest.raises(OSError, match=r"out of step|went away"):
        asked(lambda: my_wire.Session(path, "toughen"))


@pytest.mark.parametrize("case", list(POSTGRES))
def test_what_postgresql_does_not_say(said: Callable[[bytes], str], case: str) -> None:
    """It ends as a connection does that breaks."""
    path = said(POSTGRES[case])
    with pytest.raises(OSError, match=r"out of step|went away"):
        asked(lambda: pg_wire.Session(path, "toughen", "shop"))


def test_who_was_cut_off_speaks_with_nobody_else() -> None:
    """What is opened next does not get the number of a connection that was ended under its driver."""
    one, other = socket.socketpair()
    with one, other:
        links.cut(one.fileno())
        with socket.socket() as later:
            assert later.fileno() != one.fileno()
        assert one.recv(10) == b""
        with pytest.raises(OSError, match="pipe"):
            one.sendall(b"SELECT 1")
