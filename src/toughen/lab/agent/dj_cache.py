"""Owns the stand-in for a cache that Django keeps on a server of its own: files of the throw-away copy, which all processes see."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING, Any

from django.core.cache.backends.filebased import FileBasedCache  # type: ignore[import-not-found, import-untyped, unused-ignore]

if TYPE_CHECKING:
    from collections.abc import Iterator


class FileCache(FileBasedCache):  # type: ignore[misc, unused-ignore]
    """What a server does in one step is done in one step here, too: `add` locks, `incr` counts."""

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        os.makedirs(self._dir, exist_ok=True)
        with open(os.path.join(self._dir, "lock"), "a") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield

    def add(self, *args: Any, **keywords: Any) -> Any:
        """Store a value where there is none; whether it was stored."""
        with self._alone():
            return super().add(*args, **keywords)

    def incr(self, *args: Any, **keywords: Any) -> Any:
        """Add to a number."""
        with self._alone():
            return super().incr(*args, **keywords)
