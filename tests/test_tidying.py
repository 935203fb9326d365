"""What was made is taken away though an interrupt comes meanwhile."""

from __future__ import annotations

import shutil
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from toughen.lab import daemons
from toughen.tidying import tidying

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _usual() -> Iterator[None]:
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, usual)


def test_an_interrupt_waits() -> None:
    """It is answered once all is taken away, though what is taken away does so itself; the next one is answered as ever."""
    done = []

    def work() -> None:
        with tidying():
            with tidying():
                signal.raise_signal(signal.SIGINT)
                done.append("inner")
            done.append("outer")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["inner", "outer"]
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_a_second_one_does_not_wait() -> None:
    """Whoever asks twice is not held up by what does not end."""
    done = []

    def work() -> None:
        with tidying():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            done.append("never")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == []


def test_an_error_is_told_as_ever() -> None:
    """What fails meanwhile is told, and the handler is the one of before."""
    with pytest.raises(ValueError, match="x"), tidying():
        raise ValueError("x")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_where_none_can_come() -> None:
    """In another thread, and where interrupts are ignored, nothing changes."""
    seen = []

    def work() -> None:
        with tidying():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with tidying():
        signal.raise_signal(signal.SIGINT)
        seen.append(signal.getsignal(signal.SIGINT))
    assert seen == [signal.default_int_handler, signal.SIG_IGN]


def test_a_folder_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt that comes while a server's folder is taken away leaves nothing of it."""
    taken = shutil.rmtree
    places = []

    def interrupted(place: Path, **how: bool) -> None:
        signal.raise_signal(signal.SIGINT)
        taken(place, **how)

    def work() -> None:
        with daemons.folder("test") as place:
            places.append(place)
            (place / "data").write_text("x")

    monkeypatch.setattr(shutil, "rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt):
        work()
    assert [each.exists() for each in places] == [False]
