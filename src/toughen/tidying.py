"""Owns the moments in which what was made is taken away: an interrupt waits until that is done."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


@contextmanager
def tidying() -> Iterator[None]:
    """An interrupt that comes within is answered behind it, as it would have been; a second one at once. Only the main thread is ever interrupted."""
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(usual):
        yield
        return
    waiting: list[FrameType | None] = []

    def later(number: int, frame: FrameType | None) -> None:
        if waiting:
            usual(number, frame)
        waiting.append(frame)

    signal.signal(signal.SIGINT, later)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
        if waiting:
            usual(signal.SIGINT, waiting[0])
