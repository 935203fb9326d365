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
    os.dup2(2, 1)
    main(config)
    return 0


if __name__ == "__main__":
    code = start()
    sys.stdout.flush()
    # No exit handlers of the prototype: they belong to a server that never served.
    os._exit(code)
