"""Owns late imports: what a child had to import while it served, the server imports before it forks the next one."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_ROOM = 4000
"""Bytes of one write to a pipe; up to 4,096 are written whole (pipe(7))."""


class Late:
    """A pipe from every child to the server, for names of modules."""

    def __init__(self) -> None:
        """Open the pipe; reading and writing never wait."""
        self.known: frozenset[str] = frozenset()
        """Modules that were there before the fork. A child that listed them itself would copy every page with a name."""
        self._out, self._in = os.pipe()
        os.set_blocking(self._out, False)
        os.set_blocking(self._in, False)

    def look(self) -> None:
        """Know the modules that are there now."""
        if len(self.known) != len(sys.modules):
            self.known = frozenset(sys.modules)

    def tell(self, names: Iterable[str]) -> None:
        """Tell the server; names that find no room are lost, which costs time only."""
        line = ""
        try:
            for name in names:
                if len(line) + len(name) > _ROOM:
                    os.write(self._in, line.encode())
                    line = ""
                line += name + "\n"
            os.write(self._in, line.encode())
        except (OSError, UnicodeError):
            return

    def bring_in(self) -> int:
        """Import what children told; return how many came in."""
        data = b""
        try:
            while len(data) < 1 << 20:
                piece = os.read(self._out, 1 << 16)
                if not piece:
                    break
                data += piece
        except OSError:
            pass
        names = dict.fromkeys(data.decode("utf-8", "replace").split())
        return bring_in(list(names)) if names else 0


def bring_in(names: list[str]) -> int:
    """Import modules, and keep them out of the garbage collector's way, so that children share their memory."""
    done = 0
    for name in names:
        try:
            importlib.import_module(str(name))
            done += 1
        except Exception:
            continue
    gc.collect()
    gc.freeze()
    return done
