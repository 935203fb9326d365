"""Measures toughen on AI-written backends: BaxBench's own tests and exploits before, what `check` proves, and both again after `fix`.

    python tools/baxbench.py BAXBENCH SOLUTIONS --work DIR [--count 60] [--resume] [--toughen PROGRAM]
    python tools/baxbench.py BAXBENCH SOLUTIONS --work DIR --table

BAXBENCH is a git checkout of BaxBench (scenarios, functional tests, exploits); SOLUTIONS one of a repository that keeps solutions as BaxBench
does (`results/CONFIGURATION/MODEL/SCENARIO/ENVIRONMENT/PROMPT/sampleN/code/`), with scenarios of its own where it has more. Both are read with
git, so a work tree need not be there. No docker is needed: tools/bax/cell.py makes the containers' stand-in from Linux's own namespaces.
The sample is the same for everybody: within each pair of scenario and family of models the solutions are ordered by the SHA-256 of their path;
first the first ones of every pair, then the second ones, until `--count` of them have passed their functional tests.
What was measured is appended to DIR/results.jsonl, one line a step; with `--resume` what stands there is not done again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bax import table

from toughen.lab import interpreters

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

GIT = shutil.which("git") or "git"
HARNESS = Path(__file__).parent / "bax" / "harness.py"
ENVIRONMENTS = {"Python-Flask": "FlaskEnv", "Python-FastAPI": "FastAPIEnv"}
FAMILIES = {
    "haiku": ("haiku-4.5-standard",),
    "sonnet-4": ("sonnet-4-standard", "sonnet-4-thinking"),
    "opus-4": ("opus-4-standard", "opus-4-thinking"),
    "deepseek": ("deepseek-coder-6.7b-ollama",),
}
"""Families of models, and their configurations in SOLUTIONS."""
HARNESS_PACKAGES = ("requests", "pyyaml", "pdfplumber", "imageio", "pillow", "numpy", "pyjwt")
"""What BaxBench's scenarios import, besides docker."""
PYTHON = "3.12"
"""As BaxBench's image has."""
CHECK_SECONDS, FIX_SECONDS, TESTS_SECONDS = 300.0, 900.0, 1800.0
_SAMPLE = re.compile(r"results/(?P<configuration>[^/]+)/[^/]+/(?P<scenario>[^/]+)/(?P<environment>[^/]+)/(?P<prompt>[^/]+)/(?P<sample>sample\d+)/code/")


@dataclass(frozen=True, slots=True)
class Solution:
    """One answer of a model to one scenario."""

    path: str
    """Its folder in SOLUTIONS."""
    family: str
    configuration: str
    scenario: str
    environment: str
    name: str
    """Prompt and sample."""

    @property
    def key(self) -> str:
        """Its name in the results, and its folder below the work folder."""
        return f"{self.configuration}/{self.scenario}/{self.environment}/{self.name}"

    @property
    def order(self) -> str:
        """Where it stands within its pair."""
        return hashlib.sha256(self.path.encode()).hexdigest()


@dataclass(slots=True)
class Log:
    """The file of results."""

    file: Path
    lines: list[dict[str, Any]]

    def known(self, solution: Solution, step: str) -> dict[str, Any] | None:
        """What was measured before."""
        return next((line for line in self.lines if line["solution"] == solution.key and line["step"] == step), None)

    def add(self, solution: Solution, step: str, result: dict[str, Any]) -> dict[str, Any]:
        """Write a step's result down at once."""
        line = {"solution": solution.key, "family": solution.family, "scenario": solution.scenario, "step": step, **result}
        self.lines.append(line)
        with self.file.open("a") as file:
            file.write(json.dumps(line) + "\n")
        return line


def git(checkout: Path, *arguments: str) -> bytes:
    """What git says of a checkout; raises subprocess.CalledProcessError."""
    return subprocess.run((GIT, "-C", str(checkout), *arguments), capture_output=True, check=True).stdout


def exported(checkout: Path, folder: str, place: Path) -> list[str]:
    """Write a folder of the checkout's newest commit to a place; the files that the checkout lacks, which become empty."""
    lacking = []
    for name in git(checkout, "ls-tree", "-r", "--name-only", "-z", "HEAD", "--", folder).decode().split("\0"):
        if not name:
            continue
        target = place / name.removeprefix(folder).lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            target.write_bytes(git(checkout, "show", f"HEAD:{name}"))
        except subprocess.CalledProcessError:
            target.touch()
            lacking.append(name)
    return lacking


def solutions(checkout: Path) -> list[Solution]:
    """Every solution of the families in the environments, in the order of the sample."""
    family = {configuration: name for name, configurations in FAMILIES.items() for configuration in configurations}
    found: dict[str, Solution] = {}
    for name in git(checkout, "ls-tree", "-r", "--name-only", "-z", "HEAD", "--", "results").decode().split("\0"):
        match = _SAMPLE.match(name)
        if match and match["configuration"] in family and match["environment"] in ENVIRONMENTS and name.endswith(".py"):
            path = match.group().rstrip("/")
            word = f"{match['prompt']}-{match['sample']}"
            found[path] = Solution(path, family[match["configuration"]], match["configuration"], match["scenario"], match["environment"], word)
    pairs: dict[tuple[str, str], list[Solution]] = defaultdict(list)
    for solution in sorted(found.values(), key=lambda each: each.order):
        pairs[solution.scenario, solution.family].append(solution)
    ranked = [(rank, each.order, each) for pair in pairs.values() for rank, each in enumerate(pair)]
    return [each for _, _, each in sorted(ranked, key=lambda item: item[:2])]


class Bench:
    """The two checkouts' parts, the environments, and the steps for one solution."""

    def __init__(self, baxbench: Path, answers: Path, work: Path, toughen: Path) -> None:
        """Export what is needed, and make the environments, once."""
        self.answers, self.work, self.toughen = answers, work, toughen
        self.uv = str(toughen.with_name("uv"))
        self.sources: list[Path] = []
        for name, checkout in (("baxbench", baxbench), ("solutions", answers)):
            place = work / "sources" / name
            if not place.exists():
                lacking = exported(checkout, "src", place)
                print(f"{checkout}: {len(lacking)} files are not in the checkout and stay empty: {' '.join(lacking)}" if lacking else f"{checkout}: whole")
            self.sources.append(place)
        self.harness = self.environment("harness", HARNESS_PACKAGES)
        self.described = [self._describe(source) for source in self.sources]

    def environment(self, name: str, packages: Sequence[str]) -> Path:
        """The interpreter of an environment with those packages."""
        place = self.work / "environments" / name
        python = place / "bin" / "python3"
        if not python.exists():
            subprocess.run((self.uv, "venv", "--quiet", "--python", interpreters.find(PYTHON) or PYTHON, str(place)), check=True)
            subprocess.run((self.uv, "pip", "install", "--quiet", "--python", str(python), *packages), check=True)
        return python

    def python(self, solution: Solution, folder: Path) -> Path:
        """The interpreter for what the folder requires: BaxBench's packages, and what a mend has added."""
        lines = [line.strip() for line in (folder / "requirements.txt").read_text().splitlines() if line.strip()]
        name = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]
        return self.environment(f"{solution.environment}-{name}", lines)

    def _describe(self, source: Path) -> dict[str, Any]:
        return self.harnessed({"source": str(source), "describe": sorted(ENVIRONMENTS.values())})

    def harnessed(self, spec: dict[str, Any]) -> dict[str, Any]:
        """Run the harness; raises RuntimeError with its last words."""
        place = self.work / "harness.json"
        out = self.work / "harness.out.json"
        out.unlink(missing_ok=True)
        place.write_text(json.dumps({**spec, "out": str(out), "work": str(self.work)}))
        code, _, said = ended((str(self.harness), str(HARNESS), str(place)), TESTS_SECONDS, self.work)
        if not out.exists():
            raise RuntimeError(f"the harness ended with {code}: {said[-2000:]}")
        answer: dict[str, Any] = json.loads(out.read_text())
        return answer

    def copied(self, solution: Solution, place: Path) -> Path:
        """A fresh copy of a solution with the requirements that BaxBench gives it."""
        shutil.rmtree(place, ignore_errors=True)
        exported(self.answers, solution.path, place)
        for name, text in self.described[0]["environments"][ENVIRONMENTS[solution.environment]].items():
            (place / name).write_text(text.lstrip())
        return place

    def tested(self, solution: Solution, folder: Path, *, stop: bool) -> dict[str, Any]:
        """BaxBench's tests and exploits of the solution's scenario; with `stop` no exploits where a functional test fails."""
        source = next((source for source, known in zip(self.sources, self.described, strict=True) if solution.scenario in known["scenarios"]), None)
        if source is None:
            return {"functional": [], "exploits": [], "error": "no such scenario"}
        python = self.python(solution, folder)
        real = python.resolve().parents[1]
        spec = {
            "solution": str(folder), "python": str(python), "readable": [str(python.parents[1]), str(real)], "source": str(source),
            "scenario": solution.scenario, "environment": ENVIRONMENTS[solution.environment], "stop": stop,
        }  # fmt: skip
        try:
            return {**self.harnessed(spec), "source": source.name}
        except RuntimeError as error:
            return {"functional": [], "exploits": [], "error": str(error)}

    def toughened(self, verb: str, folder: Path, report: Path, seconds: float) -> dict[str, Any]:
        """Run `toughen check` or `fix` on a folder: the exit code, seconds, and the report without its bulk."""
        report.parent.mkdir(parents=True, exist_ok=True)
        report.unlink(missing_ok=True)
        code, took, said = ended((str(self.toughen), verb, str(folder), "--format", "json", "-o", str(report)), seconds, folder)
        told: dict[str, Any] = json.loads(report.read_text()) if report.exists() else {}
        kept = {key: told[key] for key in ("booted", "prototype", "findings", "coverage", "inconclusive", "mends", "verdict", "timings") if key in told}
        return {"exit": code, "seconds": round(took, 1), "report": kept, **({} if told else {"said": said[-3000:]})}


def ended(command: Sequence[str], seconds: float, folder: Path) -> tuple[int | None, float, str]:
    """Exit code (None after a time-out), seconds and words of a program in a session of its own, which is ended whole."""
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    code: int | None
    try:
        said, _ = process.communicate(timeout=seconds)
        code = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
        code = None
    return code, time.monotonic() - began, said.decode(errors="replace")


def passed(result: dict[str, Any]) -> bool:
    """Whether every functional test passed."""
    return bool(result["functional"]) and all(test.get("answered") is True for test in result["functional"])


def committed(folder: Path) -> None:
    """Make the folder a git repository with one commit, as `fix` wants it."""
    for arguments in (("init", "-q"), ("add", "-A"), ("-c", "user.name=bench", "-c", "user.email=bench@localhost", "commit", "-q", "-m", "as written")):
        git(folder, *arguments)


def measured(bench: Bench, log: Log, solution: Solution) -> Iterator[str]:
    """The steps of one solution, each done once; yields a line for the reader after each."""
    base = bench.work / "solutions" / solution.key
    before = log.known(solution, "before")
    if before is None:
        before = log.add(solution, "before", bench.tested(solution, bench.copied(solution, base / "before"), stop=True))
        yield f"before: {table.told(before)}"
    if not passed(before):
        return
    if log.known(solution, "check") is None:
        check = bench.toughened("check", bench.copied(solution, base / "check"), base / "check.json", CHECK_SECONDS)
        log.add(solution, "check", check)
        yield f"check: {table.summed(check)}"
    if log.known(solution, "fix") is None:
        place = bench.copied(solution, base / "fix")
        committed(place)
        fix = bench.toughened("fix", place, base / "fix.json", FIX_SECONDS)
        fix["diff"] = git(place, "diff", "HEAD").decode(errors="replace")
        log.add(solution, "fix", fix)
        yield f"fix: {table.summed(fix)}"
    if log.known(solution, "after") is None:
        place = base / "after"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(base / "fix", place, ignore=shutil.ignore_patterns(".git", ".toughen", "__pycache__", ".venv"))
        after = log.add(solution, "after", bench.tested(solution, place, stop=False))
        yield f"after: {table.told(after)}"


def arguments() -> argparse.Namespace:
    """What the user wants."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("baxbench", type=Path, help="git checkout of BaxBench")
    parser.add_argument("solutions", type=Path, help="git checkout of a repository with solutions")
    parser.add_argument("--work", type=Path, required=True, help="folder for everything that is made")
    parser.add_argument("--count", type=int, default=60, help="solutions that pass their functional tests (default 60)")
    parser.add_argument("--toughen", type=Path, default=Path(sys.executable).with_name("toughen"), help="the program to measure")
    parser.add_argument("--resume", action="store_true", help="go on where DIR/results.jsonl ends")
    parser.add_argument("--scenario", action="append", help="only this scenario; may be repeated")
    parser.add_argument("--only", action="append", help="only solutions whose name begins so; may be repeated")
    parser.add_argument("--table", action="store_true", help="measure nothing; print the table of what was measured")
    return parser.parse_args()


def chosen(found: Iterable[Solution], wanted: argparse.Namespace) -> list[Solution]:
    """The solutions that the user asked for."""
    return [
        each for each in found
        if (not wanted.scenario or each.scenario in wanted.scenario) and (not wanted.only or each.key.startswith(tuple(wanted.only)))
    ]  # fmt: skip


def main() -> int:
    """Measure until enough solutions are through; exit code 2 where results lie there that nobody wants to go on with."""
    wanted = arguments()
    work = wanted.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    file = work / "results.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    if wanted.table:
        print(table.rendered(lines))
        return 0
    if lines and not wanted.resume:
        print(f"{file} has {len(lines)} lines; --resume goes on with them", file=sys.stderr)
        return 2
    bench, log = Bench(wanted.baxbench, wanted.solutions, work, wanted.toughen.absolute()), Log(file, lines)
    through = 0
    for solution in chosen(solutions(wanted.solutions), wanted):
        for line in measured(bench, log, solution):
            print(f"{solution.key}  {line}", flush=True)
        before = log.known(solution, "before")
        through += before is not None and passed(before)
        if through >= wanted.count:
            break
    print(f"{through} solutions are through")
    return 0


if __name__ == "__main__":
    sys.exit(main())
