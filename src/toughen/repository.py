"""Owns what git says of a project, bounded in time and bytes. The repository is hostile: nothing of it is executed."""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

SECONDS: Final = 10.0
_LARGEST: Final = 16 << 20
_SAFE: Final = ("-c", "core.fsmonitor=false", "-c", "core.pager=cat", "-c", "log.showSignature=false", "-c", "core.hooksPath=/dev/null", "-c", "diff.external=")


def output(root: Path, arguments: Sequence[str], *, seconds: float = SECONDS, largest: int = _LARGEST) -> Iterator[bytes]:
    """What git says, piece by piece, until it has said too much or taken too long; nothing where there is no git."""
    environment = {
        "PATH": os.environ.get("PATH", ""), "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_OPTIONAL_LOCKS": "0",
        "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*", "LC_ALL": "C",
    }
    try:
        process = subprocess.Popen(["git", *_SAFE, "-C", str(root), *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, env=environment)  # noqa: S607
    except OSError:
        return
    assert process.stdout is not None
    ends, size = time.monotonic() + seconds, 0
    try:
        with process.stdout as stream, selectors.DefaultSelector() as ready:
            ready.register(stream, selectors.EVENT_READ)
            while size < largest and (left := ends - time.monotonic()) > 0 and ready.select(left):
                piece = os.read(stream.fileno(), 1 << 16)
                if not piece:
                    break
                size += len(piece)
                yield piece
    finally:
        process.kill()
        process.wait()


def lines(root: Path, arguments: Sequence[str]) -> Iterator[str]:
    """The same, line by line."""
    rest = b""
    for piece in output(root, arguments):
        *whole, rest = (rest + piece).split(b"\n")
        yield from (line.decode("utf-8", "replace") for line in whole)
    yield rest.decode("utf-8", "replace")


def names(root: Path, arguments: Sequence[str]) -> Iterator[str]:
    """File names that git ends with a zero byte each."""
    for name in b"".join(output(root, arguments)).split(b"\0"):
        if name:
            yield os.fsdecode(name)


def content(root: Path, commit: str, name: str) -> bytes:
    """A file as a commit has it; empty where it has none. `name` is relative to the root."""
    return b"".join(output(root, ["cat-file", "blob", f"{commit}:./{name}"]))


def resolved(root: Path, name: str) -> str:
    """The full id of a commit by any name; empty where there is none."""
    if name.startswith("-"):
        return ""
    return next(lines(root, ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"]), "").strip()


def shared(root: Path, one: str, other: str) -> str:
    """The commit at which two lines of history part; empty where git does not know."""
    return next(lines(root, ["merge-base", one, other]), "").strip()
