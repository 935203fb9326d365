"""What gates look at: programs run on a copy that is gone afterwards, and without a prototype nothing is run."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from toughen.errors import EnvironmentFailedError
from toughen.gating.yard import Yard
from toughen.lab import environment
from toughen.model.blueprint import Blueprint
from toughen.model.mutant import Mutant, SuiteRun
from toughen.model.verdict import Verdict

if TYPE_CHECKING:
    import pytest


@dataclass
class Lab:
    """A lab whose box is this machine."""

    work: Path
    environment: Any
    seconds: list[float] = field(default_factory=list)

    def run_script(self, arguments: list[str], *, cwd: Path, timeout: float) -> tuple[int | None, str]:
        self.seconds.append(timeout)
        done = subprocess.run([sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, check=False)
        return None if "slow" in arguments else done.returncode, done.stdout


def yard(root: Path, target: Any = None) -> Yard:
    return Yard(root, {}, Verdict(Blueprint("x", "flask", None), "ready", ""), target, None, None, list)


def there(tmp_path: Path) -> tuple[Yard, Lab, Path]:
    root = tmp_path / "project"
    (root / "sub").mkdir(parents=True)
    (root / "sub/step.py").write_text("import pathlib, sys\npathlib.Path('left.txt').write_text(pathlib.Path('given.ini').read_text())\npathlib.Path('link.txt').symlink_to('left.txt')\nprint('said', sys.argv[1:])\nsys.exit(3)\n")
    lab = Lab(tmp_path / "work", SimpleNamespace(python=Path(sys.executable)))
    return yard(root, SimpleNamespace(lab=lab, memory=SimpleNamespace(rehearsing=None), run=lambda trial: SimpleNamespace(suite=SuiteRun(problem="asked")))), lab, root


def test_run(tmp_path: Path) -> None:
    """Steps run one after the other in a folder of a copy, with the files that it gets; what they leave is read, no link is followed, and the project is as it was."""
    site, lab, root = there(tmp_path)
    done = site.run([["step", "a"], ["step", "slow"], ["step", "never"]], packages=("pytest",), seconds=7, leaves=("left.txt", "link.txt", "none.txt"), folder="sub", brings={"given.ini": "[x]"})
    assert done is not None
    assert done.codes == (3, None)
    assert done.code is None
    assert "said ['a']" in done.output
    assert done.files == {"left.txt": "[x]"}
    assert sorted(each.name for each in (root / "sub").iterdir()) == ["step.py"]
    assert not (lab.work / "gate").exists()
    assert lab.seconds == [7, 7]


def test_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the project's environment lacks comes from one beside it, for these steps alone; where none can be had, nothing is run."""
    site, lab, _ = there(tmp_path)
    usual = lab.environment
    monkeypatch.setattr(environment, "beside", lambda _, wanted: None if "nowhere" in wanted else SimpleNamespace(python=Path(sys.executable)))
    assert site.run([["step"]], packages=("nowhere",), seconds=1) is None
    assert site.run([["json.tool", "--help"]], packages=("no_such_package_here",), seconds=1) is not None
    assert lab.environment is usual


def test_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program of the project's own environment, else of one that is made once; None where neither has it."""
    site, _, root = there(tmp_path)
    assert site.program("ruff") == Path(sys.executable).parent / "ruff"
    made: list[str] = []

    def build(needs: Any, **_: Any) -> Any:
        made.append(needs.requirements[0])
        if "broken" in needs.requirements:
            raise EnvironmentFailedError("no", subject=root)
        return SimpleNamespace(python=Path(sys.executable))

    monkeypatch.setattr(environment, "build", build)
    bare = yard(root)
    assert bare.program("ruff") == bare.program("ruff") == Path(sys.executable).parent / "ruff"
    assert bare.program("broken") is None
    assert bare.program("nothing_of_the_kind") is None
    assert made == ["ruff", "broken", "nothing_of_the_kind"]


def test_without(tmp_path: Path) -> None:
    """Without a prototype nothing is run, and that is said."""
    site = yard(tmp_path)
    assert not site.booted
    assert site.run([["step"]], packages=(), seconds=1) is None
    assert site.tests().problem == "the prototype does not boot here"
    assert list(site.unjudged()) == []
    assert list(site.replayed()) == []


def test_tests(tmp_path: Path) -> None:
    """The tests are asked in the lab; guards that nobody saw protected are not judged."""
    site, _, _ = there(tmp_path)
    assert site.booted
    assert site.tests().problem == "asked"
    assert list(site.unjudged()) == []
    guards = (Mutant(1, "refusal", "a.py", 1, "f", "x", ""), Mutant(2, "refusal", "a.py", 2, "f", "y", ""))
    assert site.target is not None
    site.target.memory.rehearsing = SimpleNamespace(woven=SimpleNamespace(mutants=guards), protected={guards[0].key})  # type: ignore[assignment]
    assert list(site.unjudged()) == [guards[1]]
