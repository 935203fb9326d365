"""Owns the way out: names resolve to nowhere, connections lead to the lab's fault server, and each is noted."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING, Any

from . import faults
from .mail import hook_deliverability, hook_smtplib
from .recorder import RECORDER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .hooks import Finder

Address = tuple[str, int]

OUTGOING = 200
_LOCAL = frozenset(("localhost", "localhost.localdomain", "ip6-localhost", ""))
_ANY = ("0.0.0.0", "::", "")

_fault_server: Address | None = None
_allowed: set[Address] = set()
_names: dict[str, str] = {}
_addresses: dict[str, str] = {}
_real_getaddrinfo = socket.getaddrinfo
_real_connect = socket.socket.connect
_real_connect_ex = socket.socket.connect_ex
_real_listen = socket.socket.listen
_real_sendto = socket.socket.sendto
_listening: set[int] = set()
_SENDTO_WITH_FLAGS = 3


def install(finder: Finder, address: Sequence[Any] | None, allowed: Sequence[Sequence[Any]]) -> None:
    """Put the hooks in place. `allowed` are addresses that are reached as they are (the prototype's database)."""
    global _fault_server
    _fault_server = (str(address[0]), int(address[1])) if address else None
    _allowed.update((str(host), int(port)) for host, port in allowed)
    socket.getaddrinfo = getaddrinfo
    socket.gethostbyname = gethostbyname
    socket.gethostbyname_ex = gethostbyname_ex
    socket.gethostbyaddr = gethostbyaddr
    kind: Any = socket.socket
    kind.connect = _connect
    kind.connect_ex = _connect_ex
    kind.listen = _listen
    kind.sendto = _sendto
    faults.install()
    finder.when("ssl", hook_ssl)
    finder.when("smtplib", hook_smtplib)
    finder.when("email_validator", hook_deliverability)
    finder.when("email_validator.deliverability", hook_deliverability)


def address_of(host: str) -> str:
    """Return the address that stands for a host name.

    It is a global one, because a prototype that refuses private addresses must not refuse an honest name;
    nothing is ever sent to it, since every connection to it is led elsewhere.
    """
    name = host.lower().rstrip(".")
    known = _addresses.get(name)
    if known is None:
        number = len(_addresses) % 60000 + 257
        known = _addresses[name] = "93.184." + str(number // 256) + "." + str(number % 256)
        _names[known] = name
    return known


def _literal(host: str) -> str | None:
    try:
        return str(ipaddress.ip_address(host.partition("%")[0].strip("[]")))
    except ValueError:
        return None


def _text(host: Any) -> str:
    if isinstance(host, (bytes, bytearray)):
        return bytes(host).decode("idna" if b"xn--" in host else "utf-8", "replace")
    return str(host)


def getaddrinfo(host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0) -> Any:
    """Resolve literal addresses and localhost as always, every other name to an address that stands for it."""
    name = _text(host) if host is not None else None
    if name is None or name.lower() in _LOCAL or _literal(name) is not None:
        return _real_getaddrinfo(host, port, family, type, proto, flags)
    if RECORDER.markers and RECORDER.active:
        RECORDER.sight("socket.getaddrinfo", (name,))
    if RECORDER.fault and RECORDER.fault["kind"] == faults.UNKNOWN and faults.met(name):
        _told(name, int(port) if str(port or "").isdigit() else 0)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    if family == socket.AF_INET6:
        return _real_getaddrinfo("::ffff:" + address_of(name), port, family, type, proto, flags)
    return _real_getaddrinfo(address_of(name), port, family, type, proto, flags)


def gethostbyname(hostname: Any) -> str:
    """Resolve one name."""
    name = _text(hostname)
    return "127.0.0.1" if name.lower() in _LOCAL else _literal(name) or address_of(name)


def gethostbyname_ex(hostname: Any) -> tuple[str, list[str], list[str]]:
    """Resolve one name, with its aliases."""
    return _text(hostname), [], [gethostbyname(hostname)]


def gethostbyaddr(ip_address: Any) -> tuple[str, list[str], list[str]]:
    """Return the name that an address stands for."""
    address = gethostbyname(ip_address)
    return _names.get(address, address), [], [address]


def _leads(sock: socket.socket, address: Any) -> Any:
    """Return where a connection really goes; None means that nobody answers there. Begins to note how long it waits where nobody will."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6) or not isinstance(address, tuple):
        return address
    host, port = _text(address[0]), int(address[1])
    if host.startswith("::ffff:"):
        host = host[7:]
    literal = "127.0.0.1" if host.lower() in _LOCAL or host in _ANY else _literal(host)
    if _passes(literal or host, port):
        return address
    name = _names.get(host, host)
    datagram = bool(sock.type & socket.SOCK_DGRAM)
    if not datagram:
        _note(sock, name, port)
    if RECORDER.markers and RECORDER.active:
        RECORDER.sight("socket.connect", (name,))
    kind = "" if datagram else faults.met(name) if RECORDER.fault else ""
    if _fault_server is None or kind == faults.REFUSED:
        return None
    if kind == faults.HANGS:
        faults.WAITS.hold(sock)
    place = faults.address(kind, _fault_server)
    return ("::ffff:" + place[0], place[1], 0, 0) if sock.family == socket.AF_INET6 else place


def _passes(host: str, port: int) -> bool:
    if (host, port) in _allowed or (_fault_server is not None and port == _fault_server[1] and host.startswith("127.")):
        return True
    return port in _listening and (host == "::1" or host.startswith("127."))


def _note(sock: socket.socket, host: str, port: int) -> None:
    told = _told(host, port)
    if told is not None:
        RECORDER.waiting[id(sock)] = told


def _told(host: str, port: int) -> dict[str, Any] | None:
    if not RECORDER.active and RECORDER.early is not None and len(RECORDER.early) < OUTGOING:
        told = {"host": host, "port": port, "request": "", "place": RECORDER.place(5), "after": 0, "behind": True}
        RECORDER.early.append(told)
        return told
    if not RECORDER.active or len(RECORDER.outgoing) >= OUTGOING:
        return None
    if RECORDER.cut == len(RECORDER.outgoing) and RECORDER.falls is not None:
        RECORDER.falls()
    told = {"host": host, "port": port, "request": "", "place": RECORDER.place(5), "after": len(RECORDER.statements), "behind": RECORDER.behind()}
    RECORDER.outgoing.append(told)
    return told


def _joined(sock: socket.socket) -> None:
    """Note the local port, by which the fault server tells whose request it got."""
    told = RECORDER.waiting.pop(id(sock), None)
    if told is not None:
        try:
            told["local_port"] = sock.getsockname()[1]
        except OSError:
            return


def _connect(self: socket.socket, address: Any) -> None:
    leads = _leads(self, address)
    if leads is None:
        raise ConnectionRefusedError(111, "Connection refused")
    if leads is not address and self.family == socket.AF_INET6:
        self.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    try:
        _real_connect(self, leads)
    finally:
        if RECORDER.waiting:
            _joined(self)


def _connect_ex(self: socket.socket, address: Any) -> int:
    leads = _leads(self, address)
    if leads is None:
        return 111
    try:
        return _real_connect_ex(self, leads)
    finally:
        if RECORDER.waiting:
            _joined(self)


def _listen(self: socket.socket, *backlog: int) -> None:
    _real_listen(self, *backlog)
    if self.family in (socket.AF_INET, socket.AF_INET6):
        _listening.add(self.getsockname()[1])


def _sendto(self: socket.socket, data: Any, *rest: Any) -> int:
    address = rest[-1] if rest else None
    if self.family in (socket.AF_INET, socket.AF_INET6) and isinstance(address, tuple):
        host, port = _text(address[0]), int(address[1])
        if not _passes(_literal(host) or host, port):
            # A datagram to the world outside is lost, as datagrams may be.
            return len(data)
    return _real_sendto(self, data, *rest)


def hook_ssl(module: Any) -> None:
    """Accept the fault server's certificate: it cannot have the one of every host."""
    context = module.SSLContext
    real_socket, real_bio = context.wrap_socket, context.wrap_bio

    def trust(self: Any, server_side: Any) -> None:
        if not server_side and _fault_server is not None:
            self.check_hostname = False
            self.verify_mode = module.CERT_NONE

    def wrap_socket(self: Any, sock: Any, server_side: bool = False, *args: Any, **keywords: Any) -> Any:
        trust(self, server_side)
        return real_socket(self, sock, server_side, *args, **keywords)

    def wrap_bio(
        self: Any, incoming: Any, outgoing: Any, server_side: bool = False, *args: Any, **keywords: Any
    ) -> Any:
        trust(self, server_side)
        return real_bio(self, incoming, outgoing, server_side, *args, **keywords)

    context.wrap_socket = wrap_socket
    context.wrap_bio = wrap_bio
