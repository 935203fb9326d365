"""Owns a conversation with the lab's MySQL in the server's own protocol: it needs no driver of the prototype's."""

from __future__ import annotations

import struct

from .conversation import LONGEST, Conversation, Row, ServerError, understood

__all__ = ["Row", "ServerError", "Session", "identifier", "literal"]
_FLAGS = 0x1 | 0x4 | 0x8 | 0x200 | 0x2000 | 0x8000 | 0x80000
"""Long password, long flag, with a database, protocol 4.1, transactions, secure connection, named methods
(dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__capabilities__flags.html)."""
_UTF8MB4 = 45
_PIECE = (1 << 24) - 1
"""Bytes of a packet; a longer one goes on in the next."""
_QUERY = b"\x03"


class Session(Conversation):
    """One session of the server's, as a user without a password; simple statements only."""

    def __init__(self, path: str, user: str, database: str = "") -> None:
        """Connect to the socket `path`. Raises OSError, ServerError."""
        self.pid = 0
        self._next = 0
        super().__init__(path)
        try:
            with understood():
                self._greet(user, database)
        except BaseException:
            self.close()
            raise

    def _greet(self, user: str, database: str) -> None:
        hello = self._receive()
        at = hello.index(b"\0", 1) + 1
        (self.pid,) = struct.unpack_from("<I", hello, at)
        flags = _FLAGS if database else _FLAGS & ~0x8
        told = struct.pack("<IIB23x", flags, LONGEST, _UTF8MB4) + user.encode() + b"\0\0"
        if database:
            told += database.encode() + b"\0"
        self._packet(told + b"mysql_native_password\0")
        while True:
            answer = self._receive()
            if answer[:1] == b"\0":
                return
            if answer[:1] == b"\xfe":
                # Another method; no password is a NUL to those that hash one.
                self._packet(b"" if answer[1:].startswith(b"mysql_native_password") else b"\0")

    def rows(self, statement: str) -> list[Row]:
        """Run one statement; its rows as text. Raises OSError, ServerError."""
        with understood():
            self._next = 0
            self._packet(_QUERY + statement.encode())
            return self._results()

    def _results(self) -> list[Row]:
        if self._receive()[:1] == b"\0":
            return []
        while not _is_end(self._receive()):
            pass
        found: list[Row] = []
        while not _is_end(packet := self._receive()):
            found.append(_columns(packet))
        return found

    def _packet(self, body: bytes) -> None:
        if len(body) >= _PIECE:
            raise ValueError(len(body))
        self._send(struct.pack("<I", len(body))[:3] + bytes([self._next & 0xFF]) + body)
        self._next += 1

    def _receive(self) -> bytes:
        """What the server says next. Raises OSError, and ServerError where it is a refusal."""
        body, size = b"", _PIECE
        while size == _PIECE:
            head = self._exactly(4)
            size = int.from_bytes(head[:3], "little")
            self._next = head[3] + 1
            body += self._exactly(size)
            if len(body) > LONGEST:
                raise ValueError(size)
        if body[:1] == b"\xff":
            raise _refusal(body)
        return body


def _is_end(packet: bytes) -> bool:
    return packet[:1] == b"\xfe" and len(packet) < 9


def _columns(packet: bytes) -> Row:
    row: Row = []
    at = 0
    while at < len(packet):
        size = packet[at]
        at += 1
        if size == 0xFB:
            row.append(None)
            continue
        if size > 0xFB:
            width = {0xFC: 2, 0xFD: 3, 0xFE: 8}[size]
            size = int.from_bytes(packet[at : at + width], "little")
            at += width
        row.append(packet[at : at + size].decode("utf-8", "replace"))
        at += size
    return row


def _refusal(packet: bytes) -> ServerError:
    (code,) = struct.unpack_from("<H", packet, 1)
    text = packet[9:] if packet[3:4] == b"#" else packet[3:]
    return ServerError(str(code), text.decode("utf-8", "replace"))


def literal(text: str) -> str:
    """A text as a constant of SQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A name as an identifier of SQL."""
    return "`" + name.replace("`", "``") + "`"
