"""Owns the sandbox's inside: a standard-library launcher that shuts the prototype in before it runs.

Run as a script by toughen's own interpreter: ``python -I box.py SPEC.json``. The spec names the folders that may be
read and written, the command, and a companion command (the fault server). The launcher tries, in this order, and
writes what it got to the spec's status file: namespaces (user, mount, network, process, IPC), Landlock, resource limits.
`user` names another user to be: for programs that refuse to run as root.
Sources: unshare(2), landlock(7), prctl(2).
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import resource
import select
import signal
import socket
import struct
import sys

_NEWNS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = 0x00020000, 0x08000000, 0x10000000, 0x20000000, 0x40000000
_MS_BIND, _MS_REC, _MS_PRIVATE, _MS_UNBINDABLE = 0x1000, 0x4000, 1 << 18, 1 << 17
_MNT_DETACH = 2
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_READ = 1 << 0 | 1 << 2 | 1 << 3
"""Execute, read file, read folder."""
_FILE_ONLY = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15
_PARTING_SECONDS = 3.0
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1

_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: object) -> int:
    result: int = getattr(_libc, name)(*arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), name)
    return result


def _namespaces(inside: int | None) -> None:
    uid, gid = os.getuid(), os.getgid()
    _call("unshare", _NEWUSER | _NEWNS | _NEWNET | _NEWPID | _NEWIPC)
    shown = (uid, gid) if inside is None else (inside, inside)
    for name, text in (("setgroups", "deny"), ("uid_map", f"{shown[0]} {uid} 1"), ("gid_map", f"{shown[1]} {gid} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(probe, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(probe, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


def _private(folder: str, place: str, keep: list[str]) -> None:
    """Put `place` over `folder`, and make what of `keep` lies below reachable again under its own name."""
    handles: dict[str, int] = {}
    for each in keep:
        if each.startswith(folder.rstrip("/") + "/") and os.path.isdir(each):
            handles[each] = os.open(each, os.O_RDONLY | os.O_DIRECTORY)
            os.makedirs(os.path.join(place, os.path.relpath(each, folder)), exist_ok=True)
    _call("mount", place.encode(), folder.encode(), None, ctypes.c_ulong(_MS_BIND), None)
    for each, handle in handles.items():
        _call("mount", f"/proc/self/fd/{handle}".encode(), each.encode(), None, ctypes.c_ulong(_MS_BIND | _MS_REC), None)
        os.close(handle)


def _elsewhere(folders: dict[str, str], scaffold: str) -> None:
    """Show `folders` that this machine lacks, each at its place: in a root of the box's own, in memory, in which everything else is what it was."""
    os.makedirs(scaffold, exist_ok=True)
    _call("mount", b"none", scaffold.encode(), b"tmpfs", ctypes.c_ulong(0), b"mode=755")
    try:
        # It lies below what it mirrors.
        _call("mount", None, scaffold.encode(), None, ctypes.c_ulong(_MS_UNBINDABLE), None)
        _mirror("/", scaffold, folders)
        os.chroot(scaffold)
    except OSError:
        _call("umount2", scaffold.encode(), _MNT_DETACH)
        raise
    os.chdir("/")


def _mirror(folder: str, place: str, added: dict[str, str]) -> None:
    """Make `place` what `folder` is, with what is added to it or below it."""
    for name in os.listdir(folder):
        here, there = os.path.join(folder, name), os.path.join(place, name)
        if os.path.islink(here):
            os.symlink(os.readlink(here), there)
        elif os.path.isdir(here):
            os.mkdir(there)
            if any(each.startswith(here + "/") for each in added):
                _mirror(here, there, added)
            else:
                with contextlib.suppress(OSError):
                    _bind(here, there)
        elif os.path.isfile(here):
            with open(there, "wb"), contextlib.suppress(OSError):
                _bind(here, there)
    for each, held in added.items():
        if os.path.dirname(each) == folder:
            os.mkdir(os.path.join(place, os.path.basename(each)))
            _bind(held, os.path.join(place, os.path.basename(each)))


def _bind(source: str, target: str) -> None:
    _call("mount", source.encode(), target.encode(), None, ctypes.c_ulong(_MS_BIND | _MS_REC), None)


def _landlock(readable: list[str], writable: list[str]) -> None:
    version = _call("syscall", _CREATE_RULESET, None, ctypes.c_size_t(0), 1)
    handled = (1 << (13 if version < 2 else 14 if version < 3 else 15 if version < 5 else 16)) - 1  # noqa: PLR2004
    attribute = struct.pack("=Q", handled)
    ruleset = _call("syscall", _CREATE_RULESET, attribute, ctypes.c_size_t(len(attribute)), 0)
    for paths, wanted in ((readable, _READ), (writable, handled)):
        for path in paths:
            try:
                handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except OSError:
                continue
            access = wanted & handled if os.path.isdir(path) else wanted & handled & _FILE_ONLY
            rule = struct.pack("=Qi", access, handle)
            with contextlib.suppress(OSError):
                _call("syscall", _ADD_RULE, ruleset, 1, rule, 0)
            os.close(handle)
    _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _call("syscall", _RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def _limits(limits: dict[str, int]) -> None:
    for name, value in limits.items():
        kind = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(kind)[1]
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (most, most))


def _inside(spec: dict[str, object], namespaced: bool) -> None:  # noqa: FBT001
    """Run in the process that becomes the first of its own world: shut the doors, start the commands, reap."""
    level, shown = [], []
    work = str(spec["work"])
    if namespaced:
        level.append("namespaces")
        with contextlib.suppress(OSError):
            _call("mount", b"none", b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None)
            _call("mount", b"proc", b"/proc", b"proc", ctypes.c_ulong(0), None)
        for folder in ("/tmp", "/dev/shm"):  # noqa: S108
            place = os.path.join(str(spec["private"]), folder.strip("/").replace("/", "-"))
            with contextlib.suppress(OSError):
                os.makedirs(place, exist_ok=True)
                _private(folder, place, [work, *spec["readable"]])  # type: ignore[misc]
        if spec["elsewhere"]:
            with contextlib.suppress(OSError):
                _elsewhere(spec["elsewhere"], os.path.join(work, "root"))  # type: ignore[arg-type]
                shown = list(spec["elsewhere"])  # type: ignore[call-overload]
        with contextlib.suppress(OSError):
            _loopback_up()
    _limits(spec["limits"])  # type: ignore[arg-type]
    try:
        extra = ["/tmp", "/dev/shm", *shown] if namespaced else []  # noqa: S108
        _landlock(spec["readable"], [*spec["writable"], *extra])  # type: ignore[arg-type,misc]
        level.append("landlock")
    except OSError:
        pass
    with open(str(spec["status"]), "w", encoding="utf-8") as file:
        json.dump({"level": level, "elsewhere": shown}, file)
    if spec.get("parting"):
        # Meant for the command, which must have time to tidy up before its parent goes.
        signal.signal(int(spec["parting"]), signal.SIG_IGN)  # type: ignore[call-overload]
    environment = dict(spec["environment"])  # type: ignore[call-overload]
    user = None if namespaced or os.getuid() else spec.get("user")
    children = [_start(command, str(spec["cwd"]), environment, str(spec.get("stdin") or os.devnull), user) for command in spec["commands"]]  # type: ignore[attr-defined]
    main = children[-1]
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == main:
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _start(command: list[str], cwd: str, environment: dict[str, str], stdin: str, user: object = None) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        if isinstance(user, int):
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
        # A change of user would take it back (prctl(2)).
        _call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        os.chdir(cwd)
        # Not the lifeline: who asks there waits for ever.
        os.dup2(os.open(stdin, os.O_RDONLY), 0)
        os.execve(command[0], command, environment)
    finally:
        os._exit(127)


def main() -> None:
    """Read the spec, build the box, and live until its command or the one who asked for it ends."""
    with open(sys.argv[1], encoding="utf-8") as file:
        spec = json.load(file)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    namespaced = False
    with contextlib.suppress(OSError):
        _namespaces(spec.get("user"))
        namespaced = True
    pid = os.fork()
    if not pid:
        with contextlib.suppress(OSError):
            _call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if not namespaced:
            os.setsid()
        try:
            _inside(spec, namespaced)
        finally:
            os._exit(126)
    # The lifeline is standard input: when toughen ends, however it ends, the pipe closes and the box goes with it.
    watched = os.pidfd_open(pid)
    while True:
        ready, _, _ = select.select([0, watched], [], [])
        if watched in ready:
            break
        if 0 in ready and not os.read(0, 4096):
            with contextlib.suppress(ProcessLookupError):
                if namespaced:
                    os.kill(pid, signal.SIGKILL)
                else:
                    if spec.get("parting"):
                        os.killpg(pid, int(spec["parting"]))
                        select.select([watched], [], [], _PARTING_SECONDS)
                    os.killpg(pid, signal.SIGKILL)
            break
    _, status = os.waitpid(pid, 0)
    sys.exit(os.waitstatus_to_exitcode(status) & 0xFF)


if __name__ == "__main__":
    main()
