"""Owns the runs that the server has under way: a process for each, one at a time for a project, and none left when a call is cancelled."""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import suppress
from subprocess import PIPE
from typing import TYPE_CHECKING, Any

import anyio
from anyio.streams.buffered import BufferedByteReceiveStream

from toughen.errors import ToughenError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from anyio.abc import Process

    Tell = Callable[[str], Awaitable[None]]

PATIENCE = 30.0
"""Seconds that a run has to tidy up after it was told to end."""
_LONGEST = 256 << 20
"""Bytes of one line that a worker says."""
_PAUSE = 0.3
"""Seconds between two steps that are told: stages and proofs are told at once."""


class Runs:
    """The runs of one server."""

    def __init__(self) -> None:
        """Nothing is under way."""
        self._locks: dict[Path, anyio.Lock] = {}

    async def run(self, root: Path, verb: str, arguments: dict[str, Any], tell: Tell, seconds: float) -> dict[str, Any]:
        """The answer of one verb, as it goes over the wire. Raises ToughenError with what went wrong, as the worker told it.

        A second run in the same project waits for the first. Cancelling ends the run, and returns when nothing of it is left.
        """
        lock = self._locks.setdefault(root, anyio.Lock())
        if lock.locked():
            await tell("waiting for the run that is under way in this project")
        async with lock:
            try:
                with anyio.fail_after(seconds):
                    return await self._worked(verb, arguments, tell)
            except TimeoutError as error:
                raise ToughenError(f"{verb} took longer than {seconds:.0f} s and was ended", subject=root, hint="narrow it with `only`, or give it a larger budget") from error

    async def _worked(self, verb: str, arguments: dict[str, Any], tell: Tell) -> dict[str, Any]:
        # A start that is cancelled half way would leave a process that nobody knows.
        with anyio.CancelScope(shield=True):
            process = await anyio.open_process([sys.executable, "-P", "-m", "toughen.mcp.worker"], stdin=PIPE, stdout=PIPE, stderr=None, start_new_session=True)
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            await process.stdin.send(json.dumps({"do": verb, "arguments": arguments}).encode() + b"\n")
            return await _heard(BufferedByteReceiveStream(process.stdout), tell)
        finally:
            with anyio.CancelScope(shield=True):
                await _end(process)


async def _heard(stream: BufferedByteReceiveStream, tell: Tell) -> dict[str, Any]:
    """Relay what a worker tells until it answers."""
    last = 0.0
    while True:
        try:
            said = json.loads(await stream.receive_until(b"\n", _LONGEST))
        except (anyio.EndOfStream, anyio.IncompleteRead) as error:
            raise ToughenError("the run ended without an answer", hint="what it said stands on standard error of the server") from error
        if "result" in said:
            return dict(said["result"])
        if "error" in said:
            raise ToughenError(said["error"]["message"], hint=said["error"]["hint"])
        event = said["event"]
        if event["kind"] != "step" or anyio.current_time() - last >= _PAUSE:
            last = anyio.current_time()
            await tell(event["text"])


async def _end(process: Process) -> None:
    """End a worker: by one signal, at which it tidies up; with all of its group where it does not."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.terminate()
        with anyio.move_on_after(PATIENCE):
            await process.wait()
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    await process.aclose()
