"""Owns the bytes of a conversation with a server of the lab's, whatever its protocol: its socket, its bounds, its refusals."""

from __future__ import annotations

import contextlib
import struct

# The C class: the outbound hooks replace methods of socket.socket.
from _socket import AF_UNIX, SOCK_STREAM
from _socket import socket as raw_socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST = 1 << 24
"""Bytes of one message of the server's; a longer one means that it is out of step."""
_SECONDS = 20.0
_OUT_OF_STEP = "the server is out of step"

Row = list["str | None"]


class ServerError(Exception):
    """The server refused a statement, or the connection; `code` is its SQLSTATE or its number."""

    def __init__(self, code: str, message: str) -> None:
        """Keep both apart."""
        super().__init__(code + " " + message)
        self.code = code


class Conversation:
    """One session of the server's; its protocol says what is sent."""

    def __init__(self, path: str) -> None:
        """Connect to the socket `path`. Raises OSError."""
        self._socket = raw_socket(AF_UNIX, SOCK_STREAM)
        self._socket.settimeout(_SECONDS)
        try:
            self._socket.connect(path)
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """Descriptor of the connection."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close this process's end; the server ends the session."""
        self._socket.close()

    def _send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def _exactly(self, size: int) -> bytes:
        """So many bytes. Raises OSError, also where no server would send so many."""
        if not 0 <= size < LONGEST:
            raise OSError(_OUT_OF_STEP)
        data = bytearray()
        while len(data) < size:
            piece = self._socket.recv(size - len(data))
            if not piece:
                message = "the server went away"
                raise ConnectionResetError(message)
            data += piece
        return bytes(data)


@contextlib.contextmanager
def understood() -> Iterator[None]:
    """Have what no server says be an OSError, as a connection that breaks is."""
    try:
        yield
    except (struct.error, ValueError, IndexError, KeyError) as error:
        raise OSError(_OUT_OF_STEP) from error
