"""Owns the crew: several boots of one prototype that share the work, each with a world and a thread of its own."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from toughen.errors import LabError
from toughen.lab.twin import adopted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType

    from toughen.lab.boot import Lab
    from toughen.lab.snapshot import Snapshot
    from toughen.lab.target import LabTarget
    from toughen.lab.twin import Probe

MOST = 4
"""Boots of one prototype at a time."""
_LOOK = 0.2
"""Seconds between two looks at whether the others have ended."""
Job = TypeVar("Job")


def spare() -> int:
    """How many boots beside the first this machine has room for: one a processor."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(MOST, processors) - 1


@dataclass(slots=True)
class _Work(Generic[Job]):
    """What is to be done by whoever comes first."""

    first: LabTarget
    snapshot: Snapshot
    do: Callable[[LabTarget, Job], None]
    waiting: list[tuple[str, Job]]
    probe: Probe | None = None
    places: dict[str, int] = field(default_factory=dict)
    busy: set[int] = field(default_factory=set)
    failures: list[BaseException] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def work(self, worker: int, target: LabTarget) -> None:
        """Do jobs until none is left."""
        while (job := self._take(worker)) is not None:
            try:
                self.do(target, job)
            except BaseException as error:
                self.failures.append(error)
                raise
            finally:
                with self.changed:
                    self.busy.discard(worker)
                    self.changed.notify_all()

    def _take(self, worker: int) -> Job | None:
        """The next job; of a place that this worker had before, or that nobody had, where there is one."""
        with self.changed:
            if not self.waiting:
                return None
            index = next((number for number, (place, _) in enumerate(self.waiting) if self.places.get(place, worker) == worker), 0)
            place, job = self.waiting.pop(index)
            self.places[place] = worker
            self.busy.add(worker)
            return job

    def finish(self) -> None:
        """Wait until nobody is at work."""
        with self.changed:
            self.changed.wait_for(lambda: not self.busy)

    def give_up(self) -> None:
        """Leave undone what nobody has begun."""
        with self.changed:
            self.waiting.clear()


class Crew:
    """Boots beside the first: started when the context begins, at work during `work`, gone when the context ends."""

    def __init__(self, boot: Callable[[], AbstractContextManager[Lab]], size: int) -> None:
        """Take what boots the prototype once more, and how often."""
        self._boot = boot
        self._threads = [threading.Thread(target=self._live, args=(number + 1,), daemon=True) for number in range(size)]
        self._labs: list[Lab] = []
        self._news = threading.Condition()
        self._works: list[_Work[Any]] = []
        self._ended = False
        self._failures: list[BaseException] = []

    def __enter__(self) -> Self:
        """Start booting."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        """End the others, whatever they are doing."""
        for work in self._works:
            work.give_up()
        with self._news:
            self._ended = True
            self._news.notify_all()
        for thread in self._threads:
            while thread.is_alive():
                for lab in list(self._labs):
                    lab.end()
                thread.join(_LOOK)

    def work(
        self, first: LabTarget, snapshot: Snapshot, jobs: Sequence[tuple[str, Job]], do: Callable[[LabTarget, Job], None], probe: Probe | None = None
    ) -> None:
        """Have all jobs done, each once, by this thread on the first target and by the others on twins of it.

        A job comes with the name of its place: jobs of one place go to one worker where that leaves nobody idle.
        Raises what `do` raised, in whichever thread.
        """
        work = _Work(first, snapshot, do, list(jobs), probe)
        with self._news:
            self._works.append(work)
            self._news.notify_all()
        work.work(0, first)
        work.finish()
        for failure in (*work.failures, *self._failures):
            raise failure

    def _live(self, number: int) -> None:
        try:
            with self._boot() as lab:
                self._labs.append(lab)
                twin: LabTarget | None = None
                digest, done = "", 0
                while (work := self._next(done)) is not None:
                    done += 1
                    if not work.waiting:
                        continue
                    if twin is None or digest != work.snapshot.digest:
                        twin, digest = adopted(lab, work.first, work.snapshot, work.probe), work.snapshot.digest
                    twin.snapshot = work.first.snapshot
                    work.work(number, twin)
        except LabError:
            # The first boot does alone what a twin that cannot be had would have done.
            return
        except BaseException as error:  # noqa: BLE001 - `work` raises it in the thread that waits
            self._failures.append(error)

    def _next(self, done: int) -> _Work[Any] | None:
        with self._news:
            self._news.wait_for(lambda: self._ended or len(self._works) > done)
            return None if self._ended else self._works[done]
