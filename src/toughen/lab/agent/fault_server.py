"""Owns the lab's answers to the world outside: every connection that leaves the prototype ends here.

Run by the prototype's interpreter inside the box: ``python fault_server.py PORT CERTIFICATE OUTBOX ANSWERS``. It speaks HTTP over
plain TCP and over TLS on the same port (a TLS hello begins with byte 22), answers a plausible JSON 200 to whatever
it is asked: what ANSWERS, a file of the lab's, holds for the host and path, ended by white space that names them (a path below /tgnto/ is sent on to the inside, as a host of an attacker's would). It reads the whole request
before it answers, answers one request a connection, so that each call is a connection, and adds a line to the outbox
for each: {"port" (the client's), "request" (first line), "sent" (the body, cut), "key" (an idempotency key)}. What a client
meets is told by the loopback address that it was led to: at 127.0.0.1 all is well, at the others what KINDS says.
"""

from __future__ import annotations

import json
import os
import re
import selectors
import socket
import ssl
import struct
import sys
import threading
import time
import zlib
from typing import Any

_LONGEST = 1 << 20
_SENT = 4000
PLAUSIBLE: dict[str, Any] = {
    "id": "lab_1", "status": "success", "success": True, "ok": True, "access_token": "lab-token", "token_type": "bearer",
    "expires_in": 3600, "email": "outside@example.com", "name": "Outside", "url": "https://example.com/", "data": [], "result": "ok",
}
"""What is answered as long as nobody knows better."""
_BITS = 32
_SIGNED = re.compile(r"\n([ \t]{32})$")
_answers: dict[str, Any] = {}
_read_at = 0


def number_of(host: str, path: str) -> int:
    """The number that stands for what is asked of a host."""
    return zlib.crc32((host.lower() + " " + path.partition("?")[0]).encode("utf-8", "replace"))


def signature(number: int) -> str:
    """White space that names an answer, for whoever reads it as JSON."""
    return "\n" + "".join("\t" if number >> bit & 1 else " " for bit in range(_BITS))


def named(text: Any) -> Any:
    """The number of an answer of the lab's, None where a text is none."""
    end = bytes(text[-_BITS - 1 :]).decode("latin-1") if isinstance(text, (bytes, bytearray)) else text[-_BITS - 1 :] if isinstance(text, str) else ""
    found = _SIGNED.search(end)
    return sum(1 << bit for bit, each in enumerate(found.group(1)) if each == "\t") if found else None


def _whole(asked: bytes, answers: str) -> bytes:
    """The body that answers a request."""
    head = asked.partition(b"\r\n\r\n")[0].decode("utf-8", "replace").split("\r\n")
    path = "".join(head[0].split(" ")[1:2])
    host = next((line.partition(":")[2].strip() for line in head[1:] if line.lower().startswith("host:")), "")
    host = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    return json.dumps(_known(host, path, answers)).encode() + signature(number_of(host, path)).encode()


def _known(host: str, path: str, answers: str) -> Any:
    """What the lab's file holds for that host and path, or for the path of that host that begins most like it."""
    global _answers, _read_at
    try:
        changed = os.stat(answers).st_mtime_ns if answers else 0
        if changed != _read_at:
            with open(answers, encoding="utf-8") as file:
                _answers, _read_at = json.load(file), changed
    except (OSError, ValueError):
        pass
    parts, best, found = path.partition("?")[0].split("/"), -1, PLAUSIBLE
    for name, body in _answers.items():
        known_host, _, known = name.partition(" ")
        common = _common(known.split("/"), parts) if known_host == host.lower() else 0
        whole = known.count("/") == len(parts) - 1
        if common and common * 2 + whole > best:
            best, found = common * 2 + whole, body
    return found


KINDS = {"hang": 11, "reset": 12, "error": 13, "busy": 14, "malformed": 15, "truncated": 16, "slow": 17}
"""What goes wrong, and the last number of the loopback address at which it does."""
_SLOW = 2.0
"""Seconds before a slow answer begins."""
_FOREVER = 600.0


def _read(stream: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data and len(data) < _LONGEST:
        part = stream.recv(65536)
        if not part:
            return data
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length" and value.strip().isdigit():
            length = min(int(value), _LONGEST)
    while len(body) < length:
        part = stream.recv(65536)
        if not part:
            break
        body += part
    return head + b"\r\n\r\n" + body


def _note(outbox: str, port: int, asked: bytes) -> None:
    """Add what was asked to the outbox, in one write."""
    head, _, body = asked.partition(b"\r\n\r\n")
    first, *lines = head.decode("utf-8", "replace").split("\r\n")
    fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    key = fields.get("idempotency-key") or fields.get("x-idempotency-key") or fields.get("x-request-id") or ""
    note = {"port": port, "request": first[:500], "sent": body[:_SENT].decode("utf-8", "replace"), "key": key[:200]}
    handle = os.open(outbox, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(handle, json.dumps(note).encode() + b"\n")
    finally:
        os.close(handle)


def _onward(asked: bytes) -> bytes:
    """Where a request is redirected to, empty where it is answered here."""
    path = asked.split(b"\r\n", 1)[0].split(b" ")[1:2]
    name = path[0].partition(b"/tgnto/")[2] if path else b""
    return b"http://127.0.0.1:81/tgn" + name if name and name.replace(b".", b"").isalnum() else b""


def _common(one: list[str], other: list[str]) -> int:
    return next((index for index, pair in enumerate(zip(one, other)) if pair[0] != pair[1]), min(len(one), len(other)))


def _answer(status: str, body: bytes, *headers: str, cut: int = 0) -> bytes:
    lines = ["HTTP/1.1 " + status, "Content-Type: application/json", "Content-Length: " + str(len(body)), "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (body[:-cut] if cut else body)


def _said(asked: bytes, kind: str, answers: str) -> bytes:
    """What is answered to a request; empty where the connection is cut instead."""
    if kind == "error":
        return _answer("500 Internal Server Error", b'{"error": {"message": "internal error", "type": "server_error"}}')
    if kind == "busy":
        return _answer("429 Too Many Requests", b'{"error": {"message": "too many requests", "type": "rate_limit"}}', "Retry-After: 1")
    if kind == "malformed":
        return _answer("200 OK", b"<html><body>We will be back soon</body></html>")
    onward = _onward(asked)
    if onward:
        return _answer("302 Found", b"", "Location: " + onward.decode())
    body = _whole(asked, answers)
    return _answer("200 OK", body, cut=len(body) // 2 if kind == "truncated" else 0)


def _serve(stream: socket.socket, files: tuple[str, str, str], kind: str) -> None:
    certificate, outbox, answers = files
    try:
        stream.settimeout(10)
        port = stream.getpeername()[1]
        if stream.recv(1, socket.MSG_PEEK) == b"\x16":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            stream = context.wrap_socket(stream, server_side=True)
        asked = _read(stream)
        if asked and outbox:
            _note(outbox, port, asked)
        if kind == "hang":
            time.sleep(_FOREVER)
        if kind == "reset":
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif asked:
            if kind == "slow":
                time.sleep(_SLOW)
            stream.sendall(_said(asked, kind, answers))
    except (OSError, ssl.SSLError):
        pass
    finally:
        stream.close()


def main() -> None:
    """Listen on loopback until the box ends."""
    port, certificate, outbox, answers = int(sys.argv[1]), sys.argv[2], "".join(sys.argv[3:4]), "".join(sys.argv[4:5])
    with selectors.DefaultSelector() as waiting:
        for kind, number in {"": 1, **KINDS}.items():
            try:
                server = socket.create_server(("127.0.0." + str(number), port), backlog=64)
            except OSError:
                if not kind:
                    raise
                # Where loopback has one address only, nothing goes wrong.
                continue
            waiting.register(server, selectors.EVENT_READ, kind)
        while True:
            for key, _ in waiting.select():
                stream, _ = key.fileobj.accept()  # type: ignore[union-attr]
                threading.Thread(target=_serve, args=(stream, (certificate, outbox, answers), key.data), daemon=True).start()


if __name__ == "__main__":
    main()
