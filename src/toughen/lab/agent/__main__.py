"""Owns the start: `python -m toughen_agent CONFIG.json`."""

from __future__ import annotations

import json
import os
import sys

from .server import main


def start() -> int:
    """Read the configuration and serve; anything written to stdout goes to stderr."""
    with open(sys.argv[1], encoding="utf-8") as file:
        config = json.load(file)
    _pass_on(sys.argv[1])
    os.dup2(2, 1)
    main(config)
    return 0


def _pass_on(config: str) -> None:
    """Have programs of the prototype's that it starts itself lead to the same places (`alembic upgrade head`)."""
    site = os.path.join(os.path.dirname(os.path.abspath(__file__)), "site")
    os.environ["TOUGHEN_AGENT"] = os.path.abspath(config)
    os.environ["PYTHONPATH"] = os.pathsep.join(each for each in (site, os.environ.get("PYTHONPATH")) if each)


if __name__ == "__main__":
    code = start()
    sys.stdout.flush()
    # No exit handlers of the prototype: they belong to a server that never served.
    os._exit(code)
