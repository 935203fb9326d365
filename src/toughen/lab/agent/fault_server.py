"""Owns the lab's answers to the world outside: every connection that leaves the prototype ends here.

Run by the prototype's interpreter inside the box: ``python fault_server.py PORT CERTIFICATE``. It speaks HTTP over
plain TCP and over TLS on the same port (a TLS hello begins with byte 22), answers a plausible JSON 200 to whatever
it is asked (a path below /tgnto/ is sent on to the inside, as a host of an attacker's would), and says 220/250 to a mail client. It reads the whole request before it answers and keeps no state.
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
import threading

_LONGEST = 1 << 20
_ANSWER = json.dumps(
    {
        "id": "lab_1", "status": "success", "success": True, "ok": True, "access_token": "lab-token", "token_type": "bearer",
        "expires_in": 3600, "email": "outside@example.com", "name": "Outside", "url": "https://example.com/", "data": [], "result": "ok",
    }
).encode()


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
    return data


def _onward(asked: bytes) -> bytes:
    """Where a request is redirected to, empty where it is answered here."""
    path = asked.split(b"\r\n", 1)[0].split(b" ")[1:2]
    name = path[0].partition(b"/tgnto/")[2] if path else b""
    return b"http://127.0.0.1:81/tgn" + name if name and name.replace(b".", b"").isalnum() else b""


def _serve(stream: socket.socket, certificate: str) -> None:
    try:
        stream.settimeout(10)
        if stream.recv(1, socket.MSG_PEEK) == b"\x16":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            stream = context.wrap_socket(stream, server_side=True)
        while True:
            asked = _read(stream)
            if not asked:
                break
            onward = _onward(asked)
            stream.sendall(
                b"HTTP/1.1 302 Found\r\nLocation: " + onward + b"\r\nContent-Length: 0\r\n\r\n"
                if onward
                else
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(_ANSWER) + _ANSWER
            )
    except (OSError, ssl.SSLError):
        pass
    finally:
        stream.close()


def main() -> None:
    """Listen on loopback until the box ends."""
    with socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=64) as server:
        while True:
            stream, _ = server.accept()
            threading.Thread(target=_serve, args=(stream, sys.argv[2]), daemon=True).start()


if __name__ == "__main__":
    main()
