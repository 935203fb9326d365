"""Patterns of the client's: growth within one run, never a time alone."""

from __future__ import annotations

import re
import time

from toughen import patterns
from toughen.model.trace import Exchange, Response, Trace
from toughen.model.trial import Experiment, Trial
from toughen.patterns import steep
from toughen.rule import Fails, Holds, Unclear

EXPERIMENT = Experiment({name: Trial(()) for name in ("control", "flat", "short", "long")}, "", (("kind", "pattern"), ("field", "q"), ("over", "over text")))


def took(milliseconds: float, ended: str = "answered") -> Trace:
    """A request that took so long."""
    return Trace((Exchange("GET", "/search?q=x", "", Response(200) if ended == "answered" else None, ended, milliseconds=milliseconds),))


def judged(flat: float, short: float, long: float, ended: str = "answered") -> object:
    """What four requests show."""
    return steep(EXPERIMENT, {"control": took(2), "flat": took(flat), "short": took(short), "long": took(long, ended)})


def test_growth_is_shown() -> None:
    """Sixteen times as long for four letters more; or no answer any more, where the shorter one is answered."""
    assert isinstance(judged(2, 50, 780), Holds)
    assert isinstance(judged(2, 800, 10_000, "timeout"), Holds)


def test_slowness_alone_is_none() -> None:
    """A server that is slow for all, or grows with the length, keeps nobody for ever."""
    assert isinstance(judged(900, 1000, 1300), Fails)
    assert isinstance(judged(1, 2, 4), Fails)
    assert isinstance(judged(2, 400, 700), Fails)
    assert isinstance(steep(EXPERIMENT, {"control": took(2), "flat": took(10_000, "timeout"), "short": took(5), "long": took(900)}), Unclear)


def test_the_patterns_are_what_they_are_meant_to_be() -> None:
    """The steep ones double with each letter, the flat ones do not start; both are of one length."""
    def seconds(pattern: str, text: str) -> float:
        # Compiling takes longer than a flat match; of several runs the shortest is the pattern's own.
        compiled, spent = re.compile(pattern), []
        for _ in range(3):
            began = time.perf_counter()
            assert not compiled.search(text)
            spent.append(time.perf_counter() - began)
        return min(spent)

    text = "a" * 18 + "!"
    assert len(patterns._STEEP) == len(patterns._FLAT)
    assert seconds(patterns._STEEP, text) > 20 * seconds(patterns._FLAT, text)
    either, never = patterns._EITHER, patterns._NEVER
    assert seconds(either.format("..", 12), "root 1 0.0 python main.py --quiet") > 20 * seconds(either.format(never, 12), "root 1 0.0 python main.py --quiet")
