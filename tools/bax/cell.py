"""The inside of a cell: a throw-away root in which one solution runs, in place of the container that BaxBench starts for each test.

Standard library only. Started by `harness.py` under `unshare` (own users, mounts, processes, network and IPC), as the first process inside:
``unshare ... python cell.py SPEC.json``. The root is a file system in memory: the solution's folder is copied to it, the system and the
interpreter are bound into it read-only, and nothing that is written there outlives the cell. The one way in is a listening socket that the
harness made outside and hands over: what connects to it is passed on to the solution's port. The cell ends with its standard input,
which is a socket: a solution that reads all of /proc would wait for ever at a pipe.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc")
DEVICES = ("null", "zero", "full", "random", "urandom")
_BIND, _REMOUNT, _READ_ONLY, _RECURSIVE, _PRIVATE = 0x1000, 0x20, 0x1, 0x4000, 1 << 18
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 1
_SQLITE = """#!{python} -I
import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as database:
    for statement in filter(None, map(str.strip, sys.stdin.read().split(";"))):
        for row in database.execute(statement):
            print("|".join("" if value is None else str(value) for value in row))
"""
"""What BaxBench asks of the sqlite3 program: statements on standard input, rows on standard output."""

_libc = ctypes.CDLL(None, use_errno=True)


def mount(source: str, place: Path, kind: str | None, flags: int, options: str = "") -> None:
    """Mount a file system, or bind a path; raises OSError."""
    words = (source.encode(), str(place).encode(), kind and kind.encode(), ctypes.c_ulong(flags), options.encode())
    if _libc.mount(*words) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(place))


def shown(path: str, root: Path) -> None:
    """Make a path of the outside readable, not writable, at the same place inside; a link stays a link."""
    source, place = Path(path), root / path.lstrip("/")
    if not source.exists() or place.exists():
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    if source.is_symlink():
        place.symlink_to(source.readlink())
        return
    place.mkdir() if source.is_dir() else place.touch()
    mount(path, place, None, _BIND | _RECURSIVE)
    with contextlib.suppress(PermissionError):
        mount("", place, None, _BIND | _REMOUNT | _READ_ONLY)


def furnish(root: Path, spec: dict[str, Any]) -> None:
    """Build the root: system, devices, interpreter, the sqlite3 program, and a copy of the solution."""
    mount("none", Path("/"), None, _PRIVATE | _RECURSIVE)
    mount("tmpfs", root, "tmpfs", 0, f"size={spec['disk']},mode=755")
    for path in (*SYSTEM, *spec["readable"], *(f"/dev/{name}" for name in DEVICES)):
        shown(path, root)
    for folder, mode in (("tmp", 0o1777), ("var/tmp", 0o1777), ("dev/shm", 0o1777), ("root", 0o700), ("proc", 0o755)):
        place = root / folder
        place.mkdir(parents=True, exist_ok=True)
        place.chmod(mode)
    mount("proc", root / "proc", "proc", 0)
    shutil.copytree(spec["solution"], root / spec["workdir"].lstrip("/"), symlinks=True)
    tool = root / "opt/cell/sqlite3"
    tool.parent.mkdir(parents=True)
    tool.write_text(_SQLITE.format(python=spec["python"]))
    tool.chmod(0o755)


def loopback_up() -> None:
    """A new network has a loopback device that is down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        flags = struct.unpack("16sh14x", fcntl.ioctl(probe, _GET_FLAGS, struct.pack("16sh14x", b"lo", 0)))[1]
        fcntl.ioctl(probe, _SET_FLAGS, struct.pack("16sh14x", b"lo", flags | _UP))


def pump(caller: socket.socket, port: int) -> None:
    """Pass bytes between a connection from outside and the solution, until both sides have said all."""
    with caller, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as inner, selectors.DefaultSelector() as ready:
        ready.register(caller, selectors.EVENT_READ, inner)
        ready.register(inner, selectors.EVENT_READ, caller)
        while ready.get_map():
            for key, _ in ready.select():
                source, sink = key.fileobj, key.data
                data = source.recv(1 << 16)  # type: ignore[union-attr]
                if data:
                    sink.sendall(data)
                    continue
                ready.unregister(source)
                if source is inner:
                    return
                sink.shutdown(socket.SHUT_WR)


def relay(listener: socket.socket, port: int) -> None:
    """Take what connects from outside; a solution that does not listen is a connection that is closed at once."""
    while True:
        caller, _ = listener.accept()
        threading.Thread(target=pump, args=(caller, port), daemon=True).start()


def resident() -> dict[int, int]:
    """Bytes in memory of each process inside but this one."""
    found: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and folder.name != "1":
            with contextlib.suppress(OSError, ValueError, IndexError):
                found[int(folder.name)] = int((folder / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return found


def hold(limit: int) -> None:
    """The container's memory limit: above it the largest process is killed, as the kernel would."""
    while True:
        sizes = resident()
        if sum(sizes.values()) > limit:
            with contextlib.suppress(ProcessLookupError):
                os.kill(max(sizes, key=sizes.__getitem__), signal.SIGKILL)
        time.sleep(0.1)


def main() -> int:
    """Build the cell, start the solution, write who is who to the status file, and serve until the lifeline closes."""
    spec = json.loads(Path(sys.argv[1]).read_text())
    listener = socket.socket(fileno=spec["listener"])
    me = Path("/proc/self").readlink().name
    root, status = Path(spec["root"]), Path(spec["status"])
    told, log = (os.open(path, os.O_WRONLY | os.O_CREAT, 0o600) for path in (status.with_suffix(".new"), spec["log"]))
    folder = os.open(status.parent, os.O_RDONLY | os.O_DIRECTORY)
    furnish(root, spec)
    loopback_up()
    os.chroot(root)
    os.chdir(spec["workdir"])
    solution = subprocess.Popen(spec["command"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=spec["environment"])
    os.write(told, json.dumps({"cell": int(me), "solution": solution.pid}).encode())
    os.rename(status.with_suffix(".new").name, status.name, src_dir_fd=folder, dst_dir_fd=folder)
    threading.Thread(target=relay, args=(listener, spec["port"]), daemon=True).start()
    threading.Thread(target=hold, args=(spec["memory"],), daemon=True).start()
    threading.Thread(target=solution.wait, daemon=True).start()
    sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
