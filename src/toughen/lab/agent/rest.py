"""Owns sleep behind the answer: what goes on when the client has its answer does not rest, so that a second of work takes no minute of trials."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

from . import aside, frames
from .recorder import RECORDER

MOST = 60.0
"""Seconds that are left out for one request; a loop that sleeps for ever rests then."""
_real_sleep = time.sleep
_real_async_sleep = asyncio.sleep


def install() -> None:
    """Replace `time.sleep` and `asyncio.sleep`, for the project's own code."""
    time.sleep = sleep  # type: ignore[assignment]
    asyncio.sleep = async_sleep


def sleep(seconds: float, /) -> None:
    """Sleep, unless nobody waits for it."""
    if aside.sleeps(seconds):
        return
    _real_sleep(0 if _idle(seconds, sys._getframe(1).f_code.co_filename) else seconds)


async def async_sleep(delay: float, result: Any = None) -> Any:
    """Sleep, unless nobody waits for it."""
    caller = sys._getframe(1)
    file = caller.f_code.co_filename
    if aside.rests(file):
        return await aside.turns(delay, result)
    return await _real_async_sleep(0 if _idle(delay, file) else delay, result)


def _idle(seconds: Any, file: str) -> bool:
    if not RECORDER.active or not isinstance(seconds, (int, float)) or seconds <= 0:
        return False
    if RECORDER.answered_after < 0:
        RECORDER.slept += seconds
        return False
    if RECORDER.rested + seconds > MOST or frames.relative(file) is None:
        return False
    RECORDER.rested += seconds
    return True
