"""Owns programs and libraries out of Debian's packages, where the system lacks them: fetched by its own client, unpacked into the cache, never installed."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

from toughen.errors import LabError
from toughen.lab.caching import cache_folder, locked

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_SECONDS, _LINKED_SECONDS = 300, 20
_NAMES = re.compile(r"^Inst (\S+) (?:\[\S+\] )?\((\S+)", re.MULTILINE)
_SHOWN = 400


def unpacked(package: str, cache: Path | None = None) -> Path:
    """A folder with what the package holds and what it needs beyond the system, as if it were the root of one.

    Raises LabError where this is no Debian, or where its client cannot fetch it.
    """
    if not all(map(shutil.which, ("apt-get", "dpkg-deb"))):
        raise LabError(f"the package {package} cannot be had: this system has no apt-get", subject=package)
    place = (cache or cache_folder()) / "debian" / package
    with locked(place.with_name(place.name + ".lock")):
        if not (place / "complete").exists():
            shutil.rmtree(place, ignore_errors=True)
            _fetch(package, place)
            (place / "complete").touch()
    return place


def libraries(root: Path) -> list[Path]:
    """The folders with libraries below an unpacked root."""
    return sorted({file.parent for folder in ("lib", "usr/lib") for file in (root / folder).rglob("*.so*")})


def _fetch(package: str, place: Path) -> None:
    """Fetch and unpack the package and what of its needs is not installed. Raises LabError."""
    held = place / "packages"
    held.mkdir(parents=True)
    own: list[str] = []
    failed = _load(package, held, own)
    if failed:
        # The system's lists of packages are old, or not there: lists of our own need nobody's leave.
        # Packages have locks of their own, the lists are for all of them.
        with locked(place.parent / "lists.lock"):
            own = _lists(place.parent)
            for old in held.glob("*.deb"):
                # Of another version, perhaps.
                old.unlink()
            failed = _apt([*own, "update"], held) or _load(package, held, own)
    if failed:
        raise LabError(f"the package {package} cannot be had", subject=package, hint=failed)
    for file in sorted(held.glob("*.deb")):
        done = _run(["dpkg-deb", "--extract", str(file), str(place)], held)
        if done.returncode:
            raise LabError(f"the package {package} cannot be unpacked", subject=file, hint=done.stderr.strip()[-_SHOWN:])
    shutil.rmtree(held)


def _load(package: str, held: Path, options: Sequence[str]) -> str:
    """Load the package and its missing needs; "" or what went wrong."""
    planned = _run(["apt-get", *options, "install", "--simulate", "--no-install-recommends", package], held)
    names = [f"{name}={version}" for name, version in _NAMES.findall(planned.stdout)]
    if planned.returncode or not names:
        return (planned.stderr or planned.stdout).strip()[-_SHOWN:] or "there is no such package"
    return _apt([*options, "download", *names], held)


def _lists(folder: Path) -> list[str]:
    """Options that keep the client's lists of packages in a folder of ours."""
    state, kept = folder / "lists", folder / "archives"
    for each in (state / "lists" / "partial", kept / "archives" / "partial"):
        each.mkdir(parents=True, exist_ok=True)
    return ["-o", f"Dir::State::Lists={state / 'lists'}", "-o", f"Dir::Cache={kept}"]


def _apt(arguments: Sequence[str], cwd: Path) -> str:
    done = _run(["apt-get", "--quiet", *(("-o", "APT::Sandbox::User=root") if os.geteuid() == 0 else ()), *arguments], cwd)
    return done.stderr.strip()[-_SHOWN:] or f"exit code {done.returncode}" if done.returncode else ""


def _run(command: Sequence[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    try:
        return subprocess.run(list(command), cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_SECONDS, check=False, env=environment)
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(list(command), 1, "", str(error))


@functools.cache
def needed(program: Path, paths: tuple[Path, ...] = ()) -> tuple[str, ...]:
    """Names of libraries that a program needs and that are not found."""
    return tuple(line.split()[0] for line in linked(program, paths) if "not found" in line)


def linked(program: Path, paths: tuple[Path, ...] = ()) -> list[str]:
    """What the loader says of the libraries of a program or a library, line by line."""
    ldd = shutil.which("ldd")
    if ldd is None:
        return []
    environment = {"PATH": os.defpath, "LD_LIBRARY_PATH": ":".join(map(str, paths))}
    try:
        done = subprocess.run([ldd, str(program)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_LINKED_SECONDS, check=False, env=environment)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.splitlines()
