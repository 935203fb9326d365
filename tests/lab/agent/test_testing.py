"""The forks in which the project's own tests run: how many, how long, and from what memory."""

from __future__ import annotations

import gc
import json
import mmap
import os
import sys
import time
from typing import Any

import pytest

from toughen.lab.agent import large
from toughen.lab.agent.testing import _by_name, _engines, forked


def told(out: int, run: dict[str, Any]) -> None:
    """What a run would do: wait, and tell who it was."""
    time.sleep(run["waits"])
    os.write(out, json.dumps({"tests": [run["name"]]}).encode())
    os._exit(0)


def test_none_is_begun_once_the_time_is_over() -> None:
    """Runs that are on their way end well; whoever's turn has not come is told so, and not as one that failed or died."""
    runs = [{"name": name, "waits": 0.4, "seconds": 20.0} for name in "abcd"]
    found = forked(told, runs, 2, 0.2)
    assert [(each["tests"], each["ended"]) for each in found] == [(["a"], "done"), (["b"], "done"), ([], "unrun"), ([], "unrun")]


def test_the_next_one_begins_as_soon_as_one_ends() -> None:
    """A slow run keeps one place; the others pass it by."""
    began = time.monotonic()
    found = forked(told, [{"name": "slow", "waits": 2.0, "seconds": 20.0}, *({"name": str(each), "waits": 0.5, "seconds": 20.0} for each in range(4))], 2)
    assert [each["tests"] for each in found] == [["slow"], ["0"], ["1"], ["2"], ["3"]]
    # In pairs that wait for the slower one it would be 3 s.
    assert time.monotonic() - began < 2.9


def test_items_that_share_a_name_stay_together() -> None:
    """Two items that pytest gives the same id are both run."""

    class Item:
        def __init__(self, name: str) -> None:
            self.nodeid = name

    one, two, three = Item("a"), Item("b"), Item("a")
    assert _by_name([one, two, three]) == {"a": [one, three], "b": [two]}


def test_engines_of_files_are_found_before_the_fork() -> None:
    """An engine whose connections a fork must not share is found, frozen or not; one that holds its database in memory is left alone."""
    sqlalchemy = pytest.importorskip("sqlalchemy")
    kept, memory = sqlalchemy.create_engine("sqlite:////nowhere/shop.db"), sqlalchemy.create_engine("sqlite://")
    gc.freeze()
    found = _engines()
    assert kept in found
    assert memory not in found


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="large pages are asked for on Linux")
def test_memory_that_is_gathered_holds_what_it_held() -> None:
    """Nothing changes that the process can read, whether the kernel gathers its pages or not."""
    with mmap.mmap(-1, 8 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as place:
        place[:] = bytes(range(256)) * (len(place) // 256)
        assert large.gathered() % (2 << 20) == 0
        assert place[:] == bytes(range(256)) * (len(place) // 256)
