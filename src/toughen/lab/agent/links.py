"""Owns what connections to the lab's servers have in common, whatever speaks on them: the drivers that hold them, their sockets, their end."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


def loaded(*names: str) -> list[Any]:
    """The hooks of drivers that the prototype has loaded."""
    found = (sys.modules.get((__package__ or "") + "." + name) for name in names)
    return [module for module in found if module is not None]


def looped(*names: str) -> bool:
    """Whether a connection of such a driver belongs to a loop that is still there."""
    loops = [getattr(each, "_loop", None) for hooks in loaded(*names) for each in hooks.connections()]
    return any(loop is not None and not loop.is_closed() for loop in loops)


def sockets(descriptors: Iterable[int]) -> set[str]:
    """What the kernel calls the sockets behind descriptors."""
    found = set()
    for each in descriptors:
        try:
            found.add(os.readlink("/proc/self/fd/" + str(each)))
        except OSError:
            continue
    return found


def break_off(server: Any) -> None:
    """Break every connection to a server off, as it does when it goes; nothing where there is none."""
    if server is None:
        return
    for name in os.listdir("/proc/self/fd"):
        try:
            end = socket.socket(fileno=os.dup(int(name)))
        except OSError:
            continue
        with contextlib.suppress(OSError, ValueError), end:
            if end.family == socket.AF_UNIX and end.getpeername() == server.path:
                end.shutdown(socket.SHUT_RDWR)


def cut(descriptor: int) -> None:
    """Have a connection be one that is gone: its number stays taken, or the driver would go on in whatever is opened next."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        os.dup2(ours.fileno(), descriptor)
