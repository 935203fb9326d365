"""What each gate says of what it sees; the site is a port, so it is a fake here: tests/gating/test_gate.py has the real one."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from toughen.gatekeeping import Changes, CouldNot, Done, Faults, Untouched
from toughen.gates import (
    authorization,
    coverage,
    dependencies,
    guards,
    lint,
    load,
    operations,
    proofs,
    secrets,
    tests,
    types,
)
from toughen.model.blueprint import Blueprint, Secret, Suite
from toughen.model.breaks import Tried
from toughen.model.finding import (
    Evidence,
    Finding,
    Inconclusive,
    NotConcluded,
    Proof,
    Proven,
    Refuted,
    Severity,
    Status,
)
from toughen.model.matrix import Access, Cell, Matrix, Whose
from toughen.model.mutant import SuiteRun, TestResult
from toughen.model.source import Location
from toughen.model.trial import Experiment
from toughen.model.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from toughen.gatekeeping import Looked
    from toughen.model.finding import Outcome
    from toughen.model.mutant import Mutant

PASSED = SuiteRun((TestResult("test_a.py::test_a", "passed", 0.1),))
BLUEPRINT = Blueprint("shop", "fastapi", None, (), suite=Suite(files=("test_a.py",), tests=1))


@dataclass
class Site:
    """A project that is what a test says."""

    root: Path = Path("/nowhere")
    texts: dict[str, str] = field(default_factory=lambda: {"main.py": "def f(a):\n    return a\n"})
    blueprint: Blueprint = BLUEPRINT
    findings: tuple[Finding, ...] = ()
    unclear: tuple[NotConcluded, ...] = ()
    matrix: Matrix | None = None
    booted: bool = True
    changed: Changes | None = None
    new: Changes | None = None
    done: Done | None = None
    run_tests: SuiteRun = PASSED
    replays: tuple[tuple[Finding, Outcome], ...] = ()
    ran: list[tuple[Sequence[Sequence[str]], Sequence[str]]] = field(default_factory=list)

    @property
    def verdict(self) -> Verdict:
        return Verdict(self.blueprint, "ready", "", self.findings, self.unclear, matrix=self.matrix, tried=(Tried("input/crash", "GET /", refuted=True, seconds=0.1),))

    def program(self, name: str) -> Path | None:
        return Path(sys.executable).parent / name

    def run(self, steps: Sequence[Sequence[str]], *, packages: Sequence[str], seconds: float, leaves: Sequence[str] = (), folder: str = "", brings: Mapping[str, str] | None = None) -> Done | None:
        self.ran.append((steps, packages))
        return self.done

    def tests(self) -> SuiteRun:
        return self.run_tests

    def unjudged(self) -> Sequence[Mutant]:
        return ()

    def replayed(self) -> Sequence[tuple[Finding, Outcome]]:
        return self.replays


def found(break_id: str, route: str = "GET /", status: Status = Status.PROVEN, key: str = "") -> Finding:
    return Finding(break_id, route, Location("main.py", 1), status, Severity.HIGH, f"{break_id} breaks", Evidence("it breaks", {}, key=key))


def faults(said: Looked) -> list[str]:
    assert isinstance(said, Faults), said
    return [each.key for each in said.faults]


def reason(said: Looked) -> str:
    assert isinstance(said, CouldNot), said
    return said.reason


NEW = Changes("HEAD", {"main.py": frozenset({2})})
PROSE = Changes("HEAD", {"README.md": frozenset({1})})


def test_all() -> None:
    """There are ten, each with a title, in a fixed order."""
    assert [each.id for each in load()] == ["types", "lint", "tests", "coverage", "guards", "secrets", "dependencies", "authorization", "proofs", "operations"]
    assert all(each.title for each in load())


@pytest.mark.parametrize("gate", [types.Types(), lint.Lint(), coverage.Coverage()])
def test_untouched(gate: types.Types) -> None:
    """A change without source passes the gates of source over."""
    assert isinstance(gate.look(Site(changed=PROSE)), Untouched)


@pytest.mark.parametrize("gate", [tests.Tests(), coverage.Coverage(), guards.Guards(), dependencies.Dependencies(), authorization.Authorization(), proofs.Proofs(), operations.Operations()])
def test_not_booted(gate: tests.Tests) -> None:
    """What does not boot is no yes."""
    assert isinstance(gate.look(Site(booted=False)), CouldNot)


def test_types_strict() -> None:
    """Without a checker of the project's, only what stands on new lines counts, and no baseline takes it."""
    output = "main.py:1: error: old  [misc]\n./main.py:2:5: error: Returning Any  [no-any-return]\nother.py:2: error: elsewhere  [misc]\nmain.py:2: note: a hint\n"
    site = Site(new=NEW, done=Done((1,), output))
    said = types.Types().look(site)
    assert faults(said) == ["main.py no-any-return: return a"]
    assert isinstance(said, Faults)
    assert said.faults[0].strict
    assert "--strict" in site.ran[0][0][0]
    assert reason(types.Types().look(Site())).startswith("the project configures no type checker")
    assert faults(types.Types().look(Site(new=Changes("HEAD", {})))) == []
    assert reason(types.Types().look(Site(new=NEW))) == "mypy cannot be had here"
    assert reason(types.Types().look(Site(new=NEW, done=Done((None,), "")))) == "mypy takes longer than 300 s"
    assert reason(types.Types().look(Site(new=NEW, done=Done((2,), "x\nmypy: broken")))) == "mypy does not run: mypy: broken"


@pytest.mark.parametrize(("files", "checker"), [
    ({"mypy.ini": "[mypy]\n"}, "mypy"), ({"setup.cfg": "[mypy]\n"}, "mypy"), ({"pyproject.toml": "[tool.mypy]\nstrict = true\n"}, "mypy"),
    ({"pyrightconfig.json": "{}"}, "pyright"), ({"pyproject.toml": "[tool.basedpyright]\n"}, "pyright"), ({"pyproject.toml": "[["}, ""), ({"setup.cfg": "no section"}, ""), ({}, ""),
])
def test_types_configured(tmp_path: Path, files: dict[str, str], checker: str) -> None:
    """A checker is the project's where it says how it is to run; files that cannot be read say nothing."""
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert types.configured(tmp_path) == checker


def test_types_own(tmp_path: Path) -> None:
    """The project's own mypy speaks of all lines; a plugin whose package is missing is installed beside it."""
    (tmp_path / "mypy.ini").write_text("[mypy]\nfiles = main.py\n")
    site = Site(tmp_path, done=Done((1,), "main.py:1: error: Missing  [no-untyped-def]\n"))
    assert faults(types.Types().look(site)) == ["main.py no-untyped-def: def f(a):"]
    assert "." not in site.ran[0][0][0]
    lacking = Site(tmp_path, done=Done((2,), "mypy.ini:1: error: Error importing plugin \"x\": No module named 'mypy_django_plugin'"))
    types.Types().look(lacking)
    assert [packages for _, packages in lacking.ran] == [("mypy",), ("mypy", "django-stubs")]


def test_types_pyright(tmp_path: Path) -> None:
    """pyright's errors are read from its JSON; what is none of it is told."""
    (tmp_path / "pyrightconfig.json").write_text("{}")
    said = {"version": "1.1", "generalDiagnostics": [
        {"file": "/x/main.py", "severity": "error", "rule": "reportCall", "message": "bad\nmore", "range": {"start": {"line": 1}}},
        {"file": "/x/main.py", "severity": "warning", "message": "meh", "range": {"start": {"line": 0}}},
    ]}
    assert faults(types.Types().look(Site(tmp_path, done=Done((1,), "noise " + json.dumps(said))))) == ["main.py reportCall: return a"]
    assert reason(types.Types().look(Site(tmp_path, done=Done((1,), "no node")))) == "pyright does not run: no node"
    assert reason(types.Types().look(Site(tmp_path))) == "pyright cannot be had here"
    assert reason(types.Types().look(Site(tmp_path, done=Done((None,), "")))) == "pyright takes longer than 300 s"


LINTED = {
    "main.py": "import os\nfrom typing import Any\n\n\ndef used() -> None: ...\n\n\ndef lonely() -> None: ...\n\n\ndef named() -> None: ...\n\n\nclass Model(dict): ...\n\n\ndef takes(x: Any) -> None:  # type: ignore\n    used()\n\n\n@takes\ndef routed() -> None: ...\n",
    "test_main.py": "def test_x():\n    assert True  # noqa\n",
}


def test_lint(tmp_path: Path) -> None:
    """ruff's findings by the text of their line; what nothing names, here or in a file beside; escapes on new lines only, and not in tests."""
    for name, text in LINTED.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "setup.cfg").write_text("entry = main:named\n")
    site = Site(tmp_path, LINTED)
    assert faults(lint.Lint().look(site)) == ["main.py F401: import os", "main.py PGH003: def takes(x: Any) -> None:  # type: ignore", "test_main.py PGH004: assert True  # noqa", "main.py unused: lonely"]
    fresh = faults(lint.Lint().look(replace(site, new=Changes("HEAD", {"main.py": frozenset({17}), "test_main.py": frozenset({2})}))))
    assert [each for each in fresh if "escape" in each] == ["main.py escape: def takes(x: Any) -> None:  # type: ignore"] * 2
    (tmp_path / "ruff.toml").write_text('lint.select = ["E711"]\n')
    assert faults(lint.Lint().look(site)) == ["main.py unused: lonely"]
    (tmp_path / "ruff.toml").write_text("nonsense = [\n")
    assert reason(lint.Lint().look(site)).startswith("ruff does not run")


def test_tests() -> None:
    """Tests that fail, flicker, hang or are not there; what the attack says of what they are worth."""
    assert faults(tests.Tests().look(Site())) == []
    assert faults(tests.Tests().look(Site(blueprint=replace(BLUEPRINT, suite=Suite())))) == ["none"]
    run = SuiteRun((TestResult("a::f", "failed", said="no"), TestResult("a::g", "flaky"), TestResult("a::h", "hung"), TestResult("a::s", "skipped"), TestResult("a::p", "passed")))
    said = tests.Tests().look(Site(run_tests=run, findings=(found("suite/vacuous"), found("suite/unguarded"))))
    assert faults(said) == ["a::f", "a::h", "flaky a::g", "suite/vacuous@GET /"]
    assert isinstance(said, Faults)
    assert said.why == "1 of 5 tests pass, 1 are skipped"
    assert "none" in faults(tests.Tests().look(Site(run_tests=SuiteRun())))
    assert reason(tests.Tests().look(Site(run_tests=SuiteRun(problem="no pytest")))) == "the tests cannot be run: no pytest"
    assert reason(tests.Tests().look(Site(run_tests=SuiteRun(PASSED.tests, ended="hung", problem="too long")))) == "the tests cannot be run: too long"


def covered(*missing: int, branches: Sequence[Sequence[int]] = ()) -> Done:
    told = {"files": {"./main.py": {"missing_lines": list(missing), "missing_branches": branches}, "test_a.py": {"missing_lines": [1]}}, "totals": {"covered_lines": 1, "num_statements": 2, "covered_branches": 0, "num_branches": 0}}
    return Done((0, 0), "", {"coverage.json": json.dumps(told)})


def test_coverage() -> None:
    """New lines, and ways from them, one by one and never let through; old ones by file, as a number."""
    said = coverage.Coverage().look(Site(new=NEW, done=covered(1, 2)))
    assert faults(said) == ["main.py: return a", "main.py"]
    assert isinstance(said, Faults)
    assert [(each.strict, each.count, each.message) for each in said.faults] == [(True, 1, "no test runs this new line"), (False, 1, "1 line is run by no test: 1")]
    assert faults(coverage.Coverage().look(Site(new=NEW, done=covered(branches=[[2, 7], [1, 3]])))) == ["main.py half: return a"]
    assert faults(coverage.Coverage().look(Site(new=NEW, done=covered(branches=[[2, -1]])))) == ["main.py half: return a"]
    many = coverage.Coverage().look(Site(done=covered(*range(1, 60, 2), 60)))
    assert isinstance(many, Faults)
    assert many.faults[0].message.startswith("31 lines are run by no test: 1, 3, 5")
    assert many.faults[0].message.endswith("and 18 more")


@pytest.mark.parametrize(("site", "said"), [
    (Site(blueprint=replace(BLUEPRINT, suite=Suite())), "there are no tests"),
    (Site(run_tests=SuiteRun(problem="they hang")), "no test passes: they hang"),
    (Site(), "coverage cannot be had here"),
    (Site(done=Done((None,), "")), "the tests do not end within 31 s under coverage"),
    (Site(done=Done((4, 1), "ERROR: usage")), "the tests do not run under coverage: ERROR: usage"),
    (Site(done=Done((0, 1), "No data to report.")), "the tests ran, and coverage cannot tell of it: No data to report."),
])
def test_coverage_not(site: Site, said: str) -> None:
    """Where it cannot look, it says why."""
    assert reason(coverage.Coverage().look(site)).startswith(said)


def test_coverage_runs(tmp_path: Path) -> None:
    """Tests that take others with them are left out; Django's own runner runs where nothing speaks of pytest, in the folder of manage.py; greenlets are followed where SQLAlchemy is asynchronous."""
    apart = Site(tmp_path, texts={"main.py": "from sqlalchemy.ext.asyncio import x\n"}, run_tests=SuiteRun((*PASSED.tests, TestResult("test_a.py::test_h", "hung"))), done=covered())
    coverage.Coverage().look(apart)
    assert "--deselect=test_a.py::test_h" in apart.ran[0][0][0]
    assert "--concurrency=thread,greenlet" in apart.ran[0][0][0]
    django = Site(tmp_path, texts={"src/manage.py": "", "test_a.py": ""}, blueprint=replace(BLUEPRINT, framework="django"), done=covered())
    coverage.Coverage().look(django)
    assert "manage.py" in django.ran[0][0][0]
    (tmp_path / "pytest.ini").write_text("[pytest]\nDJANGO_SETTINGS_MODULE = x\n")
    coverage.Coverage().look(django)
    assert "manage.py" not in django.ran[1][0][0]


def test_guards() -> None:
    """A guard is known by its file and its text, not by the route that runs it; where nothing is known of them, that is no yes."""
    assert faults(guards.Guards().look(Site(findings=(found("suite/unguarded", key="refusal in f: a < 1"),)))) == ["main.py refusal in f: a < 1"]
    assert reason(guards.Guards().look(Site(blueprint=replace(BLUEPRINT, suite=Suite())))).startswith("there are no tests")
    for why in ("the time for the prototype's own tests (180 s) was used up", "the prototype's own tests cannot be run: x", "none of its 3 tests passes here: x"):
        assert why in reason(guards.Guards().look(Site(unclear=(NotConcluded("suite/unguarded", "GET /", why),))))
    said = guards.Guards().look(Site(unclear=(NotConcluded("suite/unguarded", "GET /", "without it, the tests do not end"),)))
    assert faults(said) == []
    assert isinstance(said, Faults)
    assert said.measured["nothing is said of"] == "without it, the tests do not end"


def test_secrets() -> None:
    """Keys in the source and in the history, never whole."""
    known = replace(BLUEPRINT, secrets=(Secret("KEY", "abc... (20 characters)", Location("main.py", 3)),), history=(Secret("a provider's key", "sk-... (40 characters)", Location("old.py", 0)),))
    assert faults(secrets.Secrets().look(Site(blueprint=known))) == ["main.py: abc... (20 characters)", "old.py: sk-... (40 characters)"]


def test_dependencies() -> None:
    """Vulnerable packages; what could not be looked up is no yes; a change without requirements passes it over."""
    assert faults(dependencies.Dependencies().look(Site(findings=(found("security/vulnerable-dependency"),)))) == ["security/vulnerable-dependency@GET / security/vulnerable-dependency breaks"]
    assert reason(dependencies.Dependencies().look(Site(unclear=(NotConcluded("security/vulnerable-dependency", "GET /", "no network"),)))) == "no network"
    assert isinstance(dependencies.Dependencies().look(Site(changed=NEW)), Untouched)
    assert faults(dependencies.Dependencies().look(Site(changed=Changes("HEAD", {"requirements.txt": frozenset({1})})))) == []


def test_authorization(tmp_path: Path) -> None:
    """Without a policy that is one fault; with one, routes without a line, questions that wait, and cells that nobody meant."""
    cells = (Cell("GET /a", "user", Whose.OTHER, Access.MISSING, "reads another's"), Cell("GET /b", "user", Whose.NONE, Access.ALLOWED, ""))
    site = Site(tmp_path, matrix=Matrix(("user",), cells), findings=(found("security/weak-token", "GET /c"), found("security/object-authorization", "GET /a")))
    assert faults(authorization.Authorization().look(site)) == ["GET /a user", "security/weak-token@GET /c", "no policy"]
    (tmp_path / "toughen-policy.toml").write_text('[routes."GET /b"]\nallow = ["users"]\nask = ["admin"]\n')
    assert faults(authorization.Authorization().look(site)) == ["GET /a user", "security/weak-token@GET /c", "unlisted GET /a", "ask GET /b"]
    assert reason(authorization.Authorization().look(Site(tmp_path))).startswith("there was no time to ask the routes")


def test_proofs() -> None:
    """What the attack proves and no other gate tells; stored proofs that hold again, or cannot be replayed."""
    proof = Proof("race/lost-update", "POST /x", Experiment({}), Evidence("it is lost"), "0" * 32)
    replays = ((found("race/lost-update", "POST /x"), Proven(proof)), (found("input/crash", "GET /y"), Refuted()), (found("input/crash", "GET /z"), Inconclusive("gone")))
    others = (found("suite/none"), found("operations/silent-failure"), found("security/vulnerable-dependency"), found("security/no-authentication"), found("input/crash", "GET /s", Status.SUSPECTED))
    said = proofs.Proofs().look(Site(findings=(found("input/crash"), *others), replays=replays))
    assert faults(said) == ["input/crash@GET /", "race/lost-update@POST /x", "input/crash@GET /z"]
    assert isinstance(said, Faults)
    assert said.measured == {"proven": "1", "stored": "3", "refuted": "1"}


def test_operations() -> None:
    """What operations/ proves, and nothing else."""
    assert faults(operations.Operations().look(Site(findings=(found("operations/no-health-check"), found("input/crash"))))) == ["operations/no-health-check"]
