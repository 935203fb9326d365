"""Owns the process in which one call is worked on: ended by one signal with all that it started, and by itself when whoever asked is gone.

The first line of its standard input is the order. What it says are lines of JSON on what was its standard output; whatever else writes there writes to standard error.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

if TYPE_CHECKING:
    from toughen.events import Event

TERMINATED = 143


def main() -> None:
    """Do what the order says."""
    told = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    signal.signal(signal.SIGTERM, _leave)
    order = _ordered()
    threading.Thread(target=_lifeline, daemon=True).start()
    answer = _done(order, told)
    # Nothing is left to be ended.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _say(told, answer)


def _ordered() -> dict[str, Any]:
    """The first line, without a buffer that a thread could hold when Python ends."""
    said = b""
    while not said.endswith(b"\n"):
        part = os.read(0, 1 << 16)
        if not part:
            sys.exit(TERMINATED)
        said += part
    return dict(json.loads(said))


def _leave(*_: object) -> NoReturn:
    # Once: what is tidied up now must not be interrupted.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(TERMINATED)


def _lifeline() -> None:
    """Wait for the end of whoever asked."""
    while os.read(0, 1 << 16):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _say(told: BinaryIO, what: dict[str, Any]) -> None:
    told.write(json.dumps(what, ensure_ascii=True).encode() + b"\n")
    told.flush()


def _done(order: dict[str, Any], told: BinaryIO) -> dict[str, Any]:
    from toughen.errors import ToughenError
    from toughen.mcp.work import VERBS

    def tell(event: Event) -> None:
        _say(told, {"event": _line(event)})

    try:
        answer = VERBS[order["do"]](tell, **order["arguments"])
        return {"result": answer.model_dump(mode="json", by_alias=True)}
    except ToughenError as error:
        return {"error": {"message": error.message, "hint": error.hint}}
    except Exception as error:  # noqa: BLE001 - whoever asked must hear of it
        traceback.print_exc()
        return {"error": {"message": f"toughen failed: {type(error).__name__}: {error}", "hint": "this is a fault of toughen's: its traceback stands on standard error of the server"}}


def _line(event: Event) -> dict[str, str]:
    from toughen.events import Found, Stage, Step

    match event:
        case Stage(name, detail):
            return {"kind": "stage", "text": f"{name}: {detail}" if detail else name}
        case Step(text):
            return {"kind": "step", "text": text}
        case Found(finding, seconds):
            return {"kind": "found", "text": f"proven after {seconds:.0f} s: {finding.id}: {finding.message}"}


if __name__ == "__main__":
    main()
