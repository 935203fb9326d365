"""Owns the start of the command: an interrupt is answered with one line even while toughen is still being imported."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

_INTERRUPTED = 130


def main() -> None:
    """Import the command line and run it; exit code 130 when interrupted."""
    # Nothing is to be tidied up yet, and an exception in the middle of an import may come out as another one.
    signal.signal(signal.SIGINT, lambda *_: _leave())
    from toughen.cli import main as run

    asked: list[int] = []

    def interrupted(number: int, _: object) -> NoReturn:
        asked.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupted)
    try:
        run()
    except KeyboardInterrupt:
        _leave()
    except SystemExit as leaving:
        # What typer makes of an interrupt; or it was lost on its way, and Python would end by the signal all the same.
        if leaving.code == _INTERRUPTED or asked:
            _leave()
        raise
    finally:
        # The run is over and its answer is out: an interrupt while Python takes itself down (with its handlers) would end it by the signal.
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _leave() -> NoReturn:
    """Not by sys.exit: an interrupt that hit exec() of a text (dataclasses make their methods so) has Python end by the signal."""
    sys.stderr.write("interrupted; nothing is left behind\n")
    sys.stdout.flush()
    os._exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
