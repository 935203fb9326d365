"""Owns the programs that ask the network: in a box without one, a stand-in answers as the fault server does for sockets."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PATH = "/usr/local/bin:/usr/bin:/bin"
_ADDRESS = "93.184.215.14"
_ANSWERS = {
    "ping": f"PING $host ({_ADDRESS}) 56(84) bytes of data.\n64 bytes from {_ADDRESS}: icmp_seq=1 ttl=56 time=9.21 ms\n\n"
    "--- $host ping statistics ---\n1 packets transmitted, 1 received, 0% packet loss, time 0ms\nrtt min/avg/max/mdev = 9.210/9.210/9.210/0.000 ms",
    "nslookup": f"Server:\t\t127.0.0.53\nAddress:\t127.0.0.53#53\n\nNon-authoritative answer:\nName:\t$host\nAddress: {_ADDRESS}",
    "dig": f"$host.\t\t300\tIN\tA\t{_ADDRESS}",
    "host": f"$host has address {_ADDRESS}",
    "whois": "Domain Name: $host\nRegistrar: Example Registrar\nCreation Date: 1995-08-14T04:00:00Z",
    "traceroute": f"traceroute to $host ({_ADDRESS}), 30 hops max, 60 byte packets\n 1  gateway (10.0.0.1)  0.3 ms  0.3 ms  0.3 ms\n 2  $host ({_ADDRESS})  9.2 ms  9.2 ms  9.2 ms",
}


def lay(work: Path) -> str:
    """Lay the stand-ins below the throw-away folder; the PATH that finds them first."""
    folder = work / "tools"
    with contextlib.suppress(OSError):
        folder.mkdir(exist_ok=True)
        for name, answer in _ANSWERS.items():
            place = folder / name
            if not place.exists():
                # Whoever gives no host is told how to, as by the real ones.
                script = f'#!/bin/sh\n[ $# -gt 0 ] || {{ echo "usage: {name} host" >&2; exit 2; }}\nfor host; do :; done\ncat <<END\n{answer}\nEND\n'
                place.write_text(script)
                place.chmod(0o755)
    return f"{folder}:{PATH}"
