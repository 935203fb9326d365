"""Owns the same handlers under frontrun: what its user writes (state, workers, invariant), run by its command in an environment of its own.

`frontrun python frontrunning.py MODULE WAY` in the folder of the app prints a line of JSON: attempts, and seconds until the
bug shows. It imports nothing of toughen.
"""

from __future__ import annotations

import importlib
import json
import sqlite3
import sys
import time
from pathlib import Path

import frontrun

MODULE, WAY = sys.argv[1:3]
PATH = Path("shop.db").resolve()
LIMIT = 60.0
# Before anything is scheduled: what the app does at its import is not what is raced.
APP = importlib.import_module(MODULE)


def _ask(statement: str) -> int:
    live = sqlite3.connect(PATH)
    try:
        row = live.execute(statement).fetchone()
        live.commit()
        return int(row[0]) if row else 0
    finally:
        live.close()


def setup() -> str:
    """One piece is left, and nobody has bought it."""
    _ask("UPDATE items SET stock = 1 WHERE id = 1")
    _ask("CREATE TABLE IF NOT EXISTS sold (one INTEGER)")
    _ask("DELETE FROM sold")
    return MODULE


def worker(_: str) -> None:
    """Somebody buys it."""
    if APP.sells(1):
        _ask("INSERT INTO sold (one) VALUES (1)")


def sound(_: str) -> bool:
    """Whether it was sold once at most."""
    return _ask("SELECT COUNT(*) FROM sold") <= 1


if __name__ == "__main__":
    ways = {
        "dpor": {"execution": "process", "reuse_workers": True, "total_timeout": LIMIT},
        "random": {"strategy": "random", "max_attempts": 500, "reproduce_on_failure": 0, "total_timeout": LIMIT},
    }
    began = time.perf_counter()
    result = frontrun.explore(setup=setup, workers=worker, count=2, invariant=sound, **ways[WAY])
    spent = time.perf_counter() - began
    print(json.dumps({"shown": result.property_holds is False, "attempts": result.num_explored, "seconds": spent}))
