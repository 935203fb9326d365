"""Owns the frames between the agent and the lab: four bytes of length, then JSON, over a Unix socket."""

from __future__ import annotations

import json
import struct

# The C class: the outbound hooks replace methods of socket.socket and must never reach this connection.
from _socket import AF_UNIX, SOCK_STREAM
from _socket import socket as raw_socket
from typing import Any, Callable

Message = dict[str, Any]

LIMIT = 256 * 1024 * 1024
"""Longest frame, in bytes; a longer one means that the stream is out of step."""

# What is sent was made here, as a tree: no need to look for circles.
_slow = json.JSONEncoder(separators=(",", ":"), default=str, check_circular=False).encode


def _fast() -> Callable[[Message], str]:
    """Return an encoder that is made once: JSONEncoder makes its C part anew for every message."""
    try:
        made = json.encoder.c_make_encoder(  # type: ignore[attr-defined]
            None, str, json.encoder.encode_basestring_ascii, None, ":", ",", False, False, True
        )
        if "".join(made({"a": [1, None, "\u00e9"]}, 0)) != _slow({"a": [1, None, "\u00e9"]}):
            return _slow
    except Exception:
        return _slow

    def encode(message: Message) -> str:
        return "".join(made(message, 0))

    return encode


_encode = _fast()


class Wire:
    """One connection to the lab. A frame is sent and received whole; the caller takes turns."""

    def __init__(self, path: str) -> None:
        """Connect to the lab's listening socket; raises OSError where nobody listens."""
        self._socket = raw_socket(AF_UNIX, SOCK_STREAM)
        self._socket.connect(path)

    def fileno(self) -> int:
        """Descriptor of the connection."""
        return self._socket.fileno()

    def send(self, message: Message) -> None:
        """Send one frame; raises OSError when the lab is gone."""
        data = _encode(message).encode("ascii")
        frame = struct.pack(">I", len(data)) + data
        sent = self._socket.send(frame)
        if sent != len(frame):
            self._socket.sendall(memoryview(frame)[sent:])

    def receive(self) -> Message | None:
        """Return the next frame, None when the lab closed the connection."""
        head = self._exactly(4)
        if head is None:
            return None
        (length,) = struct.unpack(">I", head)
        if length > LIMIT:
            return None
        body = self._exactly(length)
        if body is None:
            return None
        message = json.loads(body)
        return message if isinstance(message, dict) else {}

    def close(self) -> None:
        """Close this process's end."""
        self._socket.close()

    def _exactly(self, size: int) -> bytes | None:
        data = bytearray()
        while len(data) < size:
            try:
                piece = self._socket.recv(min(size - len(data), 1 << 20))
            except OSError:
                return None
            if not piece:
                return None
            data += piece
        return bytes(data)
