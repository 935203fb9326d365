"""Owns what one request gives back to the server loop: the request's parts, and an answer of bounded size."""

from __future__ import annotations

import io
import zlib
from binascii import a2b_base64, b2a_base64
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

OUTSIDE, INSIDE = ("1.2.3.4", 50412), ("127.0.0.1", 50412)
"""Where a request comes from: from somewhere in the world, or from the machine itself."""
SERVER = ("127.0.0.1", 8000)
_REMEMBERED = 500
_LENGTH = len("content-length")
PIECE = 1 << 16
"""Bytes that a server hands on at a time (uvicorn)."""
_HEADERS: dict[tuple[str, str], tuple[bytes, bytes]] = {}


class Request:
    """A REQUEST of the protocol, taken apart as both interfaces need it."""

    __slots__ = ("body", "client", "headers", "method", "packed", "path", "query", "raw_path")

    def __init__(self, message: dict[str, Any]) -> None:
        """Read the message; a Host and a Content-Length are added where they are missing."""
        self.method = str(message.get("method") or "GET").upper()
        self.client = INSIDE if message.get("inside") else OUTSIDE
        target = str(message.get("target") or "/").encode("utf-8", "surrogateescape")
        raw_path, _, query = target.partition(b"?")
        self.raw_path = raw_path.partition(b"#")[0] or b"/"
        self.query = query.partition(b"#")[0]
        self.path = unquote_to_bytes(self.raw_path) if b"%" in self.raw_path else self.raw_path
        encoded = message.get("body_b64")
        self.body = a2b_base64(encoded) if encoded else b""
        packed = message.get("packed_b64")
        self.packed: bytes | None = a2b_base64(packed) if packed else None
        self.headers: list[tuple[bytes, bytes]] = [
            _HEADERS.get((name, value)) or _header(name, value) for name, value in message.get("headers") or ()
        ]
        names = {name for name, _ in self.headers}
        if b"host" not in names:
            self.headers.append((b"host", b"localhost:8000"))
        framed = b"content-length" in names or b"transfer-encoding" in names
        if not framed and (self.body or self.method in ("POST", "PUT", "PATCH")):
            self.headers.append((b"content-length", str(len(self.body)).encode()))


def pieces(packed: bytes) -> Iterator[bytes]:
    """Unpack a body piece by piece."""
    unpacker = zlib.decompressobj()
    left = packed
    while not unpacker.eof:
        piece = unpacker.decompress(left, PIECE)
        left = unpacker.unconsumed_tail
        if piece:
            yield piece
        elif not left:
            return


class Stream(io.RawIOBase):
    """A body that is unpacked while it is read."""

    def __init__(self, packed: bytes) -> None:
        """Start at its beginning."""
        self._pieces = pieces(packed)
        self._rest = b""

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer as far as the next piece goes; 0 at the end."""
        if not self._rest:
            self._rest = next(self._pieces, b"")
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count


def _header(name: object, value: object) -> tuple[bytes, bytes]:
    """Encode a header; the same ones come with every request."""
    name, value = str(name), str(value)
    encoded = name.lower().encode("latin-1", "replace"), value.encode("utf-8", "surrogateescape")
    if len(_HEADERS) < _REMEMBERED:
        _HEADERS[name, value] = encoded
    return encoded


class Answer:
    """Status, headers and the first bytes of a body; later bytes are counted and dropped."""

    __slots__ = ("_kept", "_room", "headers", "size", "status")

    def __init__(self, limit: int) -> None:
        """Keep at most `limit` bytes of the body."""
        self.status: int | None = None
        self.headers: list[tuple[str, str]] = []
        self.size = 0
        self._kept: list[bytes] = []
        self._room = limit

    def add(self, piece: bytes) -> None:
        """Take the next piece of the body."""
        self.size += len(piece)
        if self._room > 0 and piece:
            self._kept.append(bytes(piece) if len(piece) <= self._room else bytes(piece[: self._room]))
            self._room -= len(piece)

    def whole(self) -> bool:
        """Whether as many bytes are there as its header says: the client waits for no more."""
        # Asked of every answer: the length of a name tells most of them apart.
        for name, value in self.headers:
            if len(name) == _LENGTH and name.lower() == "content-length":
                return value.isdigit() and self.size >= int(value)
        return False

    def tell(self, exchange: dict[str, Any]) -> None:
        """Put the answer's part into an EXCHANGE."""
        exchange["status"] = self.status
        exchange["headers"] = self.headers
        exchange["size"] = self.size
        if self._kept:
            exchange["body_b64"] = b2a_base64(b"".join(self._kept), newline=False).decode("ascii")
