"""Owns the life of a throw-away server program of the lab's, whichever it is: its folder, its first data, its answer."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from toughen.errors import LabError
from toughen.lab.caching import locked
from toughen.lab.copying import roomy
from toughen.tidying import tidying

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from toughen.lab.sandbox import Box

START_SECONDS = 30.0
_INITIAL_SECONDS = 120.0
_VERSION_SECONDS = 20
_SHOWN = 800


class _Closable(Protocol):
    def close(self) -> object: ...


@contextlib.contextmanager
def folder(kind: str) -> Iterator[Path]:
    """A folder for one server and its data, in memory where there is room; it is gone when the context ends."""
    place = Path(tempfile.mkdtemp(prefix=f"toughen-{os.getpid()}-{kind}-", dir=roomy()))
    try:
        yield place
    finally:
        with tidying():
            shutil.rmtree(place, ignore_errors=True)


def prepared(place: Path, whole: str, home: Path, make: Callable[[], Box], name: str) -> Path:
    """The first data of a server, made once for all runs and kept at `place`; there is a `whole` in it as soon as it is complete.

    `make` starts the program that lays it into the folder `data` of `home`. Raises LabError where it fails.
    """
    with locked(place.with_name(place.name + ".lock")):
        if (place / whole).exists():
            return place
        made = home / "data"
        made.mkdir()
        (home / "private").mkdir()
        with contextlib.closing(make()) as box:
            code, said = box.finish(_INITIAL_SECONDS), box.output(_SHOWN).strip()
        if code != 0 or not (made / whole).exists():
            raise LabError(f"the throw-away {name} cannot be prepared", subject=place, hint=said)
        # One name for all runs: what an interrupted one has left behind goes here.
        half = place.with_name(place.name + ".half")
        for old in (half, place):
            shutil.rmtree(old, ignore_errors=True)
        shutil.copytree(made, half)
        half.rename(place)
        shutil.rmtree(made)
    return place


def await_answer(box: Box, socket: Path, connect: Callable[[], _Closable], refused: type[Exception], name: str) -> None:
    """Wait until a server takes connections at its socket. Raises LabError where it ended, or where it takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        said: Exception | None = None
        if socket.exists():
            try:
                connect().close()
            except refused as error:
                said = error
            else:
                return
        if not box.alive() or time.monotonic() > deadline:
            raise LabError(f"the throw-away {name} does not start", subject=box.log, hint=box.output(_SHOWN).strip() or str(said or "")) from said
        time.sleep(0.02)


def version(command: Sequence[str], pattern: str, environment: Mapping[str, str] | None = None) -> str:
    """The first group of the pattern in what a program says of its version; "" where it does not run."""
    try:
        done = subprocess.run(
            [*command, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=_VERSION_SECONDS, check=False, env=environment,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.search(pattern, done.stdout)
    return found.group(1) if found else ""
