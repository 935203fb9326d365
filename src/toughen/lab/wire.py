"""Owns the lab's end of the agent's socket: bounded frames with time-outs, from a process that may be hostile."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import struct
import time
from typing import TYPE_CHECKING, Any

from toughen.errors import AgentLostError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FRAME_LIMIT = 64 << 20
"""Bytes of the longest frame that is believed."""
_LOOK = 0.25
"""Seconds after which a process that has not connected is looked after."""


class Connection:
    """One agent process: frames of JSON, in both directions."""

    def __init__(self, stream: socket.socket) -> None:
        """Take over a connected socket."""
        self._stream = stream
        self._buffer = bytearray()
        self._process: int | None = None
        with contextlib.suppress(OSError, AttributeError):
            # The peer's id as seen from here, whatever it calls itself in its own process namespace (unix(7)).
            peer = stream.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            self._process = os.pidfd_open(struct.unpack("3i", peer)[0])

    def fileno(self) -> int:
        """The socket's descriptor, for select."""
        return self._stream.fileno()

    def send(self, message: dict[str, Any]) -> None:
        """Send one frame. Raises AgentLostError when the other side is gone."""
        body = json.dumps(message, separators=(",", ":")).encode()
        try:
            self._stream.settimeout(30)
            self._stream.sendall(struct.pack(">I", len(body)) + body)
        except OSError as error:
            raise AgentLostError("the process under attack is gone", subject=error) from error

    def receive(self, timeout: float) -> dict[str, Any]:
        """The next frame within `timeout` seconds. Raises TimeoutError, or AgentLostError at the end of the stream."""
        deadline = time.monotonic() + timeout
        while True:
            frame = self._take()
            if frame is not None:
                return frame
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._stream], [], [], left)[0]:
                raise TimeoutError
            try:
                part = self._stream.recv(1 << 20)
            except OSError as error:
                raise AgentLostError("the process under attack is gone", subject=error) from error
            if not part:
                raise AgentLostError("the process under attack ended")
            self._buffer += part

    def _take(self) -> dict[str, Any] | None:
        if len(self._buffer) < 4:  # noqa: PLR2004
            return None
        size = struct.unpack_from(">I", self._buffer)[0]
        if size > FRAME_LIMIT:
            raise AgentLostError("the process under attack sent a frame that is too long", subject=size)
        if len(self._buffer) < 4 + size:
            return None
        body = bytes(self._buffer[4 : 4 + size])
        del self._buffer[: 4 + size]
        try:
            message = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise AgentLostError("the process under attack sent nonsense", subject=body[:200]) from error
        if not isinstance(message, dict):
            raise AgentLostError("the process under attack sent nonsense", subject=message)
        return message

    def close(self) -> None:
        """Close the socket; a child ends when its connection does."""
        self._stream.close()
        if self._process is not None:
            os.close(self._process)
            self._process = None

    def kill(self) -> None:
        """End the process at the other end, whatever it is doing, and close."""
        if self._process is not None:
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(self._process, signal.SIGKILL)
            with contextlib.suppress(OSError):
                select.select([self._process], [], [], 2)
        self.close()


class Listener:
    """The socket that agent processes connect to."""

    def __init__(self, path: Path) -> None:
        """Listen on a Unix socket at `path` (under 108 bytes)."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(path))
        self._socket.listen(64)
        self._waiting: list[tuple[dict[str, Any], Connection]] = []

    def fileno(self) -> int:
        """The socket's descriptor, for select."""
        return self._socket.fileno()

    def accept(
        self, timeout: float, *, hello: str, number: int | None = None, alive: Callable[[], bool] = lambda: True
    ) -> tuple[dict[str, Any], Connection]:
        """The connection whose hello says `hello` (and carries that id).

        Raises TimeoutError, or AgentLostError as soon as `alive` says that nobody is left who could connect.
        """
        deadline = time.monotonic() + timeout
        while True:
            for index, (greeting, connection) in enumerate(self._waiting):
                if greeting.get("hello") == hello and (number is None or greeting.get("id") == number):
                    del self._waiting[index]
                    return greeting, connection
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            living = alive()
            if not select.select([self._socket], [], [], min(left, _LOOK) if living else 0)[0]:
                if not living:
                    raise AgentLostError("the process under attack ended")
                continue
            stream, _ = self._socket.accept()
            connection = Connection(stream)
            try:
                self._waiting.append((connection.receive(5), connection))
            except (TimeoutError, AgentLostError):
                connection.close()

    def close(self) -> None:
        """Close the socket and every connection that nobody claimed."""
        for _, connection in self._waiting:
            connection.close()
        self._socket.close()
