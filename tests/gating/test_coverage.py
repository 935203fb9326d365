"""The gate of coverage: new lines and their branches are run, old ones never less; what no test can run is asked of none."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from toughen.gatekeeping import DOWN, Changes, CouldNot, Done, Faults, Untouched
from toughen.gates.coverage import Coverage, _beyond
from toughen.model.mutant import SuiteRun, TestResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Ground

TEST = {"tests/test_main.py": "def test(): ...\n"}
GREEN = SuiteRun((TestResult("tests/test_main.py::test", "passed", 0.5),))


def report(codes: tuple[int | None, ...] = (0, 0), **files: dict[str, Any]) -> Done:
    told = {f"{name.replace('__', '/')}.py": {"missing_lines": [], **each} for name, each in files.items()}
    return Done(codes, "", {"coverage.json": json.dumps({"files": told, "totals": {"covered_lines": 3, "num_statements": 9, "covered_branches": 1, "num_branches": 2}})})


@pytest.fixture
def tested(ground: Callable[..., Ground]) -> Callable[..., Ground]:
    def made(files: dict[str, str], done: Done | None, **others: Any) -> Ground:
        return ground({**files, **TEST}, suite=list(TEST), done=[done], **others)

    return made


def looked(site: Ground) -> Faults:
    site.suite = GREEN
    said = Coverage().look(site)
    assert isinstance(said, Faults), said
    return said


def test_new_and_old(tested: Callable[..., Ground]) -> None:
    """A new line that no test runs falls whatever the baseline has, and so does a way of a new branch; old lines are counted by file."""
    text = "a = 1\nif a:\n    b = 2\nc = 3\n\n\ndef f():\n    return 1\n"
    site = tested({"main.py": text}, report(main={"missing_lines": [3, 8], "missing_branches": [[2, 3], [4, -1], [1, 2]]}), new=Changes("HEAD", {"main.py": frozenset({2, 3, 4})}))
    told = looked(site)
    assert [(each.key, each.message, each.strict, each.count) for each in told.faults] == [
        ("main.py: b = 2", "no test runs this new line", True, 1),
        ("main.py half: if a:", "no test takes the way from here to line 3", True, 1),
        ("main.py half: c = 3", "no test takes the way from here to the end", True, 1),
        ("main.py", "1 line is run by no test: 8", False, 1),
    ]
    assert told.measured == {"lines": "3 of 9", "branches": "1 of 2"}


def test_ranges(tested: Callable[..., Ground]) -> None:
    """Lines are told in ranges, the first twelve of them; files of tests, tools, servers and others' are left out."""
    text = "x = 1\n" * 60
    lines = [1, 2, 3, *range(5, 60, 2)]
    told = looked(tested({"main.py": text, "wsgi.py": text}, report(main={"missing_lines": lines}, wsgi={"missing_lines": [1]}, tests__test_main={"missing_lines": [1]}, elsewhere={"missing_lines": [1]})))
    assert [each.message for each in told.faults] == ["31 lines are run by no test: 1-3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25 and 17 more"]


def test_beyond() -> None:
    """What is run when a file is started as a program, what only checkers read, and bodies that say that there is none: no test is asked to run them."""
    text = "from typing import TYPE_CHECKING\nimport typing\nif TYPE_CHECKING:\n    import a\nif typing.TYPE_CHECKING:\n    import b\n\n\ndef f():\n    '''Words.'''\n    ...\n\n\nasync def g():\n    raise NotImplementedError\n\n\ndef h():\n    raise NotImplementedError('x')\n\n\ndef k():\n    return 1\n\n\nif __name__ == '__main__':\n    f()\n    k()\n"
    assert _beyond(text) == {3, 4, 5, 6, 11, 15, 19, 26, 27, 28}
    assert _beyond("def x(:") == frozenset()


def test_beyond_is_left_out(tested: Callable[..., Ground]) -> None:
    """A new `if __name__ == "__main__"` falls for nothing."""
    site = tested({"main.py": "x = 1\nif __name__ == '__main__':\n    print(x)\n"}, report(main={"missing_lines": [3], "missing_branches": [[2, 3]]}), new=Changes("HEAD", {"main.py": frozenset({1, 2, 3})}))
    assert not looked(site).faults


@pytest.mark.parametrize(("files", "framework", "steps"), [
    ({"main.py": ""}, "fastapi", "-m pytest"),
    ({"manage.py": ""}, "django", "manage.py test --noinput"),
    ({"backend/manage.py": "", "setup.cfg": "[metadata]\n"}, "django", "manage.py test --noinput"),
    ({"manage.py": "", "pytest.ini": "[pytest]\n"}, "django", "-m pytest"),
    ({"main.py": ""}, "django", "-m pytest"),
    ({"main.py": "from sqlalchemy.ext.asyncio import create_async_engine\n"}, "fastapi", "--concurrency=thread,greenlet -m pytest"),
])
def test_runner(tested: Callable[..., Ground], files: dict[str, str], framework: str, steps: str) -> None:
    """Django's runner where it runs the tests, pytest elsewhere; async SQLAlchemy is followed into its greenlets."""
    site = tested(files, report(), framework=framework)
    looked(site)
    assert steps in " ".join(site.asked[0])


def test_below_a_folder(tested: Callable[..., Ground]) -> None:
    """Files are named from the project's root where Django's runner stands in a folder of it."""
    site = tested({"backend/manage.py": "", "backend/shop/models.py": "x = 1\n"}, report(shop__models={"missing_lines": [1]}), framework="django")
    assert [each.key for each in looked(site).faults] == ["backend/shop/models.py"]


def test_left_out(tested: Callable[..., Ground]) -> None:
    """A test that hangs or takes its process with it is not run again."""
    site = tested({"main.py": ""}, report())
    site.suite = SuiteRun((*GREEN.tests, TestResult("tests/test_main.py::test_hang", "hung"), TestResult("tests/test_main.py::test_exit", "died")))
    Coverage().look(site)
    assert {"--deselect=tests/test_main.py::test_hang", "--deselect=tests/test_main.py::test_exit"} <= set(site.asked[0])


@pytest.mark.parametrize(("done", "said"), [
    (None, "coverage cannot be had here"),
    (Done((None,), ""), "the tests do not end within 35 s under coverage"),
    (Done((4, 0), "usage: error\n"), "the tests do not run under coverage: usage: error"),
    (Done((0, 1), "Couldn't parse 'main.py' as Python source"), "the tests ran, and coverage cannot tell of it: Couldn't parse 'main.py'"),
    (Done((0, 0), "", {"coverage.json": '{"files": 3, "totals": {}}'}), "coverage cannot tell of it: they say nothing"),
])
def test_not_told(tested: Callable[..., Ground], done: Done | None, said: str) -> None:
    """What goes wrong is told in words, with what to do."""
    site = tested({"main.py": ""}, done)
    site.suite = GREEN
    told = Coverage().look(site)
    assert isinstance(told, CouldNot)
    assert said in told.reason
    assert told.hint


def test_not_asked(ground: Callable[..., Ground]) -> None:
    """Without a prototype, tests, passing tests or a change in Python nothing is run."""
    assert Coverage().look(ground({}, booted=False)) is DOWN
    assert isinstance(Coverage().look(ground({}, changed=Changes("HEAD", {"a.txt": frozenset()}))), Untouched)
    assert "there are no tests" in str(Coverage().look(ground({})))
    site = ground(TEST, suite=list(TEST))
    assert "no test passes" in str(Coverage().look(site))
    site.suite = SuiteRun(problem="their process dies")
    assert "no test passes: their process dies" in str(Coverage().look(site))
    assert not site.asked


def test_itself(tested: Callable[..., Ground]) -> None:
    """coverage itself, on a suite with threads: a line that only a thread runs is run."""
    files = {"main.py": "import threading\n\nseen = []\n\n\ndef work():\n    seen.append(1)\n\n\ndef begin():\n    thread = threading.Thread(target=work)\n    thread.start()\n    thread.join()\n\n\ndef never():\n    return 3\n"}
    site = tested(files, report())
    (site.root / "tests/test_main.py").write_text("from main import begin\n\n\ndef test():\n    begin()\n")
    looked(site)
    for step in site.asked:
        done = subprocess.run([sys.executable, "-m", *step], cwd=site.root, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    site.done = [Done((0, 0), "", {"coverage.json": (site.root / "coverage.json").read_text()})]
    assert [each.message for each in looked(site).faults] == ["1 line is run by no test: 17"]
