"""First data of throw-away servers: made once, whole, whoever else makes it or was interrupted while it did."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from toughen.errors import LabError
from toughen.lab import daemons

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Box:
    """A box whose program lays two files, one after the other, and then ends as it is told."""

    def __init__(self, home: Path, ends: Callable[[], int | None]) -> None:
        """Take the folder, and what tells its exit code."""
        self.home = home
        self.ends = ends
        self.closed = False

    def finish(self, timeout: float) -> int | None:
        assert timeout > 0
        (self.home / "data" / "first").write_text("1")
        time.sleep(0.05)
        (self.home / "data" / "last").write_text("2")
        return self.ends()

    def output(self, limit: int) -> str:
        return "what it said"[:limit]

    def close(self) -> None:
        self.closed = True


def prepared(tmp_path: Path, name: str, ends: Callable[[], int | None] = lambda: 0) -> tuple[Path, list[Box]]:
    """The first data as a run of that name gets them, and the boxes that it took."""
    home = tmp_path / name
    home.mkdir()
    boxes: list[Box] = []

    def make() -> Any:
        boxes.append(Box(home, ends))
        return boxes[-1]

    place = daemons.prepared(tmp_path / "cache" / "data-1", "last", home, make, "server")
    return place, boxes


def test_two_at_once_make_it_once(tmp_path: Path) -> None:
    """Who comes second waits, and finds it whole."""
    found: list[tuple[Path, list[Box]]] = []
    runs = [threading.Thread(target=lambda name=str(number): found.append(prepared(tmp_path, name))) for number in range(4)]  # type: ignore[misc]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert len(found) == 4
    assert sum(len(boxes) for _, boxes in found) == 1
    assert {place for place, _ in found} == {tmp_path / "cache" / "data-1"}
    assert (tmp_path / "cache" / "data-1" / "last").read_text() == "2"


def test_what_an_interrupted_run_has_left_is_not_taken(tmp_path: Path) -> None:
    """Half a folder, under its own name or under that of a copy on its way, gives way to a whole one."""
    for name in ("data-1", "data-1.half"):
        (tmp_path / "cache" / name).mkdir(parents=True)
        (tmp_path / "cache" / name / "stale").touch()
    place, boxes = prepared(tmp_path, "run")
    assert sorted(each.name for each in place.iterdir()) == ["first", "last"]
    assert sorted(each.name for each in place.parent.iterdir()) == ["data-1", "data-1.lock"]
    assert boxes[0].closed


def test_an_interrupt_leaves_no_process(tmp_path: Path) -> None:
    """The program is ended with the run that wanted it, and nothing of it is kept."""
    closed: list[Box] = []

    def interrupted() -> int | None:
        raise KeyboardInterrupt

    home = tmp_path / "run"
    home.mkdir()

    def make() -> Any:
        closed.append(Box(home, interrupted))
        return closed[-1]

    with pytest.raises(KeyboardInterrupt):
        daemons.prepared(tmp_path / "cache" / "data-1", "last", home, make, "server")
    assert closed[0].closed
    assert not (tmp_path / "cache" / "data-1").exists()
    assert prepared(tmp_path, "again")[0].is_dir()


@pytest.mark.parametrize("code", [1, None])
def test_a_program_that_fails_is_told_of(tmp_path: Path, code: int | None) -> None:
    """With what it said; whether it failed, or did not end in time."""
    with pytest.raises(LabError) as told:
        prepared(tmp_path, "run", lambda: code)
    assert told.value.hint == "what it said"
    assert not (tmp_path / "cache" / "data-1").exists()


def test_the_folder_of_a_server_is_gone_with_it() -> None:
    """Also where an interrupt ends it."""

    def interrupted() -> None:
        with daemons.folder("test") as place:
            kept.append(place)
            (place / "data").mkdir()
            raise KeyboardInterrupt

    kept: list[Path] = []
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not kept[0].exists()
