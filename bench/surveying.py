"""Owns how fast source is read: the standard library of the running Python, first without and then with a cache."""

from __future__ import annotations

import os
import sysconfig
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.measure import Figure
from toughen.survey import read

if TYPE_CHECKING:
    from collections.abc import Iterator

COLD = 80_000
WARM = 1_000_000


def figures() -> Iterator[Figure]:
    """Lines a second of processor time, that of helper processes included."""
    corpus = Path(sysconfig.get_paths()["stdlib"])
    with tempfile.TemporaryDirectory(prefix="toughen-bench") as folder:
        cache = Path(folder) / "survey"
        lines, cold = _read(corpus, cache)
        warm = min(_read(corpus, cache)[1] for _ in range(3))
    corpus_told = f"{lines:,} lines of the standard library"
    yield Figure("survey, cold", lines / cold, "lines/CPU s", at_least=COLD, beside=corpus_told)
    yield Figure("survey, warm", lines / warm, "lines/CPU s", at_least=WARM, beside=corpus_told)


def _read(corpus: Path, cache: Path) -> tuple[int, float]:
    began = _processor()
    lines = read(corpus, cache=cache).lines
    return lines, _processor() - began


def _processor() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system
