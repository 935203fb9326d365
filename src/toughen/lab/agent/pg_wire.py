"""Owns a conversation with the lab's PostgreSQL in the server's own protocol: it needs no driver of the prototype's."""

from __future__ import annotations

import struct

from .conversation import Conversation, Row, ServerError, understood

__all__ = ["Row", "ServerError", "Session", "identifier", "literal"]
_VERSION = 196608
"""3.0 (postgresql.org/docs/current/protocol-message-formats.html)."""


class Session(Conversation):
    """One session of the server's, as a superuser whom it trusts; simple statements only."""

    def __init__(self, path: str, user: str, database: str, settings: dict[str, str] | None = None) -> None:
        """Connect to the socket `path`. Raises OSError, ServerError."""
        self.pid = 0
        self.secret = 0
        super().__init__(path)
        try:
            with understood():
                told = {"user": user, "database": database, **(settings or {})}
                body = b"".join(text.encode() + b"\0" for pair in told.items() for text in pair) + b"\0"
                self._send(struct.pack("!ii", len(body) + 8, _VERSION) + body)
                self._results()
        except BaseException:
            self.close()
            raise

    def rows(self, statement: str) -> list[Row]:
        """Run one statement; its rows as text. Raises OSError, ServerError."""
        with understood():
            body = statement.encode() + b"\0"
            self._send(b"Q" + struct.pack("!i", len(body) + 4) + body)
            return self._results()

    def _results(self) -> list[Row]:
        """Read on until the server is ready for the next statement."""
        rows: list[Row] = []
        refused: ServerError | None = None
        while True:
            kind = self._exactly(1)
            (length,) = struct.unpack("!i", self._exactly(4))
            body = self._exactly(length - 4)
            if kind == b"D":
                rows.append(_columns(body))
            elif kind == b"K":
                self.pid, self.secret = struct.unpack("!ii", body[:8])
            elif kind == b"E":
                refused = _refusal(body)
                if not self.pid:
                    raise refused
            elif kind == b"R" and body[:4] != b"\0\0\0\0":
                raise ServerError("28000", "the server asks for a password")
            elif kind == b"Z":
                if refused is not None:
                    raise refused
                return rows


def _columns(body: bytes) -> Row:
    (count,) = struct.unpack_from("!h", body)
    at, row = 2, []
    for _ in range(count):
        (size,) = struct.unpack_from("!i", body, at)
        at += 4
        row.append(None if size < 0 else body[at : at + size].decode("utf-8", "replace"))
        at += max(size, 0)
    return row


def _refusal(body: bytes) -> ServerError:
    parts = {part[:1]: part[1:].decode("utf-8", "replace") for part in body.split(b"\0") if part}
    return ServerError(parts.get(b"C", ""), parts.get(b"M", ""))


def literal(text: str) -> str:
    """A text as a constant of SQL."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A name as an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'
