"""Owns what judging a suite costs: mutants a second, against mutmut 3 and cosmic-ray on the same project and the same tests in one run."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.measure import Figure
from toughen.lab.environment import Environment
from toughen.lab.opening import open_lab
from toughen.lab.rehearsing import Rehearsing
from toughen.model.trial import Rehearsal
from toughen.survey import read, survey

if TYPE_CHECKING:
    from collections.abc import Iterator

NEEDS = ("fastapi", "httpx", "pytest", "mutmut==3.*", "cosmic-ray==8.*")
TIMES = 10.0
"""Mutants a second that there should be at least, as a multiple of the others'."""
LIMIT, TRIED = 300.0, 60.0
"""Seconds for an installation, and for cosmic-ray, which is ended then: what it judged counts."""
_MUTMUT = '[tool.mutmut]\npaths_to_mutate = ["till.py"]\ntests_dir = ["test_till.py"]\n'
_COSMIC = '[cosmic-ray]\nmodule-path = "till.py"\ntimeout = 20.0\nexcluded-modules = []\ntest-command = "{python} -m pytest -x -q test_till.py"\n[cosmic-ray.distributor]\nname = "local"\n'


def figures() -> Iterator[Figure]:
    """Ours, with its whole set-up (a box, the baseline in three runs) and without, then the others beside it."""
    with tempfile.TemporaryDirectory(prefix="toughen-bench") as folder:
        place = Path(folder)
        for words in (["venv", "--quiet", str(place / "environment")], ["pip", "install", "--quiet", "--python", str(place / "environment" / "bin" / "python"), *NEEDS]):
            subprocess.run([sys.executable, "-m", "uv", *words], check=True, timeout=LIMIT)
        python = place / "environment" / "bin" / "python"
        judged, seconds, whole = _ours(_project(place / "ours"), python)
        ours = judged / seconds
        yield Figure("guards judged", ours, "a second", beside=f"{judged} in {seconds:.2f} s; {judged / whole:.1f} a second with the set-up, {whole:.1f} s")
        count, spent, rate = _mutmut(_project(place / "mutmut"), python)
        yield Figure("our mutants a second against mutmut 3, on all cores, both without their set-up", ours / rate, "x", at_least=TIMES, beside=f"it says {rate:.1f} a second; {count} mutants in {spent:.1f} s with its set-up, {ours / (count / spent):.1f} x that")
        count, spent = _cosmic(_project(place / "cosmic"), python)
        yield Figure("our mutants a second against cosmic-ray 8", ours / (count / spent), "x", at_least=TIMES, beside=f"{count} mutants in {spent:.1f} s")


def _project(root: Path) -> Path:
    root.mkdir()
    apps = Path(__file__).parent / "apps"
    shutil.copy(apps / "till.py", root / "till.py")
    shutil.copy(apps / "till_tests.py", root / "test_till.py")
    (root / "requirements.txt").write_text("fastapi\nhttpx\npytest\n")
    return root


def _ours(root: Path, python: Path) -> tuple[int, float, float]:
    """(guards that were judged, seconds for that, seconds with the start of the box and the runs without a mutant)."""
    blueprint = survey(read(root))
    assert blueprint.entry is not None
    version = subprocess.run([str(python), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], capture_output=True, text=True, check=True, timeout=LIMIT).stdout.strip()
    with open_lab(root, blueprint.entry, Environment(python, version, "the bench's own", cached=True, own=False), {}) as lab:
        began = time.perf_counter()
        rehearsing = Rehearsing(lab, blueprint)
        baseline = rehearsing.run(Rehearsal())
        assert baseline.tests, baseline.problem
        assert all(each.outcome == "passed" for each in baseline.tests), [each for each in baseline.tests if each.outcome != "passed"][:2]
        middle = time.perf_counter()
        survived = [each.key for each in rehearsing.woven.mutants if not rehearsing.run(Rehearsal(off=each.key)).failed]
        ended = time.perf_counter()
        assert len(survived) < len(rehearsing.woven.mutants), survived
        return len(rehearsing.woven.mutants), ended - middle, ended - began


def _mutmut(root: Path, python: Path) -> tuple[int, float, float]:
    """(mutants that it judged, seconds with its set-up, mutants a second as it says itself: from the first one on)."""
    (root / "pyproject.toml").write_text(_MUTMUT)
    began = time.perf_counter()
    done = subprocess.run([str(python.with_name("mutmut")), "run"], cwd=root, capture_output=True, text=True, timeout=LIMIT, check=False)
    spent = time.perf_counter() - began
    found = [json.loads(each.read_text()) for each in (root / "mutants").glob("*.meta")]
    count = sum(code is not None for each in found for code in each["exit_code_by_key"].values())
    said = re.findall(r"([\d.]+) mutations/second", done.stdout)
    assert count, (done.stdout + done.stderr)[-1500:]
    assert said, (done.stdout + done.stderr)[-1500:]
    return count, spent, float(said[-1])


def _cosmic(root: Path, python: Path) -> tuple[int, float]:
    (root / "cosmic.toml").write_text(_COSMIC.format(python=python))
    tool = str(python.with_name("cosmic-ray"))
    subprocess.run([tool, "init", "cosmic.toml", "session.sqlite"], cwd=root, capture_output=True, timeout=LIMIT, check=True)
    began = time.perf_counter()
    running = subprocess.Popen([tool, "exec", "cosmic.toml", "session.sqlite"], cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        running.wait(TRIED)
    except subprocess.TimeoutExpired:
        running.terminate()
        running.wait(TRIED)
    spent = time.perf_counter() - began
    with sqlite3.connect(root / "session.sqlite") as session:
        count = int(session.execute("SELECT COUNT(*) FROM work_results").fetchone()[0])
    session.close()
    assert count, "cosmic-ray judged no mutant"
    return count, spent
