"""Owns the size of the pages that a server forks from: where they are large, a fork copies one entry in the place of five hundred."""

from __future__ import annotations

import contextlib
import sys

_LARGE = 2 << 20
_GATHER = 25
"""MADV_COLLAPSE, of Linux 6.1 (madvise(2)); nothing that is read or written changes by it."""


def gathered() -> int:
    """Bytes of this process's own memory that the kernel has gathered in large pages; 0 where it cannot."""
    if not sys.platform.startswith("linux"):
        return 0
    done = 0
    with contextlib.suppress(Exception):
        import ctypes

        advise = ctypes.CDLL(None).madvise
        advise.argtypes = [ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int]
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
            lines = [line.split() for line in file]
        for place, rights, _, _, _, *name in lines:
            start, _, end = place.partition("-")
            first, last = -(-int(start, 16) // _LARGE), int(end, 16) // _LARGE
            if rights == "rw-p" and name in ([], ["[heap]"]) and first < last and advise(first * _LARGE, (last - first) * _LARGE, _GATHER) == 0:
                done += (last - first) * _LARGE
    return done
