"""Owns how large this process was at its largest."""

from __future__ import annotations

import sys

try:
    import resource
except ImportError:
    resource = None  # type: ignore[assignment]


def largest() -> int:
    """Return the most memory, in bytes, that this process has had at a time since it was forked (getrusage(2)); 0 where nobody tells.

    A request that grows into what was freed before it is seen to grow by less, never by more.
    """
    if resource is None:
        return 0
    told = int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return told if sys.platform == "darwin" else told * 1024
