"""Owns the sandbox's outside: what the prototype may see, and the life of the box that it runs in."""

from __future__ import annotations

import json
import os
import signal
import site
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/etc", "/proc", "/sys/devices/system/cpu", "/opt/homebrew")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty")
_GIB = 1 << 30
PRIVATE = ".private"
"""Folder of the world in which the prototype's own /tmp and /dev/shm lie: what it keeps there is its state too."""
LIMITS = {"CORE": 0, "FSIZE": 2 * _GIB, "NOFILE": 4096, "AS": 16 * _GIB}
"""Resource limits of everything inside: bytes, and open files."""
LEVELS = {
    ("namespaces", "landlock"): "full (own network, processes and files; Landlock)",
    ("namespaces",): "namespaces (own network and processes; files by permission only)",
    ("landlock",): "Landlock (files only; the network is held by the socket hook)",
    (): "hooks only (this system offers no sandbox: do not run code that you would not run yourself)",
}


@dataclass(slots=True)
class Box:
    """A running box; closing its lifeline ends everything inside."""

    process: subprocess.Popen[bytes]
    status: Path
    log: Path

    def level(self) -> str:
        """The active sandbox level in words; "" until the box has shut its doors."""
        found = self.shut()
        return "" if found is None else LEVELS.get(found, ", ".join(found))

    def shut(self) -> tuple[str, ...] | None:
        """Which doors it has shut (`namespaces`, `landlock`); None until it has."""
        try:
            return tuple(json.loads(self.status.read_text())["level"])
        except (OSError, ValueError, KeyError):
            return None

    def elsewhere(self) -> tuple[str, ...]:
        """Folders outside the project that it shows, each a private one at its place."""
        try:
            return tuple(json.loads(self.status.read_text()).get("elsewhere") or ())
        except (OSError, ValueError):
            return ()

    def alive(self) -> bool:
        """Whether the main command still runs."""
        return self.process.poll() is None

    def finish(self, timeout: float) -> int | None:
        """Exit code of the main command once it has ended; None where it has not after `timeout` seconds."""
        try:
            return self.process.wait(timeout=timeout)
        except subprocess.TimeoutExpired:
            return None

    def output(self, limit: int = 4000) -> str:
        """The end of what the prototype printed."""
        try:
            with self.log.open("rb") as file:
                file.seek(0, os.SEEK_END)
                file.seek(max(0, file.tell() - limit))
                return file.read().decode(errors="replace")
        except OSError:
            return ""

    def close(self) -> None:
        """End everything inside and wait until it is gone."""
        if self.process.stdin:
            self.process.stdin.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(timeout=5)


def held(world: Path, folder: str) -> Path:
    """Where a folder that only the box shows lies for us."""
    return world / PRIVATE / folder.strip("/").replace("-", "--").replace("/", "-")


def readable_for(python: Path) -> list[str]:
    """Folders that this interpreter needs: its environment, its real prefix, and where `.pth` files point."""
    folders = [python.parent.parent]
    config = python.parent.parent / "pyvenv.cfg"
    if config.is_file():
        for line in config.read_text(errors="replace").splitlines():
            key, _, value = line.partition("=")
            if key.strip() == "home":
                folders.append(Path(value.strip()).parent)
    folders.append(python.resolve().parent.parent)
    for package_folder in (python.parent.parent / "lib").glob("python3*/site-packages"):
        for pth in package_folder.glob("*.pth"):
            lines = pth.read_text(errors="replace").splitlines()
            folders.extend(Path(line) for line in lines if line.startswith("/") and Path(line).is_dir())
    return [str(folder) for folder in dict.fromkeys(folders)]


def scrubbed(work: Path, extra: dict[str, str]) -> dict[str, str]:
    """The environment inside: nothing of the user's but the language, plus `extra`."""
    kept = {key: os.environ[key] for key in ("LANG", "LC_ALL", "TZ") if key in os.environ}
    home = work / "home"
    home.mkdir(exist_ok=True)
    scratch = work / "tmp"
    scratch.mkdir(exist_ok=True)
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home),
        "TMPDIR": str(scratch),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONWARNINGS": "ignore",
        **kept,
        **extra,
    }


@dataclass(frozen=True, slots=True)
class Daemon:
    """What a server program of the lab's own needs otherwise than the prototype does."""

    user: int | None
    """The user that it believes to be (and is, where there are no namespaces); None for the one that toughen runs as."""
    private: Path
    """Folder for its /tmp and /dev/shm, which are no state of the prototype's."""
    readable: tuple[str, ...]
    parting: int
    """The signal that it tidies up at, sent before it is killed."""


def start(
    commands: list[list[str]], *, work: Path, cwd: Path, environment: dict[str, str], name: str, python: Path | None = None, daemon: Daemon | None = None,
    readable: Sequence[str] = (), elsewhere: Mapping[str, str] | None = None, stdin: Path | None = None,
) -> Box:
    """Start commands in one box: companions first, the main command last.

    `work` is the only folder that they can write to, by the name of `elsewhere` too: folder that this machine lacks -> one of the world; `name` tells the spec, status and log files of several boxes apart.
    What they read from standard input stands in the file `stdin`; without one there is nothing.
    """
    interpreters = [*readable_for(python or Path(sys.executable)), *readable_for(Path(sys.executable)), *site.getsitepackages()]
    spec = {
        "work": str(work),
        "private": str(daemon.private if daemon else work / "world" / PRIVATE),
        "user": daemon.user if daemon else None,
        "parting": daemon.parting if daemon else 0,
        "cwd": str(cwd),
        "commands": commands,
        "environment": environment,
        "readable": [*_SYSTEM, *readable, *(daemon.readable if daemon else interpreters)],
        "writable": [str(work), *_DEVICES],
        "elsewhere": dict(elsewhere or {}),
        "stdin": str(stdin) if stdin else "",
        "limits": LIMITS,
        "status": str(work / f"{name}.status"),
    }
    place = work / f"{name}.spec"
    place.write_text(json.dumps(spec))
    log = work / f"{name}.log"
    with log.open("wb") as output:
        launcher = [sys.executable, "-I", str(Path(__file__).with_name("box.py")), str(place)]
        if not sys.platform.startswith("linux"):
            launcher = commands[-1]
        process = subprocess.Popen(
            launcher, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT,
            cwd=cwd if launcher is commands[-1] else None, env=environment if launcher is commands[-1] else None,
            start_new_session=True,
        )
    return Box(process, work / f"{name}.status", log)
