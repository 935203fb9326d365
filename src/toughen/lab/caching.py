"""Owns the folder that is kept between runs, and the installer that fills it."""

from __future__ import annotations

import fcntl
import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from uv import find_uv_bin

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

INSTALL_SECONDS = 600
"""Longest time that one uv command may take."""


def cache_folder() -> Path:
    """The folder where built environments are kept between runs (`XDG_CACHE_HOME` is respected)."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "toughen"


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Have a place of the cache to oneself, among all processes."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def uv(*arguments: str, variables: Mapping[str, str] | None = None) -> str | None:
    """Run uv, with further environment variables; None when it succeeded, else what it said."""
    environment = {key: value for key, value in os.environ.items() if key not in {"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME"}}
    environment["UV_PYTHON_DOWNLOADS"] = "never"
    # The box cannot write there: what is not compiled now is compiled anew at every boot.
    environment["UV_COMPILE_BYTECODE"] = "1"
    environment |= variables or {}
    try:
        done = subprocess.run(
            [find_uv_bin(), "--no-progress", "--no-config", *arguments],
            capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False, env=environment,
        )
    except subprocess.TimeoutExpired:
        return f"uv {arguments[0]} took longer than {INSTALL_SECONDS} s"
    return None if done.returncode == 0 else done.stderr
