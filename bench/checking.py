"""Owns how long a user waits: `toughen check` on the example, on a new machine and on one that has seen it before."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.measure import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator

COLD = 30.0
WARM = 15.0
FIRST = 5.0
LIMIT = 600.0
_ANSWERED = (0, 10)


def figures() -> Iterator[Figure]:
    """Seconds of the whole command: with empty caches (ours and uv's, so packages are fetched), then again."""
    example = Path(__file__).parents[1] / "examples" / "tuckshop"
    with tempfile.TemporaryDirectory(prefix="toughen-bench") as folder:
        root = Path(folder) / "tuckshop"
        shutil.copytree(example, root, ignore=shutil.ignore_patterns(".toughen", "__pycache__"))
        cold, _, findings = _check(root, Path(folder) / "cache")
        warm, first, again = _check(root, Path(folder) / "cache")
    assert findings == again, f"{findings} proven with empty caches, {again} with full ones"
    yield Figure("check examples/tuckshop, empty caches", cold, "s", at_most=COLD, beside=f"{findings} proven")
    yield Figure("check examples/tuckshop, cached environment", warm, "s", at_most=WARM)
    yield Figure("first proof, cached environment", first, "s", at_most=FIRST)


def _check(root: Path, cache: Path) -> tuple[float, float, int]:
    """Seconds of the command, seconds until its first proof, and how much it proved."""
    report = root.with_name("report.json")
    environment = {key: value for key, value in os.environ.items() if key != "UV_CACHE_DIR"}
    environment["XDG_CACHE_HOME"] = str(cache)
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "toughen", "check", str(root), "--format", "json", "--output", str(report)],
        env=environment, timeout=LIMIT, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    spent = time.perf_counter() - began
    assert done.returncode in _ANSWERED, done.stderr[-2000:]
    told = json.loads(report.read_text(encoding="utf-8"))
    proven = sum(each["status"] == "proven" for each in told["findings"])
    return spent, float(told["timings"].get("first_proof_s", spent)), proven
