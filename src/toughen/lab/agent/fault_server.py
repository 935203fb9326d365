"""Owns the lab's answers to the world outside: every connection that leaves the prototype ends here.

Run by the prototype's interpreter inside the box: ``python fault_server.py PORT CERTIFICATE OUTBOX``. It speaks HTTP over
plain TCP and over TLS on the same port (a TLS hello begins with byte 22), answers a plausible JSON 200 to whatever
it is asked (a path below /tgnto/ is sent on to the inside, as a host of an attacker's would). It reads the whole request
before it answers, answers one request a connection, so that each call is a connection, and adds a line to the outbox
for each: {"port" (the client's), "request" (first line), "sent" (the body, cut), "key" (an idempotency key)}. What a client
meets is told by the loopback address that it was led to: at 127.0.0.1 all is well, at the others what KINDS says.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import ssl
import struct
import sys
import threading
import time

_LONGEST = 1 << 20
_SENT = 4000
_ANSWER = json.dumps(
    {
        "id": "lab_1", "status": "success", "success": True, "ok": True, "access_token": "lab-token", "token_type": "bearer",
        "expires_in": 3600, "email": "outside@example.com", "name": "Outside", "url": "https://example.com/", "data": [], "result": "ok",
    }
).encode()

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


def _answer(status: str, body: bytes, *headers: str, cut: int = 0) -> bytes:
    lines = ["HTTP/1.1 " + status, "Content-Type: application/json", "Content-Length: " + str(len(body)), "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (body[:-cut] if cut else body)


def _said(asked: bytes, kind: str) -> bytes:
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
    return _answer("200 OK", _ANSWER, cut=len(_ANSWER) // 2 if kind == "truncated" else 0)


def _serve(stream: socket.socket, certificate: str, outbox: str, kind: str) -> None:
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
            stream.sendall(_said(asked, kind))
    except (OSError, ssl.SSLError):
        pass
    finally:
        stream.close()


def main() -> None:
    """Listen on loopback until the box ends."""
    port, certificate, outbox = int(sys.argv[1]), sys.argv[2], "".join(sys.argv[3:4])
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
                threading.Thread(target=_serve, args=(stream, certificate, outbox, key.data), daemon=True).start()


if __name__ == "__main__":
    main()
